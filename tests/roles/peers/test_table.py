"""Whom relays tell of, and who of them stays known."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.pki.authority import Description
from morphnet.roles.peers.peer import Peer
from morphnet.roles.peers.surroundings import Line
from morphnet.roles.peers.table import PeerTable
from morphnet.wire.messages.relay import Present
from tests.roles.peers.fakes import INSTANCE, FakeHistory, FakeLine, FakeRelays, surroundings

NOW = 1000.0


class FakePeer:
    """Notes what it is told."""

    def __init__(self, name: str) -> None:
        self.name, self.told = name, list[str]()
        self.certificate: Description | None = None
        self.session: object | None = None

    @property
    def is_proven(self) -> bool:
        """Once the test has given it a certificate."""
        return self.certificate is not None

    def present(self, relay: Line, said: Present) -> None:
        self.told.append(f"present {relay.number}")

    def absent(self, relay: Line) -> None:
        self.told.append(f"absent {relay.number}")

    def handshake(self, relay: Line, content: bytes) -> None:
        self.told.append(f"handshake {content!r}")

    def called(self, relay: Line) -> None:
        self.told.append("called")

    def keep_relay_paths(self) -> None:
        self.told.append("relays")

    def sockets_changed(self) -> None:
        self.told.append("sockets")

    def addresses_changed(self) -> None:
        self.told.append("addresses")

    def forget(self, reason: str) -> None:
        self.told.append(reason)

    def stop(self) -> None:
        self.told.append("stop")


class TableTestCase(SynchronousTestCase):
    wanted: tuple[str, ...] = ("bert", "carl")

    def setUp(self) -> None:
        clock = Clock()
        clock.advance(NOW)
        self.made: dict[str, FakePeer] = {}
        self.history, self.relays, self.line = FakeHistory(), FakeRelays(), FakeLine(7)
        self.revoked: set[str] = set()
        around = surroundings("anna", clock, self.history, wanted=self.wanted, revoked=self.revoked)
        self.table = PeerTable(around, self.make, self.relays.having)

    def make(self, name: str) -> Peer:
        """A peer."""
        self.made[name] = FakePeer(name)
        return cast(Peer, self.made[name])

    def present(self, *names: str) -> None:
        """A relay tells of these."""
        for name in names:
            self.table.present(self.line, Present(1, name, INSTANCE))


class WantedTests(TableTestCase):
    def test_named(self) -> None:
        """Whom the configuration does not name is nobody, whatever a relay tells; nor are we our own peer."""
        self.present("bert", "mallory", "carl", "dora", "anna")
        self.assertEqual((self.table.names(), self.history.counts["unwanted_peers"]), (["bert", "carl"], 2))

    def test_no_word_of_it(self) -> None:
        """Nor does a handshake of its, or its call, begin anything: there is nobody who could get a session."""
        for _ in range(2):
            self.present("mallory")
            self.table.handshake(self.line, "mallory", b"hello")
            self.table.called(self.line, "mallory")
        self.assertEqual((self.table.names(), self.made), ([], {}))

    def test_once(self) -> None:
        """A peer is made once, however many relays have it."""
        self.present("bert", "bert")
        self.assertEqual(self.made["bert"].told, ["present 7"] * 2)
        self.assertIs(self.table.get("bert"), self.made["bert"])

    def test_forgotten(self) -> None:
        """A name that nobody has shown a certificate for is forgotten when no relay has it any more."""
        self.present("bert", "carl")
        self.made["carl"].certificate = Description("carl", "client", "1", 0.0, NOW)
        self.table.absent(self.line, "bert")  # another relay has it
        self.assertEqual(self.table.names(), ["bert", "carl"])
        self.relays.there = []
        for name in ("bert", "carl", "nobody"):
            self.table.absent(self.line, name)
        self.assertEqual(self.table.names(), ["carl"])
        self.assertEqual(self.made["bert"].told[-2:], ["absent 7", "stop"])

    def test_handed_on(self) -> None:
        """What a peer sends through a relay reaches it, and for somebody unknown is nothing."""
        self.present("bert")
        for name in ("bert", "nobody"):
            self.table.handshake(self.line, name, b"x")
            self.table.called(self.line, name)
        self.assertEqual(self.made["bert"].told[1:], ["handshake b'x'", "called"])

    def test_all(self) -> None:
        """What concerns everybody is told to everybody."""
        self.present("bert", "carl")
        self.table.relays_changed()
        self.table.sockets_changed()
        self.table.addresses_changed()
        self.table.stop()
        for peer in self.made.values():
            self.assertEqual(peer.told[1:], ["relays", "sockets", "addresses", "stop"])


class EverybodyTests(TableTestCase):
    wanted = ("*",)

    def test_misnamed(self) -> None:
        """A name that no certificate can have is nobody's."""
        self.present("bert", "10.0.0.1", "a b", "")
        self.assertEqual((self.table.names(), self.history.counts["misnamed_peer"]), (["bert"], 3))

    def test_certificates(self) -> None:
        """A session ends when the certificate that it began with is revoked or has expired, and only then."""
        self.present("bert", "carl", "dora", "emil")
        for name, ends in (("bert", 1), ("carl", 0), ("dora", 9), ("emil", 0)):
            peer = self.made[name]
            peer.certificate, peer.session = Description(name, "client", name, 0.0, NOW + ends), name != "emil" or None
        self.revoked.add("dora")
        self.table.look_at_certificates()
        self.assertEqual({name: peer.told[1:] for name, peer in self.made.items()}, {
            "bert": [], "carl": ["its certificate has expired"], "dora": ["its certificate was revoked"], "emil": [],
        })  # fmt: skip
