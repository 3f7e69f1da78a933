"""When a handshake and the search for a direct way are given up, and when they are tried again."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.giving_up import PATIENCE, Attempts


class AttemptsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.chance, self.ended = Clock(), 0.5, list[str]()
        self.attempts = Attempts(self.clock, lambda: self.chance)

    def lasts(self, what: str) -> float:
        """Seconds until the only timer ends, which must be that of `what`."""
        (call,) = self.clock.getDelayedCalls()
        seconds = call.getTime() - self.clock.seconds()
        self.ended.clear()
        self.clock.advance(seconds)
        self.assertEqual(self.ended, [what])
        return round(seconds, 6)

    def test_search(self) -> None:
        """The search has its time exactly; once given up it is tried again after a minute, a fifth more or less."""
        for chance, share in ((0.0, 0.8), (0.5, 1.0), (1.0, 1.2)):
            self.chance = chance
            self.attempts.begin_search(lambda: self.ended.append("given up"))
            self.assertEqual(self.lasts("given up"), PATIENCE.search)
            seconds = self.attempts.search_given_up(lambda: self.ended.append("again"))
            self.assertAlmostEqual(seconds, share * PATIENCE.retry)
            self.assertAlmostEqual(self.lasts("again"), seconds)

    def test_handshake(self) -> None:
        """A handshake has its time; after each that failed the next one comes later, until they are forgiven."""
        self.attempts.begin_handshake(lambda: self.ended.append("given up"))
        self.assertEqual(self.lasts("given up"), PATIENCE.greeting)
        waits = [self.attempts.handshake_failed(lambda: None) for _ in range(8)]
        self.assertEqual(waits, [*PATIENCE.again, 30.0, 30.0])
        self.attempts.forgive()
        self.assertEqual(self.attempts.handshake_failed(lambda: None), PATIENCE.again[0])

    def test_one_at_a_time(self) -> None:
        """What begins takes the place of what was waited for; afterwards nothing is."""
        self.attempts.begin_handshake(lambda: self.ended.append("handshake"))
        self.attempts.begin_search(lambda: self.ended.append("search"))
        self.attempts.search_given_up(lambda: self.ended.append("again"))
        self.assertEqual(self.lasts("again"), PATIENCE.retry)
        self.attempts.begin_search(lambda: self.ended.append("search"))
        self.attempts.quiet()
        self.attempts.quiet()
        self.assertEqual(self.clock.getDelayedCalls(), [])
