"""Everything about peers, joined."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import ClientConfig
from morphnet.errors import ConfigError
from morphnet.net.pump import Pump
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.peers.mesh import NEWS_AT_ONCE, Mesh
from morphnet.roles.peers.sessions import Names
from morphnet.roles.signalling.relay_client import Listener, RelayClient
from morphnet.tunnel.events import Effects, Mapped
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.relay import HANDSHAKE, Present
from tests.fakes_control import FakeNet
from tests.roles.peers.fakes import INNER, INSTANCE, NETWORKS, FakeHistory, identity
from tests.roles.peers.test_relays import FakeEars, FakeLists, FakeRelay

PLACES = {5: ("2001:db8::2", 4001), 7: ("192.168.1.2", 4000)}  # by number


class FakeOwner(FakeEars, FakeHistory):
    """The node."""

    def __init__(self) -> None:
        FakeEars.__init__(self)
        FakeHistory.__init__(self)
        self.names: list[Names] = []

    def peers_are(self, names: Names) -> None:
        """Keep them, the newest last."""
        self.names.append(names)


class PostingRelay(FakeRelay):
    """A line that keeps what it is given."""

    def __init__(self, place: str, number: int) -> None:
        super().__init__(place, number)
        self.posted: list[tuple[str, int]] = []

    def post(self, name: str, kind: int, content: bytes) -> bool:
        """Keep for whom it is and of which kind; there is always room."""
        self.posted.append((name, kind))
        return True


class MeshTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net, self.owner = FakeNet(), FakeOwner()
        self.patch(autobahn_config, "loop", self.net)
        self.lines: list[PostingRelay] = []
        self.begin()

    def begin(self, *wanted: str) -> None:
        """A machine that wants these, or everybody."""
        self.pump = Pump(self.net, Tunnel(server=False, entropy=bytes), self.net.seconds)
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.mesh = self.make(*wanted)
        self.lines.clear()
        self.mesh.call_relays(self.dial)

    def make(self, *wanted: str) -> Mesh:
        """That of anna."""
        places = ("one.example", "two.example")
        mesh = MeshConfig(places, networks=NETWORKS, streams=False, peers=wanted or ("*",))
        config = ClientConfig(name="anna", mesh=mesh, state_dir=self.directory)
        revoked = SimpleNamespace(is_revoked=lambda certificate: False)
        lists = FakeLists()
        lists.revoked = revoked  # type: ignore[attr-defined]
        ours = identity("anna")
        return Mesh(config, self.pump, lambda: ours, self.net, cast(RevocationExchange, lists), self.owner)

    def dial(self, place: str, number: int, listener: Listener) -> RelayClient:
        """A line."""
        self.lines.append(PostingRelay(place, number))
        return cast(RelayClient, self.lines[-1])

    def appears(self) -> None:
        """A relay tells of bert."""
        bert = Present(1, "bert", INSTANCE)
        self.lines[0].answer, self.lines[0].peers = cast("object", True), {"bert": bert}  # type: ignore[assignment]
        self.mesh.relays.present(cast(RelayClient, self.lines[0]), bert)

    def test_told(self) -> None:
        """A relay that the network has besides is called at once, and by the next process before any server says so."""
        self.mesh.relays_are(("three.example", "one.example"))
        self.assertEqual([each.host for each in self.lines], ["one.example", "two.example", "three.example"])
        self.lines.clear()
        self.make().call_relays(self.dial)
        self.assertEqual([each.host for each in self.lines], ["one.example", "two.example", "three.example"])

    def test_who_we_are(self) -> None:
        """As our certificate says, with our address inside."""
        ours = self.mesh.ourselves
        self.assertEqual((ours.name, ours.inside()), ("anna", ([INNER["anna"]], list(NETWORKS))))

    def test_meets(self) -> None:
        """Whom a relay tells of is greeted through it, shown, and can be asked."""
        self.appears()
        self.assertEqual(set(self.lines[0].posted), {("bert", HANDSHAKE)})
        (shown,) = self.mesh.statuses()
        self.assertEqual((shown.name, shown.state, shown.way), ("bert", "meeting", "none"))
        self.assertIn("peer-meeting", self.owner.kinds())
        self.assertEqual(self.successResultOf(self.mesh.ping("bert", 1.0)).way, "none")
        with self.assertRaisesRegex(ConfigError, "known are bert"):
            self.mesh.ping("carl", 1.0)

    def test_unnamed(self) -> None:
        """Whom [mesh] peers does not name gets no session, nor a word, whatever a relay says and hands on."""
        self.begin("carl")
        self.appears()
        line = cast(RelayClient, self.lines[0])
        self.mesh.relays.handshake(line, "bert", b"\x16\x03\x01\0\x05hello")
        self.mesh.relays.called(line, "bert")
        self.net.pump([0.5] * 10)
        self.assertEqual((self.lines[0].posted, self.mesh.statuses(), self.pump.tunnel.sessions), ([], (), {}))

    def test_netcheck(self) -> None:
        """What stands between us and others is told, the relays among it."""
        waiting = self.mesh.netcheck()
        self.net.pump([0.1] * 30)
        found = self.successResultOf(waiting)
        self.assertEqual((found.name, [relay.name for relay in found.relays]), ("anna", ["one.example", "two.example"]))

    def test_port_at(self) -> None:
        """The socket of an address, its port as the router has it; of another address there is none."""
        sockets: Any = SimpleNamespace(families={5: True, 7: False}, local_of=PLACES.get)
        self.mesh.doors = sockets
        self.assertEqual(self.mesh.port_at("192.168.1.2"), (7, Endpoint("192.168.1.2", 4000), 4000))
        self.patch(self.mesh.portmaps, "outside_of", lambda host, port: port + 1)
        self.assertEqual(self.mesh.port_at("2001:db8::2"), (5, Endpoint("2001:db8::2", 4001), 4002))
        self.assertIsNone(self.mesh.port_at("192.168.1.3"))

    def test_seen_elsewhere_all_the_time(self) -> None:
        """A relay that sees us elsewhere with each answer has us search some times, and others as before."""
        changes: list[str] = []
        self.patch(self.mesh.peers, "addresses_changed", lambda: changes.append(""))
        for relay in ("203.0.113.1", "203.0.113.2"):
            for port in range(1000, 1100):
                self.pump.carry_out(Effects(events=[Mapped(relay, 9, Endpoint("198.51.100.2", port))]))
        self.assertEqual(len(changes), 2 * NEWS_AT_ONCE)

    def test_stop(self) -> None:
        """At the end nothing goes on."""
        self.appears()
        self.successResultOf(self.mesh.stop())
        self.pump.stop()
        self.assertEqual([relay.did[-1] for relay in self.lines], ["close", "close"])
        self.assertEqual([str(call) for call in self.net.getDelayedCalls()], [])
