"""What a client says of its peers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig
from morphnet.net.pump import Pump
from morphnet.roles.client.certified_node import Certificates
from morphnet.roles.client.machine import Machine
from morphnet.roles.client.peered_node import PeeredNode
from morphnet.roles.peers.mesh import Mesh
from morphnet.roles.signalling.control_client import Link
from morphnet.status import NetcheckStatus, PeerStatus, RelayStatus
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.control import Signal
from morphnet.wire.messages.trying import Tried, TryPort
from tests.ops.pictures import CARL, NAS, NETCHECK
from tests.wire.messages.test_control import WELCOME


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

    def __init__(self) -> None:
        """:ivar here: see `port_at`."""
        self.around = SimpleNamespace(clock=Clock())
        self.here: tuple[int, Endpoint, int] | None = None

    def port_at(self, host: str) -> tuple[int, Endpoint, int] | None:
        """The only socket, whatever the address."""
        return self.here

    def netcheck(self) -> Deferred[NetcheckStatus]:
        """The same at any time."""
        return succeed(NETCHECK)

    def ping(self, name: str, seconds: float) -> Deferred[str]:
        """What was asked, as the answer."""
        return succeed(f"{name} {seconds}")


class PeeredNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = clock = Clock()
        pump = Pump(clock, Tunnel(server=False, entropy=bytes), clock.seconds)
        self.node = PeeredNode(ClientConfig(), pump, Certificates())

    def test_none(self) -> None:
        """Without peers there is nothing to show, and the words that ask for them are known all the same."""
        self.assertEqual((self.node.peer_statuses(), self.node.relay_statuses()), ((), ()))
        self.assertLess({"ping", "why", "netcheck"}, {verb.name for verb in self.node.verbs()})

    def test_netcheck(self) -> None:
        """The socket by whose address the server is reached is tried; the others, and without a link all, are not."""
        mesh = FakeMesh()
        self.node.mesh = cast(Mesh, mesh)
        self.assertEqual(self.successResultOf(self.node.netcheck()), NETCHECK)
        said: list[Signal] = []
        self.node.link = cast(Link, SimpleNamespace(local_host="192.168.1.23", send=said.append))
        self.assertEqual(self.successResultOf(self.node.netcheck()), NETCHECK)
        mesh.here = 3, Endpoint("192.168.1.23", 41193), 5000
        self.node.meets(replace(WELCOME, tries=True), None)
        waiting = self.node.netcheck()
        (asked,) = said
        assert isinstance(asked, TryPort)
        self.assertEqual(asked.port, 5000)
        self.node._server_tells(cast(Machine, None), Tried(asked.token, True))
        for _ in range(12):
            self.clock.advance(0.2)
            mesh.around.clock.advance(0.2)
        found = [(each.outside, each.open) for each in self.successResultOf(waiting).sockets]
        self.assertEqual(found, [(5000, "closed"), (0, "unknown")])

    def test_peers(self) -> None:
        """They are shown, and a question goes to the one that it is for."""
        self.node.mesh = cast(Mesh, FakeMesh())
        self.assertEqual((self.node.peer_statuses(), self.node.relay_statuses()), ((NAS, CARL), ()))
        self.assertEqual(self.successResultOf(self.node.ping("nas", 2.0)), "nas 2.0")
