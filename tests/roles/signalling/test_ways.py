"""Several ways to one end."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.signalling.ways import HEAD_START, first_of


class WaysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.begun, self.ended = Clock(), list[Deferred[str]](), list[Deferred[str]]()

    def way(self) -> Deferred[str]:
        """One more is begun."""
        way: Deferred[str] = Deferred(self.ended.append)
        self.begun.append(way)
        return way

    def race(self, count: int = 3) -> Deferred[str]:
        """So many."""
        return first_of(self.clock, [self.way] * count)

    def test_best(self) -> None:
        """While the best has its head start no other begins."""
        result = self.race()
        self.clock.advance(HEAD_START - 0.1)
        self.begun[0].callback("direct")
        self.assertEqual((self.successResultOf(result), len(self.begun)), ("direct", 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """The next begins beside the first, and whoever succeeds ends the others."""
        result = self.race()
        self.clock.advance(HEAD_START)
        self.begun[1].callback("relay")
        self.assertEqual(self.successResultOf(result), "relay")
        self.assertEqual((self.ended, len(self.begun)), ([self.begun[0]], 2))

    def test_failed(self) -> None:
        """One that fails has the next begin at once; when all have, it fails as the best."""
        result = self.race(2)
        self.begun[0].errback(ValueError("no answer"))
        self.assertEqual(len(self.begun), 2)
        self.begun[1].errback(ValueError("no server"))
        self.assertEqual(str(self.failureResultOf(result, ValueError).value), "no answer")

    def test_cancelled(self) -> None:
        """All are."""
        result = self.race()
        self.clock.advance(HEAD_START)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual((len(self.ended), self.clock.getDelayedCalls()), (2, []))

    def test_one(self) -> None:
        """One alone is that one."""
        result = self.race(1)
        self.begun[0].callback("direct")
        self.assertEqual(self.successResultOf(result), "direct")
