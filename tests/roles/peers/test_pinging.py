"""Waiting for the Ack of one packet."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.peers.pinging import acknowledged
from morphnet.roles.process.waiting import LOOK_EVERY
from morphnet.tunnel.path import Path
from morphnet.wire.batch import Endpoint


class AcknowledgedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.path = Path(0, 1, Endpoint("198.51.100.6", 41193), 1400, 0.0)
        self.path.delivery.acked = 6
        self.waiting: Deferred[float | None] = acknowledged(self.path, 7, 2.0, self.clock, self.clock.seconds)

    def _ack(self, number: int, rtt: float) -> None:
        self.path.delivery.acked = number
        self.path.rtt.add(rtt, now=self.clock.seconds())

    def test_answered(self) -> None:
        """It took as long as the Ack says, not until we looked; a later Ack does as well."""
        self.clock.pump([LOOK_EVERY] * 20)
        self.assertNoResult(self.waiting)
        self._ack(8, 0.0391)
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(self.successResultOf(self.waiting), 0.0391)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silent(self) -> None:
        """Nothing within the time is nothing."""
        self.clock.pump([LOOK_EVERY] * int(2.1 / LOOK_EVERY))
        self.assertIsNone(self.successResultOf(self.waiting))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Nobody wants to know any more."""
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
