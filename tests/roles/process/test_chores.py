"""What is done again and again is done also after it has failed."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.process.chores import Chore


class ChoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        """:ivar outcomes: what comes of each time; an exception is raised, and of a string one is what is answered."""
        self.clock, self.done = Clock(), 0
        self.outcomes: list[object] = []

    def do(self) -> object:
        """Once more."""
        self.done += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return fail(OSError(outcome)) if isinstance(outcome, str) else outcome

    def told(self) -> list[str]:
        """What was told since the last look."""
        return [each.getErrorMessage() for each in self.flushLoggedErrors(OSError)]

    def test_at_an_interval(self) -> None:
        """From the first interval on, or from now on; not before it is over; no more when it was stopped."""
        under_way = Deferred[None]()
        self.outcomes.append(under_way)
        chore = Chore(self.clock, 1.0, self.do)
        self.assertEqual(self.done, 0)
        self.clock.pump([1.0] * 3)
        self.assertEqual(self.done, 1)
        under_way.callback(None)
        self.clock.pump([1.0] * 2)
        self.assertEqual(self.done, 3)
        for _ in "12":
            chore.stop()
        self.clock.pump([1.0] * 2)
        self.assertEqual((self.done, self.clock.getDelayedCalls()), (3, []))
        Chore(self.clock, 1.0, self.do, now=True)
        self.assertEqual(self.done, 4)

    def test_fails(self) -> None:
        """What fails, at once or later, is done again; the same failure is told once until all is well."""
        self.outcomes += [OSError("full"), "full", OSError("full"), "broken", None, "broken", None]
        Chore(self.clock, 1.0, self.do, now=True)
        said = [self.told()]
        for _ in range(6):
            self.clock.advance(1.0)
            said.append(self.told())
        self.assertEqual(said, [["full"], [], [], ["broken"], [], ["broken"], []])
        self.assertEqual(self.done, 7)
