"""The replay window against an oracle that forgets nothing (D1)."""

from __future__ import annotations

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.replay import WINDOW, ReplayWindow


class Oracle:
    """All numbers ever seen, and the same idea of what is too old."""

    def __init__(self, size: int) -> None:
        self.size, self.seen, self.highest = size, set[int](), -1

    def add_run(self, first: int, count: int) -> bool:
        run = range(first, first + count)
        highest = max(self.highest, run[-1])
        if any(n in self.seen for n in run) or (first <= self.highest and highest - first >= self.size):
            return False
        self.seen.update(run)
        self.highest = highest
        return True


class ReplayTests(SynchronousTestCase):
    def test_million(self) -> None:
        """Of 10^6 shuffled and replayed numbers none is accepted twice, none that is fresh is turned away (D1)."""
        chance, window, oracle = random.Random(1), ReplayWindow(), Oracle(WINDOW)
        self.assertGreaterEqual(window.size, 8128)
        order = sorted(range(500_000), key=lambda n: n + chance.randrange(8_000))
        for number in order:
            self.assertEqual(window.add(number), oracle.add_run(number, 1))
            again = max(0, number - chance.randrange(9_000))
            self.assertEqual(window.add(again), oracle.add_run(again, 1))
        self.assertEqual(len(oracle.seen), 500_000)

    @given(st.integers(1, 80), st.lists(st.tuples(st.integers(0, 200), st.integers(1, 64)), max_size=60))
    def test_runs(self, size: int, runs: list[tuple[int, int]]) -> None:
        """Runs are accepted whole or not at all, as the oracle says, and `fresh_among` knows before."""
        window, oracle = ReplayWindow(size), Oracle(size)
        for first, count in runs:
            if count > size:
                continue
            fresh = window.fresh_among(first, count)
            self.assertEqual(fresh, sum(window.fresh(number) for number in range(first, first + count)))
            taken = window.add_run(first, count)
            self.assertEqual(taken, count if oracle.add_run(first, count) else 0)
            if count == 1 or first > window.highest - count:
                self.assertEqual(bool(taken), fresh == count)
            self.assertEqual(window.highest, oracle.highest)

    @given(st.lists(st.integers(0, 300), max_size=80), st.integers(1, 40), st.integers(1, 300))
    def test_ranges(self, numbers: list[int], most: int, span: int) -> None:
        """The ranges that an Ack tells are what was seen, newest first."""
        window = ReplayWindow()
        for number in numbers:
            window.add(number)
        ranges = window.ranges(most, span)
        told = [n for first, last in ranges for n in range(last, first - 1, -1)]
        recent = sorted((n for n in set(numbers) if n > max(numbers) - span), reverse=True)
        self.assertEqual(told, recent[: len(told)])
        if len(ranges) < most:
            self.assertEqual(told, recent)

    def test_far_future(self) -> None:
        """A number at the far end of 64 bits costs no memory and no time, and old numbers stay refused (E4)."""
        window = ReplayWindow()
        window.add_run(0, 64)
        tracemalloc.start()
        try:
            self.assertTrue(window.add(2**64 - 1))
            self.assertLess(tracemalloc.get_traced_memory()[1], 100_000)
        finally:
            tracemalloc.stop()
        self.assertFalse(window.add(63))
        self.assertFalse(window.add(2**64 - 1))
        self.assertTrue(window.add(2**64 - 2))
        self.assertLessEqual(window.bits.bit_length(), WINDOW)
