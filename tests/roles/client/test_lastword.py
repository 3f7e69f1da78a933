"""What a server says is heeded, and not all the time."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.lastword import LEAST, LastWord
from morphnet.wire.messages.advice import Advice

ONE, TWO = Advice(("10.73.0.1",)), Advice(("10.73.0.1",), True)


class LastWordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.heeded = Clock(), list[Advice]()
        self.changes = True
        self.word = LastWord(self.clock.seconds, self.clock.callLater, self.heed)

    def heed(self, said: Advice) -> bool:
        """Live by it."""
        self.heeded.append(said)
        return self.changes

    def test_at_most(self) -> None:
        """The first at once, the last of many after a while, and nothing for a change of mind between."""
        for said in (ONE, TWO, ONE, TWO):
            self.word.say(said)
        self.assertEqual(self.heeded, [ONE])
        self.clock.advance(LEAST)
        self.assertEqual((self.heeded, self.clock.getDelayedCalls()), ([ONE, TWO], []))

    def test_withdrawn(self) -> None:
        """What was withdrawn before its time is not heeded."""
        for said in (ONE, TWO):
            self.word.say(said)
        self.word.withdraw()
        self.clock.advance(LEAST)
        self.assertEqual(self.heeded, [ONE])

    def test_nothing_new(self) -> None:
        """What changes nothing makes nobody wait."""
        self.changes = False
        for said in (ONE, TWO):
            self.word.say(said)
        self.assertEqual(self.heeded, [ONE, TWO])
