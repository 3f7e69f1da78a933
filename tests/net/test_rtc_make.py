"""Which makes there are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net import rtc_make
from morphnet.net.rtc_make import MAKES, chosen


class ChosenTests(SynchronousTestCase):
    def here(self, *names: str) -> None:
        """Only these are installed."""
        self.patch(rtc_make, "find_spec", lambda name: name if name in names else None)

    def test_chosen(self) -> None:
        """The best one that is here, the one that was asked for, or none."""
        self.here(*MAKES)
        self.assertEqual([chosen(each) for each in ("auto", "wrtc", "aiortc", "")], ["wrtc", "wrtc", "aiortc", None])
        self.here("aiortc")
        self.assertEqual([chosen(each) for each in ("auto", "wrtc", "aiortc")], ["aiortc", None, "aiortc"])
        self.here()
        self.assertIsNone(chosen("auto"))
