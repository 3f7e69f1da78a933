"""What a client says of its peers."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig
from morphnet.net.pump import Pump
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.peered_node import PeeredNode
from morphnet.roles.peers.mesh import Mesh
from morphnet.status import PeerStatus, RelayStatus
from morphnet.tunnel.tunnel import Tunnel
from tests.ops.pictures import CARL, NAS


class FakeRelays:
    """No relay."""

    def statuses(self) -> tuple[RelayStatus, ...]:
        """Of none."""
        return ()


class FakeMesh:
    """Two peers, which answer."""

    relays = FakeRelays()

    def statuses(self) -> tuple[PeerStatus, ...]:
        """The same two at any time."""
        return (NAS, CARL)

    def ping(self, name: str, seconds: float) -> Deferred[str]:
        """What was asked, as the answer."""
        return succeed(f"{name} {seconds}")


class PeeredNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        pump = Pump(clock, Tunnel(server=False, entropy=bytes), clock.seconds)
        self.node = PeeredNode(ClientConfig(), pump, Certificates())

    def test_none(self) -> None:
        """Without peers there is nothing to show, and the words that ask for them are known all the same."""
        self.assertEqual((self.node.peer_statuses(), self.node.relay_statuses()), ((), ()))
        self.assertLess({"ping", "why", "netcheck"}, {verb.name for verb in self.node.verbs()})

    def test_peers(self) -> None:
        """They are shown, and a question goes to the one that it is for."""
        self.node.mesh = cast(Mesh, FakeMesh())
        self.assertEqual((self.node.peer_statuses(), self.node.relay_statuses()), ((NAS, CARL), ()))
        self.assertEqual(self.successResultOf(self.node.ping("nas", 2.0)), "nas 2.0")
