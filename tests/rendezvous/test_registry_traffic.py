"""What passes between two nodes at a relay, and what does not."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphnet.errors import MalformedFrame
from morphnet.rendezvous.members import LATE, MOST_NEWS, MOST_RECENT, Freshness
from morphnet.rendezvous.registry import BURST, MOST_SOCKETS, PORTION, SHORTEST_PAUSE, TELLING, UNTOLD, Terms
from morphnet.wire.echo import Asked, Echoed, make_request, read_answer
from morphnet.wire.messages.relay import (
    EVERYBODY,
    Absent,
    Present,
    Registered,
    Undelivered,
    number_of,
    opened,
)
from morphnet.wire.messages.revocations import NO_LIST
from tests.rendezvous.case import FakeLine, RegistryTestCase


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
        guest = self.guest(ours)
        self.registry.echo(make_request(guest.echo_id, guest.echo_key, bytes(8), 0), "203.0.113.9", 4500)
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
        self.assertEqual((self.guest(self.laptop).sent, self.guest(self.phone).received), (len(envelope),) * 2)
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
        self.assertEqual(self.guest(self.phone).received, 0)

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
        gone = tv.news()
        self.clock.advance(0)
        self.assertEqual((len(gone), tv.news()), (2 * PORTION, []))
        self.registry.watch(tv, [])
        self.clock.advance(0)
        credit = self.guest(tv).credit
        self.registry.watch(tv, [EVERYBODY])
        self.assertEqual((len(tv.news()), credit - self.guest(tv).credit), (2, 2 * TELLING))

    def test_usage(self) -> None:
        """What a node used is kept when it goes, and added up when it comes again."""
        for _ in range(3):
            self.send(self.laptop, self.number(self.phone), bytes(95))
            self.registry.gone(self.laptop)
            self.laptop = self.come("laptop")
        self.registry.gone(self.phone)
        self.assertEqual(self.registry.usage, {("home", "laptop"): (300, 0), ("home", "phone"): (0, 300)})

    def test_kind_is_not_looked_at(self) -> None:
        """What is in an envelope, even of a kind to come, is the peers' business."""
        self.registry.forward(self.laptop, self.number(self.phone).to_bytes(4, "big") + b"\x99x")
        self.assertRaises(MalformedFrame, opened, self.phone.handed[0])


class EchoTests(RegistryTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.watcher, self.laptop = self.come("phone", "laptop"), self.come("laptop")
        self.watcher.told.clear()
        self.echo_id, self.echo_key = self.guest(self.laptop).echo_id, self.guest(self.laptop).echo_key
        self.turn = 0

    def ask(self, host: str, port: int, socket: int = 0) -> Echoed:
        """From there."""
        self.turn += 1
        request = make_request(self.echo_id, self.echo_key, b"transact", socket, self.turn)
        answer = self.registry.echo(request, host, port)
        assert answer is not None
        return read_answer(answer, self.echo_key)

    def test_answer(self) -> None:
        """Who has registered is told where he comes from, and his watchers with him; once, while it stays so."""
        for _ in range(3):
            self.assertEqual(self.ask("203.0.113.9", 4500), Echoed(b"transact", "203.0.113.9", 4500))
        (told,) = self.watcher.news()
        assert isinstance(told, Present)
        self.assertEqual(told.observed, ("line 203.0.113.9 50000", "observed 203.0.113.9 4500"))
        self.assertEqual(self.registry.counts["echoes"], 3)

    def test_changes(self) -> None:
        """A mapping that changes is told, in place of the old one; other sockets have their own."""
        self.ask("203.0.113.9", 4500)
        self.ask("2001:db8::9", 4500, 1)
        self.ask("203.0.113.9", 4501)
        told = self.watcher.news()
        self.assertEqual(len(told), 3)
        assert isinstance(told[-1], Present)
        self.assertEqual(told[-1].observed[1:], ("observed 203.0.113.9 4501", "observed 2001:db8::9 4500"))

    def test_changes_without_end(self) -> None:
        """A mapping that changes all the time is told some times, then once a second; the last one is what counts."""
        for port in range(1000, 1100):
            self.ask("203.0.113.9", port)
        self.assertEqual(len(self.watcher.news()), MOST_NEWS)
        self.watcher.told.clear()
        self.clock.advance(1.0)
        self.ask("203.0.113.9", 2000)
        self.ask("203.0.113.9", 2001)
        self.assertEqual(len(self.watcher.news()), 1)
        self.assertIn("observed 203.0.113.9 2001", self.guest(self.laptop).present().observed)

    def test_sockets_limited(self) -> None:
        """Of one node's sockets so many are remembered; the others are answered all the same."""
        for socket in range(256):
            self.ask("203.0.113.9", 4500 + socket, socket)
        self.assertEqual(len(self.guest(self.laptop).mapped), MOST_SOCKETS)
        self.assertEqual(len(self.watcher.news()), MOST_SOCKETS)

    def test_replayed(self) -> None:
        """Whoever repeats a request gets nothing, and nobody is told of him; a late one is answered once."""
        for turns in (range(1, 200), [0] * 199):  # a node of today, and one that counts none
            requests = [
                make_request(self.echo_id, self.echo_key, b"%4d%4d" % (step, not turn), 0, turn)
                for step, turn in enumerate(turns)
            ]
            late = requests.pop(150)
            for request in requests:
                self.assertIsNotNone(self.registry.echo(request, "203.0.113.9", 4500))
            self.watcher.told.clear()
            self.registry.counts.clear()
            for request in requests:
                self.assertIsNone(self.registry.echo(request, "192.0.2.66", 53))
            self.assertEqual((self.watcher.news(), self.registry.counts), ([], {"echo_replays": 198}))
            answers = [self.registry.echo(late, "203.0.113.9", 4500) is not None for _ in range(2)]
            self.assertEqual(answers, [True, False])

    def test_held_back(self) -> None:
        """One that was held back for long is none any more; without turns, what was long ago is forgotten."""
        fresh = Freshness()
        self.assertTrue(fresh.take(Asked(bytes(8), 0, 1 << 40)))
        self.assertFalse(fresh.take(Asked(bytes(8), 0, (1 << 40) - LATE)))
        for step in range(3 * MOST_RECENT):
            self.assertTrue(fresh.take(Asked(sha256(step.to_bytes(8, "big")).digest()[:8], 0, 0)))
        self.assertEqual(len(fresh._recent), 8 * MOST_RECENT)

    def test_strangers(self) -> None:
        """Strangers, forgers and who has gone get no answer, and are counted; nobody is told of them."""
        good = make_request(self.echo_id, self.echo_key, bytes(8), 0)
        answer = self.registry.echo(good, "203.0.113.9", 1)
        assert answer is not None
        self.watcher.told.clear()
        wrong = [b"", good[:-1], good + b"x", bytes(64), make_request(b"stranger", self.echo_key, bytes(8), 0),
                 make_request(self.echo_id, bytes(32), bytes(8), 0), answer]  # fmt: skip
        wrong += [good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :] for at in range(64)]
        for datagram in wrong:
            self.assertIsNone(self.registry.echo(datagram, "203.0.113.66", 1))
        self.registry.gone(self.laptop)
        self.assertIsNone(self.registry.echo(good, "203.0.113.9", 1))
        self.assertEqual(self.registry.counts["echo_strangers"], len(wrong) + 1)
        self.assertEqual([type(each) for each in self.watcher.news()], [Absent])
