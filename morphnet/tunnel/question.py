"""
The question whose queue it is, and its answer.

Who asks sends half of what was delivered, for as long as a queue of its own can last. If the queue goes, it was ours.

Source: docs/performance section 2; the two modes of Copa (Arun and Balakrishnan, NSDI 2018).
"""

from __future__ import annotations

from enum import Enum

from morphnet.tunnel.rtt import RttEstimate

SLOWER = 0.5  # times the rate that was seen, while it is asked
MOST_OURS = 0.5  # seconds of queue that are thought to be ours at most
IN_A_ROW = 4  # samples that show it gone: more than jitter does by chance
ENOUGH, GIVE_UP = 6, 1.0  # samples that an answer takes; seconds after which there is none, since nothing is sent
LITTLE = 0.25  # times the queue that was asked about: what is left of it now is not why
RESTLESS = 2.0  # times what is no queue without jitter: with jitter of more than that one moment tells nothing
FALLS = 0.8  # times the queue: while it becomes less there is no answer yet


class Answer(Enum):
    """What is known by now."""

    WAIT = 0  # nothing yet
    GONE = 1  # there is no queue any more
    LITTLE = 2  # hardly anything is left of it, and that is the path's own
    STANDS = 3  # it did not go
    NONE = 4  # and there will be none: too little is sent to tell


def restless(clear: float, allowed: float) -> bool:
    """
    Whether a path jitters so much that one moment does not tell its queue.

    :param clear: seconds of queue that are none, and `allowed` with jitter.
    """
    return allowed > RESTLESS * clear


class Question:
    """About the queue of one path."""

    def __init__(self) -> None:
        self.asked = 0.0  # seconds of queue when it was asked
        self._ends = self._told_at = 0.0  # when a queue of ours has gone; no answer can come before the last
        self._samples: int | None = None  # of the RTT, when there was enough time for it to go
        self._low = 0  # samples in a row that show no queue
        self._left = 0.0  # seconds of it when it was last looked at

    def begin(self, queue: float, ours: float, base: float, now: float) -> None:
        """
        We send less from now on, until a queue of ours has gone, and an Ack has told so.

        :param queue: seconds that a packet waits.
        :param ours: seconds that what we have in flight may take on top.
        :param base: seconds that a round trip takes without a queue of ours.
        """
        self.asked = self._left = queue
        self._told_at = now + base
        self._ends = now + min(MOST_OURS, max(queue, ours)) / (1 - SLOWER) + 1.5 * base + 0.02
        self._samples, self._low = None, 0

    def look(self, queue: float, latest: float, clear: float, allowed: float, now: float) -> Answer:
        """
        An Ack has come: the queue has gone, or there will be no answer; else `judge` tells, when it is time. Where it
        jitters much, one moment without a queue is no answer, and only `judge` has one.

        :param queue: seconds that a packet waits, smoothed, and `latest` the last one.
        :param clear: seconds of queue that are none, and `allowed` with jitter.
        """
        self._low = self._low + 1 if latest < clear else 0
        if now < self._told_at:
            return Answer.WAIT
        if not restless(clear, allowed) and (max(queue, latest) < allowed or self._low >= IN_A_ROW):
            return Answer.GONE
        return Answer.NONE if now > self._ends + GIVE_UP else Answer.WAIT

    def judge(self, queue: float, allowed: float, rtt: RttEstimate, base: float, now: float) -> Answer:
        """
        A queue that `look` saw has not gone: does it stay? Only after a while, and with enough samples.

        :param allowed: seconds of queue that jitter explains: so much is the path's own.
        """
        if now <= self._ends:
            return Answer.WAIT
        if self._samples is None:
            self._samples = rtt.samples
        elif rtt.samples - self._samples >= ENOUGH:
            if queue < allowed:
                return Answer.LITTLE
            if queue >= FALLS * self._left:
                return Answer.LITTLE if queue < LITTLE * self.asked else Answer.STANDS
            self._left, self._samples, self._ends = queue, None, now + base + 0.02
        return Answer.WAIT

    def quick(self, base: float, now: float) -> bool:
        """Whether a long queue has gone so fast that nobody else can have fed it."""
        return now < self._ends and self.asked > base
