"""Order within a lane, bounded in packets, bytes and time (E4)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects
from morphnet.tunnel.patience import Patience
from morphnet.tunnel.reorder import Held, Reorder
from morphnet.wire.batch import VNET_HDR
from morphnet.wire.ip import TCP

PATIENCE = 0.05


class Receiver:
    """Hands numbered packets, sent one each microsecond, to a Reorder and keeps what comes out."""

    def __init__(self, paths: int = 2, packets: int = 4096, most_bytes: int = 8 << 20, tcp: float = 0.0) -> None:
        self.patience = Patience(PATIENCE, tcp)
        self.reorder = Reorder(self, self.patience, packets, most_bytes)
        self.repair = 0.0  # seconds that one takes
        self.asked = 0  # times that it wanted to know whether every path has passed something
        self.newest = [-1] * paths  # number last brought by each path
        self.out: list[tuple[float, int, int]] = []  # (at, lane, number)
        self.now = 0.0

    def repaired_within(self) -> float:
        return self.repair

    def passed(self, sent_at: int) -> bool:
        self.asked += 1
        return min(self.newest) > sent_at

    def _took(self, out: list[bytearray]) -> None:
        self.out += [(self.now, packet[0], int.from_bytes(packet[1:9], "big")) for packet in out]

    def bring(
        self,
        number: int,
        path: int = 0,
        lane: int = 0,
        *,
        ordered: bool = True,
        size: int = 9,
        tcp: int | None = None,
    ) -> None:
        """
        The packet with that number arrives by a path.

        :param tcp: bytes of TCP's payload, if it is such a packet.
        """
        out = list[bytearray]()
        packet = bytearray(bytes((lane,)) + number.to_bytes(8, "big")).ljust(size, b"\0")
        if tcp is not None:
            packet = packet.ljust(VNET_HDR, b"\0") + bytes((0x45, *bytes(8), TCP, *bytes(22), 5 << 4, *bytes(7 + tcp)))
        self.newest[path] = max(self.newest[path], number)
        if self.reorder.lane(lane).seen.add(number):
            held = Held(number, 1, packet, len(packet), number)
            self.reorder.accept(lane, held, ordered, self.now, out)
        self._took(out)

    def wait(self, seconds: float) -> None:
        """Let time pass, calling at exactly the times that it asks for."""
        end = self.now + seconds
        while self.reorder.due_at() <= end:
            due = self.reorder.due_at()
            self.now = max(self.now, due)
            effects = Effects()
            self.reorder.expire(self.now, effects)
            self._took(effects.delivers)
            assert self.reorder.due_at() > due, "it asks for a moment that has passed"
        self.now = end

    @property
    def numbers(self) -> list[int]:
        return [number for _, _, number in self.out]


class OrderTests(SynchronousTestCase):
    def test_in_order(self) -> None:
        """What comes in order goes through at once."""
        receiver = Receiver()
        for number in range(10):
            receiver.bring(number)
        self.assertEqual(receiver.numbers, list(range(10)))
        self.assertEqual(receiver.reorder.due_at(), float("inf"))

    def test_follows(self) -> None:
        """A run goes through at once if it is new, the next, and nothing waits; else nothing is remembered of it."""
        receiver = Receiver()
        self.assertFalse(receiver.reorder.follows(0, 0, 3))  # who began where is not known yet
        receiver.bring(0)
        self.assertTrue(receiver.reorder.follows(0, 1, 4))
        for first, count in ((1, 4), (4, 2), (6, 2)):  # again, in part, and behind a gap
            self.assertFalse(receiver.reorder.follows(0, first, count))
        receiver.bring(6)
        self.assertFalse(receiver.reorder.follows(0, 5, 1))  # what waits comes right behind it
        receiver.bring(5)
        self.assertTrue(receiver.reorder.follows(0, 7, 2))
        receiver.bring(9)
        self.assertEqual(receiver.numbers, [0, 5, 6, 9])

    def test_two_paths(self) -> None:
        """What two paths bring in their own order comes out in order."""
        receiver = Receiver()
        for number in (0, 1, 5, 2, 6, 7, 3, 4, 8):
            receiver.bring(number, path=1 if number in (5, 6, 7) else 0)
        self.assertEqual(receiver.numbers, list(range(9)))

    def test_gap_passed_by_all(self) -> None:
        """A gap is given up, without waiting, once every path has brought something sent later."""
        receiver = Receiver()
        for number, path in ((0, 0), (1, 1), (3, 0), (4, 1), (5, 0)):
            receiver.bring(number, path)
        self.assertEqual(receiver.numbers, [0, 1, 3, 4, 5])
        receiver.bring(2)
        self.assertEqual(receiver.numbers, [0, 1, 3, 4, 5, 2])

    def test_gap_given_up(self) -> None:
        """A gap holds others up for `patience` and no longer."""
        receiver = Receiver()
        receiver.bring(0)
        receiver.bring(1, path=1)
        receiver.bring(9)
        receiver.wait(PATIENCE * 0.9)
        self.assertEqual(receiver.numbers, [0, 1])
        receiver.wait(PATIENCE * 0.2)
        self.assertEqual(receiver.out[-1], (PATIENCE, 0, 9))

    def test_lanes_apart(self) -> None:
        """What is missing in one lane holds no other up."""
        receiver = Receiver()
        receiver.bring(0, lane=1)
        receiver.bring(1, path=1, lane=1)
        receiver.bring(5, lane=1)
        for number in range(100):
            receiver.bring(number, lane=2)
        self.assertEqual(len(receiver.numbers), 102)

    def test_unordered(self) -> None:
        """Without the flag nothing waits."""
        receiver = Receiver()
        for number in (0, 5, 3, 9):
            receiver.bring(number, ordered=False)
        self.assertEqual(receiver.numbers, [0, 5, 3, 9])


class RepairTests(SynchronousTestCase):
    """Who sends again what was lost is waited for: with TCP's data long, with all else if it comes in time."""

    TCP = 0.25

    def _receiver(self, repair: float = 0.045) -> Receiver:
        receiver = Receiver(tcp=self.TCP)
        receiver.repair = repair
        receiver.bring(0)
        receiver.bring(1, path=1)
        return receiver

    def test_data_waits(self) -> None:
        """What TCP carries waits for what is missing, though every path has brought something later."""
        receiver = self._receiver()
        for number in range(3, 9):
            receiver.bring(number, path=number % 2, tcp=1)
        receiver.wait(0.1)
        self.assertEqual(receiver.numbers, [0, 1])
        receiver.bring(2, tcp=1)
        self.assertEqual(receiver.numbers, list(range(9)))

    def test_data_waits_no_longer(self) -> None:
        """It does so for its own time and no longer."""
        receiver = self._receiver()
        receiver.bring(3, tcp=1)
        receiver.wait(1.0)
        self.assertEqual(receiver.out[-1], (self.TCP, 0, 3))

    def test_acknowledgements(self) -> None:
        """TCP's bare acknowledgements wait for none of them: the next says it all."""
        receiver = self._receiver()
        receiver.bring(3, path=0, tcp=0)
        receiver.bring(4, path=1, tcp=0)
        receiver.bring(5, path=0, tcp=0)
        self.assertEqual(receiver.numbers, [0, 1, 3, 4, 5])

    def test_rest(self) -> None:
        """All else waits as long as ever, for what will be here by then; if it will not, it is not waited for."""
        for repair, waits in ((0.045, True), (0.08, False)):
            receiver = self._receiver(repair)
            for number in (3, 4, 5):
                receiver.bring(number, path=number % 2)
            self.assertEqual(receiver.numbers == [0, 1], waits)
            receiver.wait(1.0)
            self.assertEqual(receiver.numbers, [0, 1, 3, 4, 5])
            self.assertLessEqual(receiver.out[-1][0], PATIENCE)

    def test_beside_each_other(self) -> None:
        """In one lane each waits for its own time: what is not TCP is let go, and what is before it goes along."""
        receiver = self._receiver()
        for number, tcp in ((3, 1), (5, None), (7, 1)):
            receiver.bring(number, tcp=tcp)
            receiver.wait(0.01)
        receiver.wait(0.1)
        self.assertEqual([(round(at, 3), number) for at, _, number in receiver.out[2:]], [(0.06, 3), (0.06, 5)])
        receiver.wait(1.0)
        self.assertEqual(receiver.out[-1][2], 7)
        self.assertAlmostEqual(receiver.out[-1][0], 0.02 + self.TCP)


