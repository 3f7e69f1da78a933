"""What is kept beside others, and what is taken on top."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.capacity import Capacity
from morphnet.tunnel.share import FOLLOWS, HASTE, LASTING, LESS, MORE, RUINED, SHARE, TOP, Share

WHOLE = 1e6  # bytes a second


class ShareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.whole = Capacity()
        self.whole.seen(WHOLE, 0.0)
        self.share = Share(self.whole)
        self.share.begin(0.5 * WHOLE, 0.0)

    def test_begins(self) -> None:
        """It begins with what we had, but never with less than the share."""
        self.assertEqual(self.share.pace, 0.5 * WHOLE)
        self.share.begin(0.1 * WHOLE, 0.0)
        self.assertEqual(self.share.pace, SHARE * WHOLE)

    def test_less(self) -> None:
        """When it is full, less by a tenth, down to the share."""
        self.share.pace = 0.8 * WHOLE
        self.share.adjust(0.8 * WHOLE, 0.0, 0.0, full=True, now=1.0)
        self.assertAlmostEqual(self.share.pace, LESS * 0.8 * WHOLE)
        for step in range(20):
            self.share.adjust(0.5 * WHOLE, 0.0, 0.0, full=True, now=2.0 + step)
        self.assertAlmostEqual(self.share.pace, SHARE * WHOLE)

    def test_more(self) -> None:
        """In large steps until others were met, then in small ones; while their queue stands up to a bound."""
        self.assertAlmostEqual(self.share.step(0.2, stands=False), HASTE * MORE * 0.2 * WHOLE)
        self.share.meet(1.0)
        self.assertAlmostEqual(self.share.step(0.2, stands=False), MORE * 0.2 * WHOLE)
        self.share.pace = 0.99 * TOP * WHOLE
        self.assertAlmostEqual(self.share.step(1.0, stands=True), 0.01 * TOP * WHOLE)
        self.share.pace = 0.8 * WHOLE
        self.assertEqual(self.share.step(1.0, stands=True), 0.0)

    def test_follows(self) -> None:
        """Who sends what it may goes not far beyond what is delivered; who does not keeps its pace."""
        self.share.pace = 0.8 * WHOLE
        self.share.adjust(0.5 * WHOLE, 0.0, None, full=False, now=1.0)
        self.assertEqual(self.share.pace, 0.8 * WHOLE)
        self.share.adjust(0.5 * WHOLE, 0.0, 1000.0, full=False, now=1.2)
        self.assertAlmostEqual(self.share.pace, FOLLOWS * 0.5 * WHOLE + 1000)

    def test_ruined(self) -> None:
        """What is lost now and then does not lower what is known of the path; what is lost for long does."""
        for step, lost in enumerate((2 * RUINED, RUINED, 2 * RUINED, RUINED)):
            self.share.adjust(0.3 * WHOLE, lost, 0.0, full=True, now=LASTING * step * 0.9)
        self.assertEqual(self.whole.rate, WHOLE)
        self.share.adjust(0.3 * WHOLE, 2 * RUINED, 0.0, full=True, now=LASTING * 4)
        self.assertAlmostEqual(self.whole.rate, LESS * WHOLE)
