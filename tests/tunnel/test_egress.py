"""What waits for a path: fair, short, bounded."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.egress import QUANTUM, REMEMBER, Egress, Piece
from morphnet.wire.segments import Run

TARGET, LONGEST = 0.02, 0.2


def run_of(lane: int, size: int = 1400, slices: int = 1) -> Run:
    """A run whose flow hashes to `lane`."""
    return Run(b"", bytes(size * slices), size, 0, lane)


class EgressTests(SynchronousTestCase):
    def _take(self, egress: Egress, now: float, most: int = 1 << 30) -> list[Run]:
        """Runs as they are taken out, up to `most` bytes of them."""
        taken, size = [], 0
        for piece in egress.take(now, blocked=set()):
            taken.append(piece.run)
            size += piece.run.bytes_of(piece.end - piece.start)
            if size >= most:
                break
        return taken

    def test_order_within_a_lane(self) -> None:
        """What waits in one lane comes out in order, also what was put back."""
        egress = Egress(TARGET, LONGEST, 1 << 20)
        runs = [run_of(1) for _ in range(20)]
        for run in runs:
            egress.put(run, 0, 0.0)
        first = self._take(egress, 0.0, 3000)
        egress.put_back(Piece(first[-1], 0, 1), 0, set())
        self.assertEqual(first[:-1] + self._take(egress, 0.0), runs)
        self.assertFalse(egress)
        self.assertEqual(egress.bytes, 0)

    def test_fair(self) -> None:
        """A lane with super packets and one with small packets get the same share, by bytes."""
        egress = Egress(TARGET, LONGEST, 64 << 20)
        for _ in range(100):
            egress.put(run_of(1, 1400, 44), 0, 0.0)
        for _ in range(20_000):
            egress.put(run_of(2, 200), 0, 0.0)
        sizes: Counter[int] = Counter()
        for run in self._take(egress, 0.0, 3 << 20):
            sizes[run.lane] += run.bytes_of(run.count)
        self.assertLess(abs(sizes[1] - sizes[2]), 2 * (QUANTUM + 1400 * 44))

    def test_leeway(self) -> None:
        """As much may wait as must before a worse path is used, however long that goes on."""
        for leeway, dropped in ((0.0, True), (0.1, False)):
            egress, now = Egress(TARGET, LONGEST, 1 << 20), 0.0
            egress.leeway = leeway
            for step in range(100):
                egress.put(run_of(1), 0, now)
                if step >= 4:
                    self._take(egress, now, 1)
                now += 0.015
            self.assertEqual(egress.codel_drops > 0, dropped)

    def test_blocked_lane(self) -> None:
        """A lane without room holds no other up."""
        egress = Egress(TARGET, LONGEST, 1 << 20)
        for lane in (1, 2, 1, 2):
            egress.put(run_of(lane), 0, 0.0)
        blocked: set[int] = set()
        taken = []
        for piece in egress.take(0.0, blocked=blocked):
            if piece.run.lane == 1:
                egress.put_back(piece, piece.start, blocked)
            else:
                taken.append(piece)
        self.assertEqual(len(taken), 2)
        self.assertTrue(egress.waits(1))

    def test_bounded(self) -> None:
        """No more is kept than the bound, even of empty packets, and what overflows is the longest lane's."""
        egress = Egress(TARGET, LONGEST, 100_000)
        egress.put(run_of(2), 0, 0.0)
        for _ in range(5000):
            egress.put(run_of(1, 1), 0, 0.0)
            self.assertLessEqual(egress.bytes, 100_000)
        self.assertLessEqual(sum(1 for _ in egress.take(0.0, blocked=set())), 100_000 // REMEMBER)
        self.assertGreater(egress.overflow_drops, 4000)

    def test_codel(self) -> None:
        """A queue that stands for long is drained by drops; one that comes and goes is let be."""
        standing, passing, searching = (Egress(TARGET, LONGEST, 1 << 20) for _ in range(3))
        searching.searching = True  # nor one while the rate of a path is still being found
        for step in range(2000):
            now = step * 0.001
            for egress in (standing, passing, searching):
                egress.put(run_of(1), 0, now)
            if step > 50:
                self._take(standing, now, 1)
                self._take(searching, now, 1)
            if step % 15 == 14:
                self._take(passing, now)
        self.assertGreater(standing.codel_drops, 5)
        self.assertEqual(passing.codel_drops + passing.age_drops + searching.codel_drops, 0)

    def test_too_old(self) -> None:
        """Nothing waits longer than the bound, unless there was no path at all."""
        for renewed in (False, True):
            egress = Egress(TARGET, LONGEST, 1 << 20)
            for step in range(10):
                egress.put(run_of(1), 0, step * 0.001)
            if renewed:
                egress.renew(LONGEST + 1)
            self.assertEqual(len(self._take(egress, LONGEST + 1)), 10 if renewed else 0)
            self.assertEqual(egress.bytes, 0)

    def test_lost_goes_first(self) -> None:
        """What a path lost goes before what is new in its lane, in order, also what was put back; not before others."""
        egress = Egress(TARGET, LONGEST, 1 << 20)
        new, other, lost = run_of(1), run_of(2), run_of(1, slices=60)
        egress.put(other, 0, 0.0)
        egress.put(new, 0, 0.0)
        for start in (0, 20, 40):
            egress.put_again(Piece(lost, start, start + 20, 0.0))
        taken = []
        for piece in egress.take(0.0, blocked=set()):
            taken.append((piece.run, piece.start))
            if piece[:2] == (lost, 20):
                egress.put_back(piece, 25, set())
        self.assertEqual(
            [each for each in taken if each[0] is not other], [(lost, 0), (lost, 20), (lost, 25), (lost, 40), (new, 0)]
        )
        self.assertLess(taken.index((other, 0)), 2)
        self.assertEqual((bool(egress), egress.bytes), (False, 0))

    def test_held_up_by_what_was_lost(self) -> None:
        """What is new waits for what was lost, and gets no older by that; what was lost is never too old."""
        egress = Egress(TARGET, LONGEST, 1 << 20)
        egress.put(run_of(1), 0, 0.0)
        egress.put_again(Piece(run_of(1), 0, 1, 0.0))
        egress.renew(1.0)
        self.assertEqual(len(self._take(egress, 1.0 + 2 * LONGEST)), 2)
        egress.put_again(Piece(run_of(1), 0, 1, 0.0))
        egress.put(run_of(1), 0, 0.0)
        egress.expire(0.1)
        self.assertEqual((bool(egress), egress.age_drops), (False, 2))

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3000), st.integers(1, 8), st.booleans()), max_size=60))
    def test_conserved(self, steps: list[tuple[int, int, int, bool]]) -> None:
        """Every slice that goes in comes out or is counted as dropped, and the byte count ends at zero."""
        egress, now, put, got = Egress(TARGET, LONGEST, 40_000), 0.0, 0, 0
        for lane, size, slices, take in steps:
            now += size / 50_000
            egress.put(run_of(lane, size, slices), 0, now)
            put += slices
            if take:
                for piece in egress.take(now, blocked=set()):
                    got += piece.end - piece.start
                    break
        got += sum(piece.end - piece.start for piece in egress.take(now, blocked=set()))
        self.assertEqual(put, got + egress.codel_drops + egress.overflow_drops + egress.age_drops)
        self.assertEqual(egress.bytes, 0)
