"""Handshakes between two peers, and what comes of their late bytes."""

from __future__ import annotations

import itertools
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config import Tuning
from morphnet.net.relay_client import RelayClient
from morphnet.tap.introduction import TICKET, Acquainted, Meeting
from morphnet.tap.mesh import Mesh
from morphnet.wire.relaying import CALL, HANDSHAKE
from tests.fakes_tls import CLIENT, FakeCa

CA = FakeCa()


class FakeRelay:
    """Remembers what it was given for whom."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, int, bytes]] = []

    def post(self, name: str, kind: int, content: bytes) -> bool:
        """See RelayClient."""
        self.posted.append((name, kind, content))
        return True


class FakePeer:
    """Notes how it went."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def failed_to_meet(self, reason: str) -> None:
        """See Acquainted."""
        self.failed.append(reason)


class End:
    """One of two peers, with a line to each of two relays."""

    def __init__(self, clock: Clock, name: str, other: str) -> None:
        self.relays, self.peer, numbers = [FakeRelay(), FakeRelay()], FakePeer(), itertools.count(1)
        self.mesh: Any = SimpleNamespace(
            name=name,
            clock=clock,
            tuning=Tuning(),
            entropy=lambda count: next(numbers).to_bytes(count, "big"),
            identity=lambda: CA.identity(name, CLIENT),
            is_revoked=lambda serial: False,
            counts=Counter(),
        )
        self.meeting = Meeting(
            cast(Mesh, self.mesh),
            other,
            cast(Acquainted, self.peer),
            lambda: cast(RelayClient, self.relays[0]),
        )

    def hears(self, content: bytes, turn: int = 0) -> None:
        """Bytes of the other one, through a relay."""
        self.meeting.received(cast(RelayClient, self.relays[turn]), content)

    def said(self, turn: int = 0) -> list[bytes]:
        """What it gave to a relay, which is taken away."""
        posted, self.relays[turn].posted = self.relays[turn].posted, []
        return [content for _, kind, content in posted if kind == HANDSHAKE]


class MeetingTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two of them; anna calls."""
        self.clock = Clock()
        self.anna, self.bert = End(self.clock, "anna", "bert"), End(self.clock, "bert", "anna")

    def test_who_calls(self) -> None:
        """The one whose name is lower calls; the other asks to be called after a while."""
        self.anna.meeting.greet()
        self.bert.meeting.greet()
        self.assertEqual((len(self.anna.said()), self.bert.relays[0].posted), (1, []))
        self.clock.advance(2.0)
        self.assertEqual([kind for _, kind, _ in self.bert.relays[0].posted], [CALL])

    def test_late_bytes(self) -> None:
        """What is still under way of a handshake that was begun anew begins nothing, and disturbs nothing."""
        self.anna.meeting.greet()
        (first,) = self.anna.said()
        self.bert.hears(first)
        self.anna.meeting.give_up()
        self.anna.meeting.greet()
        (second,) = self.anna.said()
        self.assertNotEqual(first[:TICKET], second[:TICKET])
        self.bert.said()
        self.bert.hears(second)
        self.bert.hears(first, 1)
        answers = self.bert.said()
        self.assertEqual({answer[:TICKET] for answer in answers}, {second[:TICKET]})
        self.assertEqual((self.bert.mesh.counts["handshake_astray"], self.bert.peer.failed), (1, []))

    def test_through(self) -> None:
        """While a handshake is under way it is known through which relay."""
        self.assertIsNone(self.anna.meeting.through)
        self.anna.meeting.greet()
        self.assertIs(self.anna.meeting.through, self.anna.relays[0])
        self.anna.meeting.give_up()
        self.assertIsNone(self.anna.meeting.through)

    def test_flood(self) -> None:
        """A peer that begins one handshake after the other is answered a few times, then once a second."""
        self.anna.meeting.greet()
        (hello,) = self.anna.said()
        for number in range(100):
            self.bert.hears(number.to_bytes(TICKET, "big") + hello[TICKET:])
        self.assertLessEqual(len({answer[:TICKET] for answer in self.bert.said()}), 5)
        self.assertGreaterEqual(self.bert.mesh.counts["handshake_astray"], 95)
