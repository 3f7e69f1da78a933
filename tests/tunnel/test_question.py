"""What is an answer to the question whose queue it is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.question import ENOUGH, GIVE_UP, IN_A_ROW, Answer, Question
from morphnet.tunnel.rtt import RttEstimate

BASE, CLEAR, ALLOWED, EVERY = 0.04, 0.009, 0.012, 0.01  # seconds


class QuestionTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A queue of 100 ms is asked about."""
        self.question, self.rtt, self.now = Question(), RttEstimate(), 10.0
        self.question.begin(0.1, 0.05, BASE, self.now)
        self.allowed = ALLOWED

    def hear(self, queue: float, latest: float | None = None) -> Answer:
        """An Ack comes."""
        self.now += EVERY
        self.rtt.add(BASE + queue, now=self.now)
        answer = self.question.look(queue, queue if latest is None else latest, CLEAR, self.allowed, self.now)
        if answer is not Answer.WAIT:
            return answer
        return self.question.judge(queue, self.allowed, self.rtt, BASE, self.now)

    def hear_all(self, *queues: float) -> Answer:
        """The first answer, when the last of them goes on."""
        for queue in queues:
            if (answer := self.hear(queue)) is not Answer.WAIT:
                return answer
        for _ in range(200):
            if (answer := self.hear(queues[-1])) is not Answer.WAIT:
                return answer
        return Answer.WAIT

    def test_gone(self) -> None:
        """It has gone when there is none, but nothing that comes within a round trip is an answer."""
        self.assertEqual([self.hear(0.0) for _ in range(4)][:3], [Answer.WAIT] * 3)
        self.assertIs(self.hear(0.0), Answer.GONE)
        self.assertTrue(self.question.quick(BASE, self.now))

    def test_jitter(self) -> None:
        """Some samples in a row without a queue are enough, whatever the smoothed one says; single ones are not."""
        self.now += BASE
        single = [self.hear(0.1, latest) for latest in (0.0, 0.1) * IN_A_ROW]
        self.assertEqual(set(single), {Answer.WAIT})
        self.assertEqual([self.hear(0.1, 0.0) for _ in range(IN_A_ROW)][-1], Answer.GONE)

    def test_much_jitter(self) -> None:
        """Where it jitters much, moments without a queue tell nothing; what jitter explains is the path's own."""
        self.allowed = 0.04
        for step in range(20):
            self.assertIs(self.hear(0.03, 0.03 * (step % 8 > 4)), Answer.WAIT)
        self.assertIs(self.hear_all(0.03), Answer.LITTLE)
        self.assertGreater(self.now, 10.0 + 0.2)

    def test_stands(self) -> None:
        """One that stays is somebody else's, once there was time for it to go, and there are samples."""
        self.assertIs(self.hear_all(0.1), Answer.STANDS)
        self.assertGreater(self.now, 10.0 + 0.2)
        self.assertGreaterEqual(self.rtt.samples, ENOUGH)
        self.assertFalse(self.question.quick(BASE, self.now))

    def test_falls(self) -> None:
        """While it becomes less it is waited for; a rest that stays is the path's own."""
        began = self.now
        self.assertIs(self.hear_all(*[max(0.02, 0.1 * 0.97**step) for step in range(80)]), Answer.LITTLE)
        self.assertGreater(self.now, began + 0.3)

    def test_no_answer(self) -> None:
        """Too few samples for too long: there will be no answer."""
        self.now += 0.3 + GIVE_UP
        self.assertIs(self.hear(0.1), Answer.NONE)
