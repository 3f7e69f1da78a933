"""What a path may lose without being full."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.usual_loss import BEYOND, LOSSY, SOME, USUAL, UsualLoss


class UsualLossTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """Of a path that is not known some loss is tolerated."""
        self.assertEqual(UsualLoss().tolerated(), LOSSY)

    def test_clean(self) -> None:
        """A path that never loses anything may lose nothing."""
        usual = UsualLoss()
        usual.learn(0.0, 0.2)
        self.assertEqual(usual.tolerated(), 0.0)

    def test_learned(self) -> None:
        """What it loses for long becomes usual, and some times as much is tolerated."""
        usual = UsualLoss()
        usual.learn(0.0, 0.2)
        for _ in range(200):
            usual.learn(0.01, USUAL / 10)
        self.assertAlmostEqual(usual.tolerated(), BEYOND * 0.01 + SOME, 4)
