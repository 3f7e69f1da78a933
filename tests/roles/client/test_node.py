"""What a client shows and lets be touched, besides what every node does."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig
from morphnet.errors import ConfigError
from morphnet.host.host import Host
from morphnet.net.pump import Pump
from morphnet.net.tun import Tun
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.node import ClientNode, Parts
from morphnet.roles.client.uplink_paths import UplinkPaths
from morphnet.roles.peers.mesh import Mesh
from morphnet.tunnel.tunnel import Tunnel
from tests.ops.pictures import CARL, NAS


class FakeMesh:
    """Two peers."""

    def statuses(self) -> tuple[object, ...]:
        """The same two at any time."""
        return (NAS, CARL)


class PeersTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        self.pump = Pump(clock, Tunnel(server=False, entropy=bytes), clock.seconds)
        self.node = self.make()

    def make(self, mesh: FakeMesh | None = None) -> ClientNode:
        """A client with these peers."""
        return ClientNode(
            ClientConfig(),
            self.pump,
            Parts(
                cast(Host, None),
                cast(Tun, None),
                cast(UplinkPaths, None),
                Certificates(),
                None,
                (lambda owner: cast(Mesh, mesh)) if mesh is not None else None,
            ),
        )

    def ask(self, asked: str, /, **said: Any) -> Any:
        """As the feed and the manhole do."""
        verb = next(verb for verb in self.node.verbs() if verb.name == asked)
        return verb.call(**verb.filled(said))

    def test_none(self) -> None:
        """Where there are no peers, what asks for them says where there are some."""
        for name, said in (("ping", {"name": "bert"}), ("why", {"name": "bert"}), ("netcheck", {})):
            with self.assertRaisesRegex(ConfigError, "there are no peers here"):
                self.ask(name, **said)

    def test_why(self) -> None:
        """Of one peer all that was decided; for a name that is nobody's, a hint."""
        self.node = self.make(FakeMesh())
        self.assertIs(self.successResultOf(self.ask("why", name="nas")), NAS)
        with self.assertRaisesRegex(ConfigError, "did you mean 'nas'"):
            self.ask("why", name="nass")
