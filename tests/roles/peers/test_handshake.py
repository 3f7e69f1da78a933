"""Handshakes between two peers, and what comes of their late bytes."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.roles.peers.handshake import CALL_AFTER, HANDSHAKE_WITHIN, HEDGE, TICKET, Handshake, Introduced
from morphnet.roles.peers.surroundings import Line
from morphnet.tunnel.session import Session
from morphnet.wire.messages.relay import CALL, HANDSHAKE
from tests.roles.peers.fakes import FakeHistory, FakeLine, FakeRelays, surroundings


class FakePeer:
    """Notes how it went."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.asked: list[int] = []
        self.kept = ""

    def make_session(self, introduced: Introduced, name: bytes, tuning: Tuning) -> Session:
        raise AssertionError("no handshake here comes so far")

    def issue_ids(self, session: Session, number: int) -> list[bytes]:
        raise AssertionError("no handshake here comes so far")

    def met(self, instance: str, candidates: tuple[str, ...]) -> None:
        """Nothing to note: no handshake here comes so far."""

    def keeps(self, instance: str) -> str:
        """The same reason for every process; none until a test sets one."""
        return self.kept

    def asked_to_call(self, relay: Line) -> None:
        self.asked.append(relay.number)

    def failed_to_meet(self, reason: str) -> None:
        self.failed.append(reason)


class End:
    """One of two peers, with a line to each of two relays."""

    def __init__(self, clock: Clock, name: str, other: str) -> None:
        self.relays, self.peer, self.history = FakeRelays(), FakePeer(), FakeHistory()
        self.lines = self.relays.lines
        self.handshake = Handshake(surroundings(name, clock, self.history), other, self.peer, self.relays)

    def hears(self, content: bytes, turn: int = 0) -> None:
        """Bytes of the other one, through a relay."""
        self.handshake.received(self.lines[turn], content)

    def said(self, turn: int = 0) -> list[bytes]:
        """What it gave to a relay, which is taken away."""
        posted, self.lines[turn].posted = self.lines[turn].posted, []
        return [content for _, kind, content in posted if kind == HANDSHAKE]


class HandshakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two of them; anna calls."""
        self.clock = Clock()
        self.anna, self.bert = End(self.clock, "anna", "bert"), End(self.clock, "bert", "anna")

    def test_who_calls(self) -> None:
        """The one whose name is lower calls; the other asks to be called after a while."""
        self.anna.handshake.greet()
        self.bert.handshake.greet()
        self.assertEqual((len(self.anna.said()), self.bert.lines[0].posted), (1, []))
        self.clock.advance(2.0)
        self.assertEqual([kind for _, kind, _ in self.bert.lines[0].posted], [CALL])

    def test_late_bytes(self) -> None:
        """What is still under way of a handshake that was begun anew begins nothing, and disturbs nothing."""
        self.anna.handshake.greet()
        (first,) = self.anna.said()
        self.bert.hears(first)
        self.anna.handshake.give_up()
        self.anna.handshake.greet()
        (second,) = self.anna.said(1)
        self.assertNotEqual(first[:TICKET], second[:TICKET])
        self.bert.said()
        self.bert.hears(second, 1)
        self.bert.hears(first, 1)
        answers = self.bert.said(1)
        self.assertEqual({answer[:TICKET] for answer in answers}, {second[:TICKET]})
        self.assertEqual((self.bert.history.counts["handshake_astray"], self.bert.peer.failed), (1, []))

    def test_the_next_relay(self) -> None:
        """What is not complete soon is begun through the next relay too; later, the one that failed is last."""
        self.anna.handshake.greet()
        self.clock.advance(HEDGE - 0.1)
        self.assertEqual((len(self.anna.said(0)), self.anna.said(1), self.anna.handshake.busy), (1, [], True))
        self.clock.advance(0.2)
        self.assertEqual((self.anna.said(0), len(self.anna.said(1))), ([], 1))
        self.anna.handshake.lost(self.anna.lines[1])
        self.assertEqual(self.anna.peer.failed, [])
        self.anna.handshake.lost(self.anna.lines[0])
        self.assertEqual(
            (self.anna.peer.failed, self.anna.handshake.busy), (["the relay of the handshake is lost"], False)
        )
        self.anna.handshake.greet()
        self.anna.handshake.give_up()
        self.clock.advance(HEDGE)
        self.assertFalse(self.clock.getDelayedCalls())

    def test_one_that_lies_ends_nothing(self) -> None:
        """What a relay sends that is no TLS, or too much, ends its own handshake; the next one begins at once."""
        self.anna.handshake.greet()
        (hello,) = self.anna.said(0)
        self.anna.hears(hello[:TICKET] + b"\x15\x03\x03\0\x02\x02\x28")
        self.assertEqual((len(self.anna.said(1)), self.anna.peer.failed), (1, []))
        self.anna.handshake.greet()
        self.assertEqual(len(self.anna.said(0)), 1)  # through the other one it is under way

    def test_each_relay_has_its_own(self) -> None:
        """A relay that begins one handshake after the other takes no other relay's place, nor its allowance."""
        self.anna.handshake.greet()
        self.clock.advance(HEDGE)
        (hello,) = self.anna.said(1)
        for number in range(1000, 1100):
            self.bert.hears(number.to_bytes(TICKET, "big") + hello[TICKET:], 0)
        self.bert.hears(hello, 1)
        self.assertEqual(len(self.bert.said(1)), 1)
        self.clock.advance(HANDSHAKE_WITHIN)
        self.assertFalse(self.bert.handshake.busy)

    def test_asks_everywhere(self) -> None:
        """The one who is called asks through each relay, one after the other."""
        self.bert.handshake.greet()
        self.clock.pump([CALL_AFTER, HEDGE])
        self.assertEqual([[kind for _, kind, _ in each.posted] for each in self.bert.lines], [[CALL], [CALL]])
        self.anna.handshake.called(self.anna.lines[1])
        self.assertEqual(self.anna.peer.asked, [8])

    def test_check(self) -> None:
        """A handshake that shall show whether a relay lies goes through that relay; once a second at most."""
        for _ in range(50):
            self.anna.handshake.check(self.anna.lines[1])
        self.assertEqual((len(self.anna.said(0)), len(self.anna.said(1))), (0, 5))
        self.bert.handshake.check(self.bert.lines[1])
        self.assertFalse(self.bert.handshake.busy)

    def test_comes_to_another_relay(self) -> None:
        """While a handshake is under way, another relay that has the peer is tried when it takes too long."""
        self.anna.relays.there.pop()
        self.anna.handshake.greet()
        late = FakeLine(9)
        for _ in range(3):
            self.anna.handshake.also(late)
        self.assertEqual(late.posted, [])
        self.clock.advance(HEDGE)
        self.assertEqual((len(late.posted), len(self.anna.said())), (1, 1))
        self.anna.handshake.also(late)
        self.assertEqual((len(late.posted), self.anna.said()), (2, []))

    def test_kept(self) -> None:
        """Who has a session that works says so, and makes no other one."""
        self.bert.peer.kept = "we have a session"
        self.anna.handshake.check(self.anna.lines[0])
        for _ in range(4):
            for content in self.anna.said():
                self.bert.hears(content)
            for content in self.bert.said():
                self.anna.hears(content)
        self.assertEqual((self.anna.peer.failed, self.bert.peer.failed), (["we have a session"],) * 2)
        self.assertFalse(self.anna.handshake.busy or self.bert.handshake.busy)

    def test_flood(self) -> None:
        """A peer that begins one handshake after the other is answered a few times, then once a second."""
        self.anna.handshake.greet()
        (hello,) = self.anna.said()
        for number in range(100):
            self.bert.hears(number.to_bytes(TICKET, "big") + hello[TICKET:])
        self.assertLessEqual(len({answer[:TICKET] for answer in self.bert.said()}), 5)
        self.assertGreaterEqual(self.bert.history.counts["handshake_astray"], 95)
