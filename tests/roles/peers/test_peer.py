"""A peer, its session, and relays that tell what is not so."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import MeshConfig, Tuning
from morphnet.net.relay_client import RelayClient
from morphnet.roles.peers.mesh import MEETINGS_AT_ONCE, NEWS_AT_ONCE, Mesh
from morphnet.roles.peers.peer import ANSWER_WITHIN, JUST_MADE, SEARCHES_AT_ONCE, WORKS_WITHIN, Peer
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.carrier import DIRECT, RELAYED, Carrier
from morphnet.tunnel.events import Effects, Mapped, Reached
from morphnet.tunnel.path import State
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.places import OBSERVED, Place
from morphnet.wire.relaying import CALL, HANDSHAKE, Present
from tests.fakes_tls import CLIENT, FakeCa

CA = FakeCa()
THIS, OTHER = "1" * 16, "2" * 16  # processes of the peer
SOCKET = 1 << 17


class FakeRelay:
    """Remembers what it was given."""

    address = "203.0.113.1"

    def __init__(self, number: int) -> None:
        self.number, self.host = number, f"relay{number}"
        self.posted: list[int] = []

    def post(self, name: str, kind: int, content: bytes) -> bool:
        """See RelayClient."""
        self.posted.append(kind)
        return True


class FakeMesh:
    """What a peer wants of a mesh, and nobody else in it."""

    def __init__(self, name: str, *peers: str) -> None:
        self.clock, self.name, self.config = Clock(), name, MeshConfig(peers=peers)
        self.entropy = random.Random(name).randbytes
        self.tunnel = Tunnel(server=False, entropy=self.entropy)
        self.tunnel.carriers = {SOCKET: Carrier(DIRECT, "eth0"), 7: Carrier(RELAYED, "relay"), 8: Carrier(RELAYED, "")}
        self.pump: Any = SimpleNamespace(tunnel=self.tunnel, now=self.clock.seconds, carry_out=lambda effects: None)
        self.pump.carrier = self.tunnel.carriers.get
        self.lines = [FakeRelay(7), FakeRelay(8)]
        self.having = list(self.lines)
        self.relays: Any = SimpleNamespace(
            having=lambda name: self.having, hurry=lambda: None, varying_door=lambda: None
        )
        self.doors: Any = SimpleNamespace(families={SOCKET: False})
        nothing = lambda *words: None  # noqa: E731
        self.streams: Any = SimpleNamespace(forget=nothing, search=nothing, direct=nothing)
        self.fan: Any = SimpleNamespace(release=nothing)
        self.courtesy, self.counts, self.peers = Courtesy(), Counter[str](), dict[str, Peer]()
        self._budgets: dict[str, Any] = {}
        self.wall, self.tell, self.names_changed, self.places = self.clock.seconds, nothing, nothing, list
        self.identity = lambda: CA.identity(name, CLIENT)
        self.is_revoked = lambda serial: False
        self.sent = Effects()

    def may_meet(self, relay: RelayClient) -> bool:
        """See Mesh."""
        return Mesh.may_meet(cast(Mesh, self), relay)

    def _has(self, *words: Any) -> bool:
        return Mesh._has(cast(Mesh, self), *words)

    def endpoint(self, name: str) -> Endpoint:
        """See Mesh."""
        return Endpoint(name, 0)

    def carry_out(self, session: Session, effects: Effects) -> None:
        """See Mesh."""
        self.sent.sends += effects.sends


class PeerTestCase(SynchronousTestCase):
    name, other = "anna", "bert"  # the first of which calls

    def setUp(self) -> None:
        """They have met, and a direct way works."""
        self.mesh = FakeMesh(self.name, "*")
        self.clock = self.mesh.clock
        self.peer = Peer(cast(Mesh, self.mesh), self.other)
        self.tell(0, THIS)
        self.session = self.meet(THIS)
        path = self.session.open_path(SOCKET, Endpoint("198.51.100.6", 9), "eth0", self.clock.seconds(), Effects())
        self.session.change(path, State.ACTIVE, self.clock.seconds(), Effects())
        self.peer.story.found("eth0")
        self.hear()
        for each in self.mesh.lines:
            each.posted.clear()
        self.mesh.sent.sends.clear()

    def meet(self, instance: str) -> Session:
        """A handshake is complete, as far as a peer can tell."""
        mesh, peer = self.mesh, self.peer
        session = peer.session = mesh.tunnel.add_session(
            peer.name, bytes(16), Tuning(), (b"\x0a\x49\0\2",), server=not peer.caller
        )
        session.equals, session.heard_at, peer.certificate = True, self.clock.seconds(), cast(Any, "shown")
        session.install(bytes(32), bytes(32), 1, self.clock.seconds())
        peer.met(instance, ())
        return session

    def hear(self) -> None:
        """A datagram has come by the session."""
        assert self.peer.session is not None
        self.peer.session.heard_at = self.clock.seconds()
        self.peer.session.inbound.keys.confirm(1, self.clock.seconds())

    def tell(self, relay: int, instance: str, *places: str, number: int = 5) -> None:
        """What a relay says of the peer."""
        self.peer.present(cast(RelayClient, self.mesh.lines[relay]), Present(number, self.other, instance, places))


class LiesTests(PeerTestCase):
    """The one who calls."""

    def test_another_process(self) -> None:
        """What a relay tells ends no session that answers: it is asked by the session, and by a handshake there."""
        for turn in range(3):
            self.tell(1, OTHER, number=turn)
            self.peer.asked_to_call(cast(RelayClient, self.mesh.lines[1]))
            self.clock.advance(ANSWER_WITHIN / 2)
            self.hear()
            self.clock.advance(ANSWER_WITHIN)
        self.assertIs(self.peer.session, self.session)
        self.assertEqual((self.peer.state, self.mesh.lines[0].posted), ("direct", []))
        self.assertEqual(set(self.mesh.lines[1].posted), {HANDSHAKE})
        self.assertIn(SOCKET, {each.door for each in self.mesh.sent.sends})

    def test_is_another_process(self) -> None:
        """A session that does not answer is over, and the peer is met anew."""
        self.tell(0, OTHER, number=6)
        self.clock.advance(ANSWER_WITHIN + 0.1)
        self.assertIsNone(self.peer.session)
        self.assertEqual((self.peer.state, set(self.mesh.lines[0].posted)), ("meeting", {HANDSHAKE}))

    def test_gone_and_back(self) -> None:
        """A relay that says that the peer goes and comes changes nothing for who is reached directly."""
        for number in range(6, 20):
            self.peer.absent(cast(RelayClient, self.mesh.lines[0]))
            self.tell(0, THIS, number=number)
        self.assertEqual((self.peer.session, self.peer.state), (self.session, "direct"))

    def test_places(self) -> None:
        """A relay can tell what it can have seen; while a direct way works, nobody is asked there."""
        self.tell(1, THIS, "line 198.51.100.66 9", "observed 198.51.100.66 53", "varying 198.51.100.66 1",
                  "local 198.51.100.66 7", "stream 198.51.100.66 7", "observed 192.168.1.1 53")  # fmt: skip
        self.assertEqual({str(each) for each in self.peer.all_places()},
                         {"line 198.51.100.66 9", "observed 198.51.100.66 53"})  # fmt: skip
        self.assertFalse(self.peer.story is None or self.mesh.courtesy.refused or len(self.mesh.courtesy))

    def test_nothing_comes(self) -> None:
        """A session that was made and by which nothing comes is given up, and there is another handshake."""
        self.clock.advance(10.0)
        self.session = self.meet(OTHER)
        self.clock.advance(WORKS_WITHIN - 0.1)
        self.assertIs(self.peer.session, self.session)
        self.clock.advance(0.2)
        self.assertEqual((self.peer.session, self.peer.state), (None, "meeting"))

    def test_searches_without_end(self) -> None:
        """A peer that tells of its addresses again and again has us search some times, then once a second."""
        begun: list[float] = []
        prober = SimpleNamespace(use=lambda *words: None, search=begun.append)
        self.peer.prober = cast(Any, prober)
        place = Place(OBSERVED, "198.51.100.6", 9)
        for _ in range(100):
            self.peer.reached(Reached("bert", (place,)))
        self.assertEqual(len(begun), SEARCHES_AT_ONCE)
        self.clock.advance(1.0)
        self.peer.reached(Reached("bert", ()))
        self.assertEqual((len(begun), self.peer.places), (SEARCHES_AT_ONCE + 1, ()))

    def test_restless_relay(self) -> None:
        """While there is a handshake, a relay that shows the peer anew all the time restarts its own one alone."""
        self.peer.forget("for this test")
        self.tell(0, THIS, number=6)
        for number in range(7, 50):
            self.tell(1, THIS, number=number)
        self.assertEqual(self.mesh.lines[0].posted, [HANDSHAKE])
        self.assertLessEqual(len(self.mesh.lines[1].posted), 5)


class KeepsTests(PeerTestCase):
    """The one who is called, when a handshake has shown that the peer wants a new session."""

    name, other = "bert", "anna"

    def test_another_process(self) -> None:
        """One of another process, which has shown its certificate, gets it."""
        self.assertEqual(self.peer.keeps(OTHER), "")

    def test_works(self) -> None:
        """The same process does not, while the old session answers; the relay had it begin."""
        self.assertIn("we have a session", self.peer.keeps(THIS))
        self.clock.advance(ANSWER_WITHIN / 2)
        self.hear()
        self.clock.advance(ANSWER_WITHIN)
        self.assertIs(self.peer.session, self.session)

    def test_does_not_work(self) -> None:
        """It does when the old one does not answer."""
        self.peer.keeps(THIS)
        self.clock.advance(ANSWER_WITHIN + 0.1)
        self.assertEqual((self.peer.session, self.peer.keeps(THIS)), (None, ""))

    def test_new(self) -> None:
        """A session by which nothing has come yet is kept for a moment."""
        self.session = self.meet(THIS)
        self.assertIn("just being made", self.peer.keeps(THIS))
        self.clock.advance(JUST_MADE)
        self.assertEqual(self.peer.keeps(THIS), "")

    def test_waits(self) -> None:
        """It calls nobody: what a relay tells makes it ask by the session alone."""
        self.tell(1, OTHER, number=9)
        self.clock.advance(ANSWER_WITHIN / 2)
        self.hear()
        self.clock.advance(ANSWER_WITHIN)
        self.assertEqual((self.peer.session, self.mesh.lines[1].posted), (self.session, []))
        self.tell(1, OTHER, number=10)
        self.clock.advance(ANSWER_WITHIN + 2.0)
        self.assertEqual((self.peer.session, self.mesh.lines[0].posted[:1]), (None, [CALL]))


class TableTests(SynchronousTestCase):
    """What a mesh remembers of names."""

    def setUp(self) -> None:
        self.mesh = FakeMesh("anna", "bert", "carl")
        self.mesh.having = []

    def present(self, name: str) -> None:
        """A relay tells of that one."""
        relay = cast(RelayClient, self.mesh.lines[0])
        Mesh.present(cast(Mesh, self.mesh), relay, Present(1, name, THIS))

    def test_named(self) -> None:
        """Whom the configuration does not name is nobody, whatever a relay tells."""
        for name in ("bert", "mallory", "carl", "dora"):
            self.present(name)
        self.assertEqual((set(self.mesh.peers), self.mesh.counts["unwanted_peers"]), ({"bert", "carl"}, 2))

    def test_forgotten(self) -> None:
        """A name that nobody has shown a certificate for is forgotten when no relay has it any more."""
        self.present("bert")
        self.present("carl")
        self.mesh.peers["carl"].certificate = cast(Any, "shown")
        for name in ("bert", "carl", "nobody"):
            Mesh.absent(cast(Mesh, self.mesh), cast(RelayClient, self.mesh.lines[0]), name)
        self.assertEqual(set(self.mesh.peers), {"carl"})

    def test_budget(self) -> None:
        """One relay makes us begin so many handshakes and no more; another one has its own."""
        first, second = (cast(RelayClient, each) for each in self.mesh.lines)
        self.assertEqual(sum(self.mesh.may_meet(first) for _ in range(1000)), MEETINGS_AT_ONCE)
        self.assertTrue(self.mesh.may_meet(second))

    def test_seen_elsewhere_all_the_time(self) -> None:
        """A relay that sees us elsewhere with each answer has us search some times, and others as before."""
        changes: list[str] = []
        mesh: Any = self.mesh
        mesh._news, mesh._addresses_changed = {}, lambda: changes.append("")
        mesh.rotation = SimpleNamespace(seen_as=lambda *words: None)
        mesh.relays.rank = lambda: None
        for relay in ("203.0.113.1", "203.0.113.2"):
            for port in range(1000, 1100):
                Mesh.told(mesh, Mapped(relay, SOCKET, Endpoint("198.51.100.2", port)))
        self.assertEqual(len(changes), 2 * NEWS_AT_ONCE)
