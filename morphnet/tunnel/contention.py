"""
Whose queue it is that stands in a path, and what we may send beside others.

A queue of our own goes away when we send less than is delivered. So the sender asks: it halves its rate for as long as
its own queue can last. If the delay stays, it is not ours: others fill the queue, and take all from whoever makes way
for them. Beside them the sender keeps a share of what the path can deliver, and takes more while that neither adds to
the delay nor loses anything. Jitter is as little ours as a queue of others; there it is only that nobody is in the way.

Source: docs/performance section 2. Two modes, and a switch between them, as in Copa (Arun and Balakrishnan, NSDI 2018)
and Nimbus (Goyal et al., SIGCOMM 2022).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from morphnet.tunnel.capacity import Capacity
from morphnet.tunnel.question import SLOWER, Answer, Question, restless
from morphnet.tunnel.rtt import RttEstimate
from morphnet.tunnel.share import ALL, Share
from morphnet.tunnel.usual_loss import UsualLoss

PATIENCE = 0.3  # seconds, and two round trips, that a queue may stand before it is asked whose it is
ARRIVES = 0.6  # times what is sent meanwhile: if less is delivered, the rate was not the path's any more
ASK_EVERY = 8.0  # seconds between two questions beside others
ASK_UNSURE, ASK_SOON = 4.0, 1.0  # the same, while it is only reckoned what the path can deliver, and that badly
SMALL = 0.3  # of what the path delivers: with less than this in it that cannot be reckoned well
DOUBT = 4.0  # seconds after an answer that may have been wrong: a queue that stands again needs no question
FLAT = 0.003  # seconds of queue, at most, all the time: what is lost then is lost by chance
GONE = 1.5  # seconds without a queue, and without losses: the others are gone
LEFT = 0.35  # the same, if their queue was longer than what they leave when they slow down
RECENT = 3.0  # seconds after which others who were there are forgotten


class Stage(StrEnum):
    """What is known of the queue."""

    ALONE = "alone"  # there is none, or it is ours
    ASKING = "asking"
    BESIDE = "beside"  # others fill it


class Signs(NamedTuple):
    """What the path shows."""

    base: float  # seconds that a round trip takes without a queue of ours
    clear: float  # seconds of queue that are none
    allowed: float  # the same, of its jitter and queue
    limited: bool  # we hold traffic back
    ours: float  # seconds that what we have in flight may take on top

    @property
    def restless(self) -> bool:
        """Whether the path jitters so much that one moment does not tell its queue."""
        return restless(self.clear, self.allowed)


class Sample(NamedTuple):
    """What was seen in a round trip, or a little more."""

    rate: float  # bytes a second that were delivered
    lost: float  # share of what was sent, 0 .. 1
    queue: float  # seconds, what is more than it was when we last settled beside others
    peak: float  # seconds, the longest queue
    least: float  # seconds, the shortest one


class Contention:
    """What the sender of one path knows of others at its bottleneck."""

    def __init__(self) -> None:
        self.stage = Stage.ALONE
        self.whole = Capacity()
        self.usual = UsualLoss()
        self.question = Question()
        self.share = Share(self.whole)
        self.recent = 0.0  # bytes a second, the latest sample
        self.had = 0.0  # bytes a second that were delivered when it was asked
        self._sampled_at = float("-inf")
        self._before = float("inf")  # seconds by which packets were late before others came
        self._stands_since: float | None = None
        self._over = False  # there is more of a queue than there may be
        self._crowded = False  # something is lost, and we have had more: it takes no question
        self._empty_since: float | None = None
        self._stood = 0.0  # seconds of queue that stood of late, smoothed
        self._ask_at = 0.0  # when it may be asked again, beside others
        self._doubted_at = self._seen_at = float("-inf")

    @property
    def capacity(self) -> float:
        """Bytes a second that the path delivers to us and others."""
        return self.whole.rate

    def quiet(self, rtt: RttEstimate) -> float:
        """Seconds by which a packet is late if neither we nor others fill the path."""
        return rtt.calm if self.stage is Stage.ALONE else self._before

    def seen(self, now: float) -> bool:
        """Whether others are there, or may have been a moment ago."""
        return now - self._seen_at < RECENT

    def sampled(self, sample: Sample, signs: Signs, now: float) -> None:
        """There is a new sample of the rate."""
        rate, lost, queue, peak, least = sample
        passed = min(1.0, now - self._sampled_at)
        self.recent, self._sampled_at = rate, now
        whole = self.stage is Stage.ALONE and self.whole.known(now) and rate >= ALL * self.capacity
        if peak < FLAT or whole:  # who has all of a path loses nothing to others
            self.usual.learn(lost, passed)
        lossy = peak >= FLAT and lost > self.usual.tolerated()
        full = queue > signs.allowed or lossy
        if full:
            self.share.meet(now)
        if self.stage is Stage.BESIDE:
            stands = least > (signs.allowed if signs.restless else signs.clear)
            step = self.share.step(passed, stands=stands) if signs.limited else None
            if rate >= ALL * self.capacity:
                self._be_alone()
            self.share.adjust(rate, lost, step, full=full, now=now)
            return
        self.whole.seen(rate, now)
        if signs.limited and rate >= ALL * self.capacity:
            self.whole.confirm(now)
        less = signs.limited and rate < ALL * self.capacity
        self._crowded = self.stage is Stage.ALONE and lossy and less and queue <= signs.allowed

    def look(self, rtt: RttEstimate, signs: Signs, now: float) -> None:
        """An Ack has come: ask, understand the answer, see that others have gone."""
        if self.stage is Stage.ALONE:
            self._look_for_queue(rtt, signs, now)
            return
        self._seen_at = now
        queue = rtt.delayed - self._before
        if self.stage is Stage.ASKING:
            self._listen(queue, rtt, signs, now)
        elif queue > signs.allowed:
            self._empty_since = None
            self._stood += (queue - self._stood) / 32
            if signs.limited and now > self._ask_at:
                self._slow_down(queue, signs, now)
        elif self._empty_since is None:
            self._empty_since = now
        elif now - max(self._empty_since, self.share.full_at) > (LEFT if self._stood > signs.base else GONE):
            rtt.recall(self._before)
            self._be_alone()

    # -- is there a queue? -------------------------------------------------------------------------------------------

    def _look_for_queue(self, rtt: RttEstimate, signs: Signs, now: float) -> None:
        queue = rtt.delayed - rtt.calm
        if self._crowded:
            self._give_way(rtt, now)
            self.share.met = True
        elif queue <= signs.allowed / 2 or not (signs.limited or self._less(now)) or not self.recent:
            if self._over and signs.limited and self.recent >= ALL * self.capacity:
                self.whole.was_ours(now)
            self._stands_since, self._over = None, False
        elif self._stands_since is None:
            self._stands_since = now
        elif now - self._stands_since > (1 if queue > signs.allowed else 3) * PATIENCE + 2 * signs.base:
            if now - self._doubted_at < DOUBT or not signs.limited:
                self._give_way(rtt, now)
            else:
                self.ask(rtt, signs, now)
        else:
            self._over = self._over or queue > signs.allowed

    def _less(self, now: float) -> bool:
        """Whether we get less than the path can deliver, so that a queue that stands is not ours, whoever limits us."""
        return self.whole.known(now) and self.recent < ALL * self.capacity

    # -- whose is it? ------------------------------------------------------------------------------------------------

    def ask(self, rtt: RttEstimate, signs: Signs, now: float) -> None:
        """A queue stands: find out whose it is."""
        self._remember(rtt, now)
        self._slow_down(rtt.delayed - self._before, signs, now)

    def _slow_down(self, queue: float, signs: Signs, now: float) -> None:
        self.stage, self.had = Stage.ASKING, self.recent
        self.question.begin(queue, signs.ours, signs.base, now)

    def _listen(self, queue: float, rtt: RttEstimate, signs: Signs, now: float) -> None:
        """Is there an answer?"""
        answer = self.question.look(queue, rtt.queue - self._before, signs.clear, signs.allowed, now)
        if answer is Answer.WAIT:
            answer = self.question.judge(queue, signs.allowed, rtt, signs.base, now)
        if answer is Answer.GONE:
            rtt.recall(self._before)
            self._went(signs, now)
        elif answer is Answer.NONE:
            self._be_alone()
        elif answer is Answer.LITTLE:
            rtt.settle(now)
            if signs.restless:
                self._before = float("inf")  # it is jitter, and nobody was in what we thought that the path takes
            self._went(signs, now)
        elif answer is Answer.STANDS:
            if signs.limited and self.recent < ARRIVES * SLOWER * self.had:
                self._slow_down(queue, signs, now)  # what was halved is not what the path delivers any more
                return
            took, fell = rtt.smoothed or 0.0, self.question.asked - queue
            self.whole.reckon(self.had, SLOWER * self.had, took, fell, rtt.unrest, now)
            self._settle(rtt, now)

    def _went(self, signs: Signs, now: float) -> None:
        """The queue has gone: it was ours, or others were too slow to take what we left."""
        self._be_alone()
        if self.had >= ALL * self.capacity:
            self.whole.was_ours(now)
        elif self.question.quick(signs.base, now):
            self.whole.only(self.had, now)
        else:
            self._doubted_at = now

    # -- what follows ------------------------------------------------------------------------------------------------

    def _give_way(self, rtt: RttEstimate, now: float) -> None:
        """Others are there, that is clear without a question."""
        self._remember(rtt, now)
        self.had = self.recent
        self._settle(rtt, now)

    def _remember(self, rtt: RttEstimate, now: float) -> None:
        """What the path takes before we ask: while it is not known what it delivers, others may be in that already."""
        self._before = rtt.calm if self.whole.known(now) else min(self._before, rtt.calm)

    def _settle(self, rtt: RttEstimate, now: float) -> None:
        """Live with the queue that there is."""
        sure = self.whole.known(now)
        again = ASK_EVERY if sure else ASK_UNSURE if self.had > SMALL * self.capacity else ASK_SOON
        self.stage, self._ask_at, self._empty_since, self._stood = Stage.BESIDE, now + again, None, 0.0
        self.share.begin(self.had, now)
        self._crowded = False
        rtt.settle(now)

    def _be_alone(self) -> None:
        self.stage, self._stands_since = Stage.ALONE, None