class BoundTests(SynchronousTestCase):
    def test_far_future(self) -> None:
        """Sequences far ahead hold nothing up for longer than the bound, and take no more than it allows (E4)."""
        receiver = Receiver()
        receiver.bring(0)
        receiver.bring(1, path=1)
        receiver.bring(8000)
        for number in range(3, 2000):  # 2 is missing for good
            receiver.bring(number, path=number % 2)
            receiver.wait(0.001)
        receiver.wait(PATIENCE)
        self.assertEqual(receiver.reorder.packets, 0)
        self.assertEqual(sorted(receiver.numbers), [0, 1, *range(3, 2000), 8000])

    def test_packets(self) -> None:
        """No more packets are held than the bound allows, in all lanes together, and none is lost."""
        receiver = Receiver(packets=100)
        for lane in range(50):
            receiver.bring(0, lane=lane)
            receiver.bring(1, path=1, lane=lane)
        for number in range(10, 1010):
            receiver.bring(number, lane=number % 50)
            self.assertLessEqual(receiver.reorder.packets, 100)
        receiver.wait(1.0)
        self.assertEqual(len(receiver.numbers), 1100)

    def test_bytes(self) -> None:
        """Nor more bytes."""
        receiver = Receiver(most_bytes=100_000)
        receiver.bring(0)
        receiver.bring(1, path=1)
        for number in range(10, 200):
            receiver.bring(number, size=1400)
            self.assertLessEqual(receiver.reorder.bytes, 100_000)

    def test_backwards(self) -> None:
        """
        Packets that come the last one first, with a gap before each, are all delivered in their order when the time of
        the first to come is over; that takes no longer for each of them than for one.
        """
        for count in (10, 4000):
            receiver = Receiver()
            receiver.bring(0)
            receiver.bring(2 * count + 10)
            receiver.wait(0.045)
            numbers = [2 * count + 10 - 2 * step for step in range(1, count)]
            for number in numbers:
                receiver.bring(number)
            self.assertEqual((receiver.numbers, receiver.asked), ([0], count))
            receiver.wait(0.0051)
            self.assertEqual(receiver.numbers, [0, *reversed(numbers), 2 * count + 10])
            self.assertEqual((receiver.asked, receiver.reorder.gaps), (count, count))
            self.assertEqual(receiver.reorder.due_at(), float("inf"))

    def test_forgets(self) -> None:
        """What went on in its turn is not remembered because something else waits."""
        receiver = Receiver()
        receiver.bring(0)
        receiver.bring(5000)
        for number in range(1, 3000, 2):
            receiver.bring(number + 1)
            receiver.bring(number)
        self.assertEqual(len(receiver.numbers), 3001)
        self.assertLess(len(receiver.reorder.lane(0).arrived), 1600)
        receiver.wait(PATIENCE * 2)
        self.assertEqual(len(receiver.reorder.lane(0).arrived), 0)

    @given(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2), st.integers(0, 2), st.floats(0, 0.03)), max_size=120)
    )
    def test_whatever_comes(self, steps: list[tuple[int, int, int, float]]) -> None:
        """Whatever comes by whatever path: all of it is delivered, once, and nothing waits longer than the bound."""
        receiver = Receiver(3, packets=20)
        came = dict[tuple[int, int], float]()
        for number, path, lane, pause in steps:
            came.setdefault((lane, number), receiver.now)
            receiver.bring(number, path, lane)
            receiver.wait(pause)
        receiver.wait(PATIENCE * 2)
        self.assertEqual(sorted((lane, number) for _, lane, number in receiver.out), sorted(came))
        for at, lane, number in receiver.out:
            self.assertLessEqual(at - came[lane, number], PATIENCE + 1e-6)
        self.assertEqual((receiver.reorder.packets, receiver.reorder.bytes), (0, 0))
