"""Lengths of padding."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.shapes.padding import Padding


class PaddingTests(SynchronousTestCase):
    def test_each(self) -> None:
        """Every length from the least to the most comes, about as often as any other, and none beside."""
        padding, drawn = Padding(random.Random(1).randbytes), dict[int, int]()
        for _ in range(16_000):
            each = padding.draw(5, 20)
            drawn[each] = drawn.get(each, 0) + 1
        self.assertEqual(set(drawn), set(range(5, 21)))
        self.assertGreater(min(drawn.values()), 850)

    def test_bounds(self) -> None:
        """Never more than 255; where least and most are the same, or most is less, it is the least."""
        padding = Padding(random.Random(1).randbytes)
        self.assertLessEqual(max(padding.draw(0, 1000) for _ in range(2000)), 255)
        self.assertEqual([padding.draw(7, 7), padding.draw(0, 0), padding.draw(3, 1)], [7, 0, 3])
