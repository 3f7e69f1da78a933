"""What a program is handed: no more than it has room for, all of it in the end, and in its order."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.inbox import Inboxes, Taken, charge
from morphnet.net.portions import LONGEST_PAUSE, MOST, MOST_BYTES, MOST_HELD, OWN, PAUSE, Portions

SIZE = 1363  # bytes
ROOM = 10  # datagrams


def datagrams(count: int, first: int = 0, size: int = SIZE) -> list[bytes]:
    return [number.to_bytes(4, "big") + bytes(size - 4) for number in range(first, first + count)]


class PortionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.inbox, self.asked, self.known = Clock(), list[bytes](), 0, True
        self.sent, self.inboxes = list[bytes](), Inboxes()
        self.portions = self.make()

    def make(self) -> Portions:
        return Portions(self.clock, self.take, self.inboxes, self.taken)

    def take(self, batch: object) -> None:
        assert isinstance(batch, list)
        self.sent += batch
        self.inbox += batch

    def taken(self) -> Taken | None:
        self.asked += 1
        return Taken(sum(charge(len(each)) for each in self.inbox), ROOM * charge(SIZE)) if self.known else None

    def test_room(self) -> None:
        """What has room goes at once, and nobody is asked for each."""
        whole = datagrams(ROOM)
        for each in whole:
            self.assertEqual(self.portions.put([each]), 0)
        self.assertEqual((self.sent, len(self.portions), self.clock.getDelayedCalls()), (whole, 0, []))
        self.assertLess(self.asked, ROOM)
        self.portions.put(datagrams(1))
        self.assertEqual((len(self.sent), len(self.portions)), (ROOM, 1))

    def test_credit_ends(self) -> None:
        """What was free before has been used: after a batch that had no room nothing goes unasked."""
        self.portions.put(datagrams(1))
        self.portions.put(datagrams(ROOM))
        self.inbox.pop()
        self.clock.advance(PAUSE)
        self.portions.put(datagrams(1))
        self.assertEqual((len(self.sent), len(self.portions)), (ROOM + 1, 1))

    def test_waits(self) -> None:
        """The rest follows as the program reads, and so does what comes later, be it little."""
        whole = datagrams(3 * ROOM + 2)
        for batch in (whole[: 3 * ROOM], whole[3 * ROOM :]):
            self.assertEqual(self.portions.put(batch), 0)
        self.assertEqual(self.sent, whole[:ROOM])
        del self.inbox[:4]
        self.clock.advance(PAUSE)
        self.assertEqual(self.sent, whole[: ROOM + 4])
        while self.portions:
            self.inbox.clear()
            self.clock.advance(PAUSE)
        self.assertEqual((self.sent, self.clock.getDelayedCalls()), (whole, []))

    def test_reads_nothing(self) -> None:
        """It is asked less and less often, a bounded number waits, and what there is no place for is told."""
        self.assertEqual(self.portions.put(datagrams(ROOM + MOST + 3)), 3)
        self.assertEqual(self.portions.put(datagrams(2)), 2)
        self.asked = 0
        self.clock.pump([PAUSE] * 1000)
        self.assertLess(self.asked, 1000 * PAUSE / LONGEST_PAUSE + 10)
        self.inbox.clear()
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(len(self.sent), 2 * ROOM)

    def test_large(self) -> None:
        """So many bytes wait at most; one that is larger than all of the buffer is handed on once that is empty."""
        large = datagrams(20, size=60_000)
        self.assertEqual(self.portions.put(large), len(large) - 1 - MOST_BYTES // 60_000)
        self.assertEqual(len(self.sent), 1)
        self.inbox.clear()
        self.clock.advance(PAUSE)
        self.assertEqual(self.sent, large[:2])

    def test_held(self) -> None:
        """For all programs together so much waits and no more; what has gone, or was dropped, makes room."""
        large = datagrams(1 + MOST_BYTES // 60_000, size=60_000)
        self.portions.put(large)
        others = [self.make() for _ in range(2 * MOST_HELD // MOST_BYTES)]
        for each in others:
            each.put(large)
        held = sum(len(each) for each in (self.portions, *others)) * (60_000 + OWN)
        self.assertEqual(self.inboxes.held, held)
        self.assertTrue(MOST_HELD - 61_000 < held <= MOST_HELD, held)
        others[0].close()
        self.assertEqual(others[-1].put(large[:3]), 0)
        while self.clock.getDelayedCalls():
            self.inbox.clear()
            self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(self.inboxes.held, 0)

    def test_unknown(self) -> None:
        """Nothing waits for who is on another machine, nor for who has gone while something waited."""
        self.portions.put(datagrams(2 * ROOM))
        self.known = False
        self.clock.advance(PAUSE)
        self.portions.put(datagrams(2 * ROOM))
        self.assertEqual((len(self.sent), len(self.portions)), (4 * ROOM, 0))

    def test_closed(self) -> None:
        """Nothing is left to be called."""
        self.portions.put(datagrams(2 * ROOM))
        self.portions.close()
        self.assertEqual((len(self.portions), self.inboxes.held, self.clock.getDelayedCalls()), (0, 0, []))
