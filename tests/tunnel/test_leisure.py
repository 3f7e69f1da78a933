"""When a path had room that nobody wanted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.leisure import BRIEF, Leisure


class LeisureTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A sample has just ended."""
        self.leisure = Leisure()
        self.leisure.sampled(0.0, 0.0)

    def test_busy(self) -> None:
        """Who is refused, and comes again as soon as there may be room, leaves it none."""
        for step in range(20):
            self.leisure.wanted(0.01 * step, 0.01 * step)
            self.leisure.refused(0.01 * step)
        self.assertFalse(self.leisure.sampled(0.2, 0.19))

    def test_bursts(self) -> None:
        """A burst that was refused for a moment, and a long time in which nothing came: that was leisure."""
        self.leisure.refused(0.01)
        self.assertTrue(self.leisure.sampled(0.2, 0.02))

    def test_free(self) -> None:
        """Until what it was given has left it has no room, though nobody wants any."""
        self.leisure.refused(0.0)
        self.assertFalse(self.leisure.sampled(0.2, 0.2 - BRIEF))

    def test_sample_before(self) -> None:
        """What a sample tells of may have been sent in the time of the one before it."""
        self.assertTrue(self.leisure.sampled(0.2, 0.0))
        self.assertTrue(self.leisure.sampled(0.4, 0.4))
        self.assertFalse(self.leisure.sampled(0.6, 0.6))
