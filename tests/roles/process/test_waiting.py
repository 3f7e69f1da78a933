"""Waiting for something that nobody tells of."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.process.waiting import LOOK_EVERY, until


class UntilTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.held = Clock(), False

    def test_holds(self) -> None:
        """It fires with the time that it took."""
        waiting = until(lambda: self.held, 2.0, self.clock, self.clock.seconds)
        self.clock.advance(LOOK_EVERY)
        self.held = True
        self.clock.advance(LOOK_EVERY)
        self.assertAlmostEqual(self.successResultOf(waiting) or 0.0, 2 * LOOK_EVERY)

    def test_breaks(self) -> None:
        """What breaks while looking, breaks the waiting."""
        waiting = until(lambda: bool(1 // int(self.held)), 2.0, self.clock, self.clock.seconds)
        self.clock.advance(LOOK_EVERY)
        self.failureResultOf(waiting, ZeroDivisionError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
