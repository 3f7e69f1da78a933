"""What passes between two nodes at a relay, and what does not."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphnet.errors import MalformedFrame
from morphnet.rendezvous.relay.registry import BURST, SHORTEST_PAUSE, TELLING, UNTOLD, Terms
from morphnet.rendezvous.relay.telling import PORTION, TURN
from morphnet.wire.echo import make_request
from morphnet.wire.messages.relay import (
    EVERYBODY,
    Present,
    Registered,
    Undelivered,
    number_of,
    opened,
)
from morphnet.wire.messages.revocations import NO_LIST
from tests.rendezvous.relay.case import FakeLine, RegistryTestCase


class NetworkTests(RegistryTestCase):
    """Nodes of two networks at one relay."""

    def test_apart(self) -> None:
        """They never hear of each other, though they watch everybody and have the same names."""
        ours, theirs = self.come("laptop", EVERYBODY, "phone"), self.come("phone", EVERYBODY, network="other")
        twin = self.register(FakeLine("laptop", "other"), EVERYBODY, instance=9)
        self.assertEqual(ours.told, [])
        self.assertEqual((ours.proofs, ours.ended), ([], ""))
        self.assertEqual([each.name for each in twin.told if isinstance(each, Present)], ["phone"])
        for line in (theirs, twin):
            self.registry.gone(line)
        self.registry.watch(ours, ["phone", EVERYBODY])
        self.assertEqual(ours.told, [])

    def test_no_envelope(self) -> None:
        """Nothing is handed from one to the other, whatever number it bears."""
        ours, theirs = self.come("laptop", EVERYBODY), self.come("phone", EVERYBODY, network="other")
        self.send(ours, self.number(theirs))
        self.assertEqual(theirs.handed, [])
        self.assertEqual(ours.news(), [Undelivered(self.number(theirs), True)])

    def test_no_mapping(self) -> None:
        """What the echo learns of a node is told to its own network alone."""
        ours, theirs = self.come("laptop"), self.come("phone", EVERYBODY, network="other")
        member = self.member(ours)
        self.registry.echo.answer(make_request(member.echo_id, member.echo_key, bytes(8), 0), "203.0.113.9", 4500)
        self.assertEqual(theirs.told, [])

    def test_revoked_apart(self) -> None:
        """What is revoked in one network is not in another: its nodes are neither hung up on nor refused."""
        theirs = self.register(FakeLine("laptop", "other", serial="07"))
        theirs.told.clear()
        self.assertEqual(self.registry.revoke("home", ["07"], 3), 0)
        self.assertEqual((theirs.told, theirs.ended), ([], ""))
        (answer,) = self.register(FakeLine("tv", "other", serial="07")).told
        assert isinstance(answer, Registered)
        self.assertEqual(answer.revocations, NO_LIST)


class EnvelopeTests(RegistryTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.laptop, self.phone = self.come("laptop", "phone"), self.come("phone", "laptop")
        self.laptop.told.clear()

    def test_forwarded(self) -> None:
        """An envelope arrives unread, with the sender's number on it; both ends' use is counted."""
        envelope = self.send(self.laptop, self.number(self.phone))
        (handed,) = self.phone.handed
        self.assertEqual((number_of(handed), handed[4:]), (self.number(self.laptop), envelope[4:]))
        self.assertEqual((self.member(self.laptop).sent, self.member(self.phone).received), (len(envelope),) * 2)
        self.assertEqual(self.registry.counts, {"forwarded": 1, "forwarded_bytes": len(envelope)})

    def test_not_watched(self) -> None:
        """Only who watches the sender gets anything from it."""
        tv = self.come("tv")
        for watch, count in (([], 0), (["phone"], 0), (["laptop"], 1), ([EVERYBODY], 2), ([], 2)):
            self.registry.watch(tv, watch)
            self.send(self.laptop, self.number(tv))
            self.assertEqual(len(tv.handed), count, watch)

    def test_nobody(self) -> None:
        """Of envelopes to nobody the sender is told once, and again after many; one that arrives starts the count."""
        for _ in range(UNTOLD):
            self.send(self.laptop, 12345)
        self.assertEqual(self.laptop.news(), [Undelivered(12345, True)])
        self.send(self.laptop, 12345)
        self.assertEqual(self.laptop.news(), [Undelivered(12345, True)])
        self.send(self.laptop, 12345)
        self.send(self.laptop, self.number(self.phone))
        self.send(self.laptop, 54321)
        self.assertEqual(self.laptop.news(), [Undelivered(54321, True)])
        self.assertEqual(self.registry.counts["dropped_nobody"], UNTOLD + 3)

    def test_to_zero(self) -> None:
        """An envelope to number 0 is to nobody, and nothing can be said of it."""
        self.send(self.laptop, 0)
        self.assertEqual((self.laptop.news(), self.registry.counts["dropped_nobody"]), ([], 1))

    def test_empty(self) -> None:
        """An envelope with nothing in it is malformed."""
        for wrong in (b"", bytes(4)):
            self.assertRaises(MalformedFrame, self.registry.forward, self.laptop, wrong)

    @settings(suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.binary(max_size=40))
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes are an envelope to nobody or malformed, and change nothing."""
        try:
            self.registry.forward(self.laptop, junk)
        except MalformedFrame:
            pass
        self.assertEqual((self.phone.handed, self.laptop.handed), ([], []))

    def test_full_line(self) -> None:
        """What a full line does not take is dropped and counted; the sender's other peers do not notice."""
        self.phone.full = True
        tv = self.come("tv", "laptop")
        self.send(self.laptop, self.number(self.phone))
        self.send(self.laptop, self.number(tv))
        self.assertEqual((self.phone.handed, len(tv.handed)), ([], 1))
        self.assertEqual((self.registry.counts["dropped_full"], self.registry.counts["forwarded"]), (1, 1))
        self.assertEqual(self.member(self.phone).received, 0)

    def test_rate(self) -> None:
        """Who sends more than a burst is not read until its rate has made up for it; nothing is dropped for it."""
        self.registry = self.make(Terms(node_rate=10_000.0))
        laptop, phone = self.come("laptop", "phone"), self.come("phone", "laptop")

        def spend(count: int) -> list[float]:
            laptop.pauses.clear()
            for _ in range(count):
                self.send(laptop, self.number(phone), bytes(495))
                self.registry.charge(laptop, 500)
            return [round(seconds, 3) for seconds in laptop.pauses]

        burst = round(BURST * 10_000 / 500)
        self.assertEqual(spend(burst), [])
        self.assertEqual(spend(3), [0.05, 0.1, 0.15])
        self.clock.advance(0.15)
        self.assertEqual(spend(1), [0.05])
        self.clock.advance(100.0)
        self.assertEqual(spend(burst + 1), [0.05])
        self.assertEqual((len(phone.handed), phone.pauses), (2 * burst + 5, []))
        self.assertEqual(self.registry.counts["paused"], 5)

    def test_short_pauses(self) -> None:
        """A pause lasts long enough to be worth a timer; who has gone is charged nothing."""
        self.registry = self.make(Terms(node_rate=1e6))
        laptop = self.come("laptop")
        self.registry.charge(laptop, round(BURST * 1e6) + 1)
        self.registry.gone(laptop)
        self.registry.charge(laptop, 1 << 40)
        self.assertEqual(laptop.pauses, [SHORTEST_PAUSE])

    def test_told_of_many(self) -> None:
        """Who wants to know of a large network is told a few at a time, charged for it, and of nobody who has left."""
        many = [self.come(f"n{number}") for number in range(2 * PORTION)]
        tv = self.register(FakeLine("tv"), EVERYBODY)
        self.assertEqual(len(tv.news()), 1 + PORTION)  # and that it is registered
        for line in many:
            self.registry.gone(line)
        for _ in range(2):
            self.clock.advance(TURN)
        gone = len(tv.news())
        self.assertTrue(0 < gone <= PORTION, gone)  # those of whom it was told
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.registry.watch(tv, [])
        credit = self.member(tv).credit
        self.registry.watch(tv, [EVERYBODY])
        self.assertEqual((len(tv.news()), credit - self.member(tv).credit), (2, 2 * TELLING))

    def test_kind_is_not_looked_at(self) -> None:
        """What is in an envelope, even of a kind to come, is the peers' business."""
        self.registry.forward(self.laptop, self.number(self.phone).to_bytes(4, "big") + b"\x99x")
        self.assertRaises(MalformedFrame, opened, self.phone.handed[0])
