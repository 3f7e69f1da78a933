"""When what was sent by a path will be there."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.landing import FEW, Landing
from morphnet.tunnel.rtt import UNKNOWN

RATE = 1e6  # bytes a second


class LandingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.landing = Landing(0.0)
        self.landing.way = 0.02

    def test_one_behind_the_other(self) -> None:
        """What is sent lies behind what was sent before, and each byte takes its time."""
        self.landing.told(RATE, 0, (0.0, 0.02))
        for turn in range(1, 4):
            self.landing.sent(10_000, 0.04)
            self.assertAlmostEqual(self.landing.at, 0.04 + 0.02 + turn * 0.01)

    def test_idle(self) -> None:
        """After a pause it is there as soon as the way allows."""
        self.landing.told(RATE, 0, (0.0, 0.02))
        self.landing.sent(10_000, 5.0)
        self.assertAlmostEqual(self.landing.at, 5.0 + 0.02 + 0.01)

    def test_acknowledged(self) -> None:
        """An Ack says what is still on its way: as much as it does not tell of, at the rate that was seen."""
        self.landing.sent(1_000_000, 0.0)
        self.landing.told(RATE, 50_000, (0.06, 0.08))
        self.assertAlmostEqual(self.landing.at, 0.08 + 0.05)

    def test_slow_sample(self) -> None:
        """However little was delivered of late, a few packets in a round trip always are."""
        self.landing.told(1.0, FEW, (0.06, 0.08))
        self.assertAlmostEqual(self.landing.at, 0.08 + 2 * 0.02)

    def test_nothing_known(self) -> None:
        """Before anything was measured a few packets take as long as a round trip is thought to, and the way there."""
        landing = Landing(1.0)
        landing.sent(FEW, 1.0)
        self.assertAlmostEqual(landing.at, 1.0 + UNKNOWN / 2 + UNKNOWN)

    def test_newest_before_a_pause(self) -> None:
        """What was sent after a pause does not land before that, even if the Ack tells of what was sent long before."""
        self.landing.told(RATE, 0, (0.0, 0.02))
        self.landing.sent(10_000, 5.0)
        self.landing.told(RATE, 10_000, (0.0, 0.02))
        self.assertAlmostEqual(self.landing.at, 5.0 + 0.02 + 0.01)
        self.landing.sent(10_000, 5.0)
        self.landing.told(RATE, 10_000, (5.0, 5.03))
        self.assertAlmostEqual(self.landing.at, 5.03 + 0.01)
