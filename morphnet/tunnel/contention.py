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
from morphnet.tunnel.rtt import RttEstimate, WindowedBest

PATIENCE = 0.3  # seconds, and two round trips, that a queue may stand before it is asked whose it is
SLOWER = 0.5  # times the rate that was seen, while that is asked
MOST_OURS = 0.5  # seconds of queue that are thought to be ours at most
IN_A_ROW = 4  # samples that show it gone: more than jitter does by chance
ENOUGH, GIVE_UP = 6, 1.0  # samples that an answer takes; seconds after which there is none, since nothing is sent
LITTLE = 0.25  # times the queue that was asked about: what is left of it now is not why
ARRIVES = 0.6  # times what is sent meanwhile: if less is delivered, the rate was not the path's any more
FALLS = 0.8  # times the queue: while it becomes less there is no answer yet
ASK_EVERY = 8.0  # seconds between two questions beside others
ASK_UNSURE, ASK_SOON = 4.0, 1.0  # the same, while it is only reckoned what the path can deliver, and that badly
SMALL = 0.3  # of what the path delivers: with less than this in it that cannot be reckoned well
DOUBT = 4.0  # seconds after an answer that may have been wrong: a queue that stands again needs no question
ALL = 0.85  # of what a path can deliver: who gets more is alone
SHARE = 0.48  # of it: what we do not go below beside others, who may be one or many
TOP = 0.55  # of it: what we do not go above while their queue stands
MORE, LESS = 0.12, 0.9  # of it on top in a second, and times our rate: the steps up and down beside others
HASTE = 5.0  # times that step up, until others were seen in the way: it may only be jitter
FOLLOWS = 1.1  # times what was delivered: what is sent beyond that only fills the queue
LOSSY = 0.05  # share that is lost: too much, on a path that is not known
RUINED, LASTING = 0.15, 1.5  # more than that in each sample for so many seconds: the path has got narrower
USUAL, BEYOND, SOME = 2.0, 3.0, 0.005  # what a path loses anyway: learned in so many seconds; times that, and on top
CLEAN = 0.002  # a path that loses less than this loses nothing by itself
FLAT = 0.003  # seconds of queue, at most, all the time: what is lost then is lost by chance
GONE = 1.5  # seconds without a queue, and without losses: the others are gone
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
        self.recent = 0.0  # bytes a second, the latest sample
        self.had = 0.0  # bytes a second that were delivered when it was asked
        self.pace = 0.0  # bytes a second that we may send, beside others
        self._stands_since: float | None = None
        self._empty_since: float | None = None
        self._ask_ends = self._ask_at = self._told_at = 0.0  # no answer can come before the last
        self._before = float("inf")  # seconds by which packets were late before others came
        self._asked = 0.0  # seconds of queue when it was asked
        self._samples: int | None = None  # of the RTT, when there was enough time for it to go
        self._low = 0  # samples in a row that show no queue
        self._left = 0.0  # seconds of it when it was last looked at
        self._doubted_at = self._seen_at = float("-inf")
        self._over = False  # there is more of a queue than there may be
        self._sampled_at = self._full_at = float("-inf")
        self._top = 0.0  # bytes a second, beside others whose queue stands
        self._got = WindowedBest(1.0)
        self._usual: float | None = None  # share that is lost while there is no queue
        self._borne_at = 0.0  # when no more was lost than others can cause
        self._met = False  # others have been in the way since
        self._crowded = False  # something is lost, and we have had more: it takes no question

    @property
    def capacity(self) -> float:
        """Bytes a second that the path delivers to us and others."""
        return self.whole.rate

    def tolerated(self) -> float:
        """The share that may be lost without any queue being to blame; a path that never lost has little of it."""
        if self._usual is None:
            return LOSSY
        return BEYOND * self._usual + SOME if self._usual > CLEAN else 0.0

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
        if peak < FLAT:
            usual = lost if self._usual is None else self._usual
            self._usual = usual + (lost - usual) * passed / USUAL
        lossy = peak >= FLAT and lost > self.tolerated()
        full = queue > signs.allowed or lossy
        if full:
            self._full_at, self._met = now, True
        if self.stage is Stage.BESIDE:
            step = MORE * (1.0 if self._met else HASTE) * passed * self.capacity
            if least > signs.clear:  # their queue stands: what we take more, they have less
                step = min(step, max(0.0, self._top - self.pace))
            self._adjust(rate, lost, full, step if signs.limited else None, now)
            return
        self.whole.seen(rate, now)
        if signs.limited and rate >= ALL * self.capacity:
            self.whole.confirm(now)
        less = signs.limited and rate < ALL * self.capacity
        self._crowded = self.stage is Stage.ALONE and lossy and less and queue <= signs.allowed

    def _adjust(self, rate: float, lost: float, full: bool, step: float | None, now: float) -> None:
        """
        Beside others: more while nobody is in the way, less when it is full. Nothing new is learned of the capacity.

        :param step: bytes a second on top; None when we do not send what we may.
        """
        if rate >= ALL * self.capacity:
            self._be_alone()
        self.whole.confirm(now)
        if lost <= RUINED:
            self._borne_at = now
        if now - self._borne_at > LASTING:
            self.whole.only(max(rate, LESS * self.capacity), now)
        else:
            self.whole.seen(max(rate, self.capacity), now)
        self._got.add(rate, now)
        useful = min(self.pace, FOLLOWS * (self._got.best(now) or rate))
        if full:
            useful *= LESS
        else:
            useful = self.pace if step is None else useful + step
        self.pace = max(useful, SHARE * self.capacity)

    def look(self, rtt: RttEstimate, signs: Signs, now: float) -> None:
        """An Ack has come: ask, understand the answer, see that others have gone."""
        if self.stage is Stage.ALONE:
            self._look_for_queue(rtt, signs, now)
            return
        self._seen_at = now
        queue = rtt.delayed - self._before
        if self.stage is Stage.ASKING:
            self._low = self._low + 1 if rtt.queue - self._before < signs.clear else 0
            if now < self._told_at:
                return
            if max(queue, rtt.queue - self._before) < signs.allowed or self._low >= IN_A_ROW:
                rtt.recall(self._before)
                self._went(signs, now)
            elif now > self._ask_ends + GIVE_UP:
                self._be_alone()
            elif now > self._ask_ends:
                self._judge(queue, rtt, signs, now)
        elif queue > signs.allowed:
            self._empty_since = None
            if signs.limited and now > self._ask_at:
                self._slow_down(queue, signs, now)
        elif self._empty_since is None:
            self._empty_since = now
        elif now - max(self._empty_since, self._full_at) > GONE:
            rtt.recall(self._before)
            self._be_alone()

    def _went(self, signs: Signs, now: float) -> None:
        """The queue has gone: it was ours, or others were too slow to take what we left."""
        self._be_alone()
        if self.had >= ALL * self.capacity:
            self.whole.was_ours(now)
            return
        if now < self._ask_ends and self._asked > signs.base:  # so fast only if nobody else feeds it
            self.whole.only(self.had, now)
        else:
            self._doubted_at = now

    def _judge(self, queue: float, rtt: RttEstimate, signs: Signs, now: float) -> None:
        """The queue has not gone, as far as there are samples to tell."""
        if self._samples is None:
            self._samples = rtt.samples
        elif rtt.samples - self._samples < ENOUGH:
            return
        elif queue < FALLS * self._left:
            self._left, self._samples, self._ask_ends = queue, None, now + signs.base + 0.02
        elif queue < LITTLE * self._asked:
            rtt.settle(now)  # what is left is the path's own
            self._went(signs, now)
        elif signs.limited and self.recent < ARRIVES * SLOWER * self.had:
            self._slow_down(queue, signs, now)  # what was halved is not what the path delivers any more
        else:
            took, fell = rtt.smoothed or 0.0, self._asked - queue
            self.whole.reckon(self.had, SLOWER * self.had, took, fell, rtt.unrest, now)
            self._settle(rtt, now)

    def ask(self, rtt: RttEstimate, signs: Signs, now: float) -> None:
        """A queue stands: find out whose it is."""
        self._remember(rtt, now)
        self._slow_down(rtt.delayed - rtt.calm, signs, now)

    def _look_for_queue(self, rtt: RttEstimate, signs: Signs, now: float) -> None:
        queue = rtt.delayed - rtt.calm
        if self._crowded:
            self._give_way(rtt, now)
            self._met = True
        elif queue <= signs.allowed / 2 or not signs.limited or not self.recent:
            if self._over and signs.limited and self.recent >= ALL * self.capacity:
                self.whole.was_ours(now)
            self._stands_since, self._over = None, False
        elif self._stands_since is None:
            self._stands_since = now
        elif now - self._stands_since > (1 if queue > signs.allowed else 3) * PATIENCE + 2 * signs.base:
            if now - self._doubted_at < DOUBT:
                self._give_way(rtt, now)
            else:
                self.ask(rtt, signs, now)
        else:
            self._over = self._over or queue > signs.allowed

    def _slow_down(self, queue: float, signs: Signs, now: float) -> None:
        """For as long as it takes until a queue of ours has gone, and an Ack has told so."""
        self.stage, self._asked, self.had = Stage.ASKING, queue, self.recent
        self._told_at = now + signs.base
        self._ask_ends = now + min(MOST_OURS, max(queue, signs.ours)) / (1 - SLOWER) + 1.5 * signs.base + 0.02
        self._left, self._samples, self._low = queue, None, 0

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
        self.stage, self._ask_at, self._empty_since = Stage.BESIDE, now + again, None
        self.pace = max(SHARE * self.capacity, self.had)
        self._top = TOP * self.capacity if self.had < ALL * self.capacity else float("inf")  # if it is known at all
        self._crowded = self._met = False
        self._full_at = self._borne_at = now
        self._got.clear()
        rtt.settle(now)

    def _be_alone(self) -> None:
        self.stage, self._stands_since = Stage.ALONE, None
