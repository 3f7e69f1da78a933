"""What a server advises is heeded, and not all the time."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.advised import LEAST, Advised
from morphnet.wire.messages.advice import Advice

ONE, TWO = Advice(("10.73.0.1",)), Advice(("10.73.0.1",), True)


class AdvisedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.heeded = Clock(), list[Advice]()
        self.advised = Advised(self.clock.seconds, self.clock.callLater, self.heeded.append)

    def test_at_most(self) -> None:
        """The first at once, the last of many after a while, and nothing for a change of mind between."""
        for said in (ONE, TWO, ONE, TWO):
            self.advised.are(said)
        self.assertEqual(self.heeded, [ONE])
        self.clock.advance(LEAST)
        self.assertEqual((self.heeded, self.clock.getDelayedCalls()), ([ONE, TWO], []))

    def test_welcomed(self) -> None:
        """What was said before a welcome is not heeded after it."""
        for said in (ONE, TWO):
            self.advised.are(said)
        self.advised.welcomed()
        self.clock.advance(LEAST)
        self.assertEqual(self.heeded, [ONE])
