"""What a path delivers to all: seen, or reckoned."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.capacity import MEMORY, RECKONED, SURE, Capacity

WHOLE, BASE = 1e6, 0.04  # bytes a second, seconds


class CapacityTests(SynchronousTestCase):
    def _sure(self) -> Capacity:
        capacity = Capacity()
        capacity.seen(WHOLE, 0.0)
        for _ in range(SURE):
            capacity.was_ours(0.0)
        return capacity

    def test_known(self) -> None:
        """It is known when a queue has been ours several times in a row, for half a minute, or as long as it is so."""
        capacity = Capacity()
        capacity.seen(WHOLE, 0.0)
        for _ in range(SURE):
            self.assertFalse(capacity.known(0.0))
            capacity.was_ours(0.0)
        self.assertTrue(capacity.known(MEMORY - 1))
        capacity.confirm(MEMORY - 1)
        self.assertTrue(capacity.known(2 * MEMORY - 2))
        self.assertFalse(capacity.known(2 * MEMORY))
        capacity.confirm(2 * MEMORY)
        self.assertFalse(capacity.known(2 * MEMORY))

    def test_chance(self) -> None:
        """A queue that is not ours makes those before it chance."""
        capacity = Capacity()
        for _ in range(SURE - 1):
            capacity.was_ours(0.0)
        capacity.reckon(WHOLE, WHOLE / 2, BASE, 0.0, 0.0, 0.0)
        capacity.was_ours(0.0)
        self.assertFalse(capacity.known(0.0))

    @given(st.floats(0.1, 0.9), st.floats(0.0, 0.3))
    def test_reckoned(self, share: float, queue: float) -> None:
        """From the bytes that we took out of it, and the time that this made a round trip shorter: exact, by Little."""
        before = BASE + queue  # others keep as much in flight as they had: the wire stays full
        ours, theirs = share * WHOLE * before, (1 - share) * WHOLE * before
        fewer = ours / 2
        after = (theirs + fewer) / WHOLE
        sent = fewer / after
        capacity = Capacity()
        capacity.seen(share * WHOLE, 0.0)
        capacity.reckon(share * WHOLE, sent, after, before - after, 0.0, 0.0)
        self.assertAlmostEqual(capacity.rate / WHOLE, 1.0, 3)

    def test_bounded(self) -> None:
        """A queue that did not fall makes it no larger than the unrest of the samples leaves open, nor than any bound;
        and one that fell because others went makes it no less than what we had."""
        capacity = Capacity()
        capacity.reckon(WHOLE, WHOLE / 2, BASE, -0.02, 0.01, 0.0)
        self.assertLess(capacity.rate, 2 * WHOLE)
        capacity.reckon(WHOLE, WHOLE / 2, 1.0, 0.0, 0.0, 0.0)
        self.assertLessEqual(capacity.rate, RECKONED * WHOLE)
        capacity = Capacity()
        capacity.reckon(WHOLE, WHOLE / 2, BASE, 1e9, 0.0, 0.0)
        self.assertAlmostEqual(capacity.rate / WHOLE, 1.0)

    def test_others_move(self) -> None:
        """They take what we leave, or lose something meanwhile: two reckonings count as their mean, a void one not."""
        capacity = Capacity()
        for times in (4.0, 0.25):  # the queue fell less than by our doing, then more
            fell = 0.01 / times
            capacity.reckon(WHOLE, 0.5 * WHOLE, 0.02, fell, 0.0, 0.0)
            self.assertTrue(capacity.told)
        reckoned = capacity.rate
        first, second = (WHOLE * (0.02 + fell - 0.01) / fell for fell in (0.0025, 0.04))
        self.assertAlmostEqual(reckoned, (first * second) ** 0.5)
        capacity.reckon(WHOLE, 0.5 * WHOLE, 0.02, -0.01, 0.0, 0.0)
        self.assertEqual(capacity.rate, reckoned)

    def test_seen_is_better(self) -> None:
        """What was seen while nobody else was there is not replaced by a guess."""
        capacity = self._sure()
        capacity.reckon(WHOLE / 2, WHOLE / 4, BASE, 0.001, 0.0, 1.0)
        self.assertEqual(capacity.rate, WHOLE)
