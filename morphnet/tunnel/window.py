"""
How much may be in flight on one path: enough to fill it, not enough to build a queue in it.

A model of the path (delivery rate and RTT without a queue) sets the window, as in BBR; the path paces what is sent.
Loss does not shrink the window; the scheduler leaves a path that loses.

Source: draft-ietf-ccwg-bbr; docs/performance section 2.
"""

from __future__ import annotations

from typing import NamedTuple

from morphnet.tunnel.contention import Contention, Sample, Signs, Stage
from morphnet.tunnel.question import SLOWER
from morphnet.tunnel.rtt import KNOWN, LONG_KNOWN, MOST_JITTER, UNKNOWN, RttEstimate, WindowedBest
from morphnet.tunnel.share import ALL, LESS, SHARE
from morphnet.tunnel.usual_loss import LOSSY

FLOOR = 16 * 1500  # bytes that are always allowed
FIRST = 64 * 1500  # bytes allowed before anything is known
MODEST = 10 * 1500  # bytes allowed at first on a path that others are better than. Source: RFC 6928
LEAST = 2 * 1500  # bytes that it is paced to carry in a round trip in any case
CEILING = 32 << 20  # bytes, whatever is measured
SLACK = 0.025  # seconds of delivery on top: Acks are up to 10 ms late, and a faster path must show
QUEUED = 0.25  # of the lowest RTT, and SLACK: later than that a packet comes from a queue
STARTUP_GROWTH = 1.25  # a round that does not bring this factor has found the rate
STARTUP_ROUNDS = 3
STANDING = 0.012  # seconds above the RTT without a queue: one stands there
LOSS_SHARE, LOSS_BYTES = 0.1, 6 * 1500  # of a round: more than this means that the path is full, or bad
CLEAR, CLEAR_BY = 0.1, 0.005  # of the RTT without a queue, and seconds more: what is no queue yet
TRUST = 0.95  # times the rate that was seen, while there is a queue: it drains, and the rate is seen again before it is
HOPE, NEAR = 1.25, 1.05  # times the rate that was seen: what a path without a queue is given to try; close to its best
GROWS = 1.03  # times the best that was seen: the path can do more than was known
TIGHTER, LOOSER, TIGHTEST = 0.7, 0.02, 0.3  # what a queue may be, of CLEAR and CLEAR_BY: after a loss, and without one
RESTLESS, EVEN, RUN = 4.0, 0.001, 1500  # times by which samples differ; seconds, and bytes, that do so anyway
SPREAD = 4.5  # times the jitter of the RTT: so much later than usual an Ack may come
LEAST_CLEAR, SLOW_CLEAR = 0.003, 0.006  # seconds; the latter where a burst of ours takes so long
BURST = 3 * 1500  # bytes that may wait at the bottleneck, however slow it is
AHEAD = 0.006  # seconds of its pace that may wait at its bottleneck
AMPLE = 1.25  # times what the pace fills: the window is no bound then
UNSEEN = 2.0  # times the rate that was seen: so much more in each round trip finds it, as a slow start does
RUSH = 1.25  # times the window in each RTT, while the rate is not known
PROBE_EVERY = 10.0  # seconds without a new lowest RTT before the queue is drained to measure it


class Model(NamedTuple):
    """What a path is thought to be."""

    base: float  # seconds that it takes without a queue
    pace: float  # bytes a second that it may be given
    calm: float  # bytes in flight that fill less than half of it, so that no queue can be of our making


class Window:
    """The in-flight allowance of one path, in bytes of UDP payload."""

    def __init__(self) -> None:
        self.size, self.modest = float(FIRST), float(MODEST)
        self.startup = True
        self.shaken = 0.0  # seconds by which jitter alone makes a packet later than another
        self._rates = WindowedBest(1.0)
        self._best = 0.0
        self._flat_rounds = 0
        self._arrived = self._lost = 0  # bytes in this round of startup
        self._queue = 0.0  # seconds, smoothed: how much longer than without a queue it takes
        self._drain_ends = 0.0
        self.others = Contention()
        self._gave_up = False  # startup has ended since too much was lost
        self._searching = False  # startup has met a queue, and asks whose it is
        self._sample_arrived = self._sample_lost = 0  # bytes since the last sample of the rate
        self._peak, self._least = 0.0, float("inf")  # seconds, the longest and the shortest queue since then
        self._loss = 0.0  # share lost in the last one
        self._growing = False
        self._draining = False  # there is more of a queue than there may be, or half of it is left
        self._tight = 1.0  # of CLEAR and CLEAR_BY: a path that loses may have a short queue

    def rate(self, now: float) -> float:
        """Bytes a second that the path was seen to deliver of late; 0 until measured."""
        return self._rates.best(now) or 0.0

    def believed(self, now: float) -> float:
        """
        Bytes a second that it delivers: while its rate is being found, and neither a queue shows nor jitter hides one,
        twice what was seen.
        """
        hopes = self.startup and self._queue + self.shaken < STANDING
        return self.rate(now) * (UNSEEN if hopes else 1.0)

    def model(self, rtt: RttEstimate, now: float) -> Model:
        """What is known of the path, which gets more than it was seen to deliver while that makes no queue."""
        base, rate = rtt.base(now) or UNKNOWN, self.rate(now)
        if self.startup or not rate:
            pace = RUSH * self.modest / base
        elif self.others.stage is Stage.ASKING:
            pace = SLOWER * self.others.had
        elif self.others.stage is Stage.BESIDE:
            pace = self.others.share.pace
        elif self._loss > LOSSY:
            pace = max(LESS * self.others.recent, SHARE * self.others.capacity)
        elif self._draining:
            pace = TRUST * rate
        elif (self._growing or rate < ALL * self.others.capacity) and self._loss <= self.others.usual.tolerated():
            pace = HOPE * rate
        else:
            pace = NEAR * rate
        pace = max(pace, LEAST / base)
        return Model(base, pace, rate * (rtt.floor(now) or 0.0) / 2)

    def ahead(self, late: float) -> float:
        """
        Seconds of its pace that may be given to it at once.

        :param late: seconds by which this process is late: of them it makes up the less, the more it loses in bursts.
        """
        return (AHEAD + late) * self._tight

    @property
    def searching(self) -> bool:
        """Whether the rate is not what the path could deliver, but what it takes to find out."""
        return self.startup or self.others.stage is Stage.ASKING

    def restart(self) -> None:
        """The path is another one now (it moved, or was silent): learn again."""
        self.__init__()  # type: ignore[misc]

    def acknowledged(self, size: int, rate: float | None, limited: bool, rtt: RttEstimate, now: float) -> None:
        """
        Fold in one Ack.

        :param size: bytes newly acknowledged.
        :param rate: a new delivery rate sample, if there is one.
        :param limited: the window, not a lack of traffic, held the sender back.
        """
        floor = rtt.floor(now)
        if floor is None or rtt.smoothed is None:
            return
        run = RUN / self.others.capacity if self.others.capacity else 0.0
        self.shaken = RESTLESS * max(0.0, rtt.unrest - EVEN - run)
        self._sample_arrived += size
        queue = rtt.queue - self.others.quiet(rtt)
        self._peak, self._least = max(self._peak, queue), min(self._least, queue)
        self._rates.span = max(1.5, 8 * rtt.smoothed)
        jitter = rtt.calm + self.shaken if self.others.stage is Stage.ALONE else 0.0
        saturated = limited or rtt.delayed - jitter > QUEUED * floor + SLACK  # a queue in it shows its rate as well
        if rate is not None and (saturated or rate > self.rate(now)):
            self._rates.add(rate, now)
        if self.startup:
            self._grow(size, rate is not None, limited, rtt, floor, now)
        else:
            self._follow(rate, limited, rtt, floor, now)

    def lost(self, size: int) -> None:
        """That many bytes got lost."""
        self._lost += size
        self._sample_lost += size

    def found(self, size: int) -> None:
        """That many bytes of those have come after all: they were only late."""
        self._lost = max(0, self._lost - size)
        self._sample_lost = max(0, self._sample_lost - size)
        if self._gave_up and not self._ruinous():
            self.startup, self._gave_up = True, False

    def _ruinous(self) -> bool:
        """Whether more is lost in this round of startup than on a path that could take it."""
        return self._lost > max(LOSS_BYTES, LOSS_SHARE * (self._arrived + self._lost))

    def _grow(self, size: int, sampled: bool, limited: bool, rtt: RttEstimate, floor: float, now: float) -> None:
        """
        Startup: double each round until the rate no longer grows, a queue does, or too much is lost.

        :param sampled: there is a new sample of the rate, so a round has ended.
        """
        self._arrived += size
        if self._ruinous() and self.rate(now):
            self.startup, self._gave_up = False, True
            return
        self._queue += (rtt.queue - rtt.calm - self._queue) / 8
        rate = self.rate(now)
        grows = rate >= self._best * STARTUP_GROWTH
        allowed = self._allowed(floor, now)
        trickles = not limited and rate * (rtt.smoothed or floor) < FLOOR  # no queue is made of what is always allowed
        if sampled and not trickles and self._queue > (allowed if grows else max(STANDING, allowed)):
            self.startup, self._searching = False, True  # the rate is found, unless the queue is somebody else's
            self.others.recent = rate
            self.others.ask(rtt, self._signs(rtt.base(now) or floor, limited, rtt, now), now)
            return
        self.modest = min(CEILING, self.modest + size)
        if limited:
            self.size = min(CEILING, self.size + size)
        if not sampled:
            return
        self._arrived = self._lost = 0
        if grows or not limited:
            self._best, self._flat_rounds = max(rate, self._best), 0
        else:
            self._flat_rounds += 1
        if self._flat_rounds >= STARTUP_ROUNDS:
            self.startup = False

    def _follow(self, sample: float | None, limited: bool, rtt: RttEstimate, floor: float, now: float) -> None:
        """Steady state: the window is what the model says."""
        rate, others, base = self.rate(now), self.others, rtt.base(now) or floor
        signs = self._signs(base, limited, rtt, now)
        if sample is not None:
            self._sampled(sample, signs, rtt, now)
        queue = rtt.delayed - rtt.calm
        self._draining = queue > (signs.allowed / 2 if self._draining else signs.allowed)
        before = others.stage
        others.look(rtt, signs, now)
        if before is not others.stage is Stage.ALONE and not self._searching:
            if before is Stage.ASKING:
                self._rates.clear()  # what was delivered long ago made the queue
            self._rates.add(others.had if before is Stage.ASKING else ALL * others.capacity, now)
        rtt.remember(KNOWN if others.stage is Stage.ALONE else LONG_KNOWN)
        if others.stage is not Stage.ASKING and self._searching:
            self._searching = False
            if others.stage is Stage.BESIDE and not others.whole.told:
                self._search_on()
                return
        if others.stage is Stage.BESIDE:  # the pace is what counts
            self.size = max(others.share.pace, others.recent) * AMPLE * (floor + rtt.delayed + 2 * SLACK)
        else:
            self.size = rate * (base + SLACK + min(MOST_JITTER, SPREAD * (rtt.jitter or 0.0)))
        self.size = min(CEILING, max(FLOOR, self.size))
        if others.stage is Stage.ALONE:
            self._drain(limited, rtt, floor, now)

    def _sampled(self, rate: float, signs: Signs, rtt: RttEstimate, now: float) -> None:
        """There is a new sample of the rate."""
        others = self.others
        self._loss = self._sample_lost / max(1, self._sample_lost + self._sample_arrived)
        if self._loss > others.usual.tolerated():
            self._tight = max(TIGHTEST, TIGHTER * self._tight)
        else:
            self._tight = min(1.0, LOOSER + self._tight)
        self._growing = rate > GROWS * others.capacity
        seen = Sample(rate, self._loss, rtt.delayed - rtt.calm, self._peak, self._least)
        others.sampled(seen, signs, now)
        self._sample_arrived, self._sample_lost, self._peak, self._least = 0, 0, 0.0, float("inf")

    def _drain(self, limited: bool, rtt: RttEstimate, floor: float, now: float) -> None:
        """From time to time the path is nearly emptied, so that its RTT without a queue is seen."""
        if limited and rtt.floor_age(now) > PROBE_EVERY and now >= self._drain_ends:
            self._drain_ends = now + floor + 0.05
        if now < self._drain_ends and rtt.floor_age(now) > 1.0:
            self.size = max(FLOOR / 4, self.rate(now) * floor / 2)

    def _search_on(self) -> None:
        """The queue that ended startup is not ours, or none: the rate is not found yet."""
        self.others.stage = Stage.ALONE
        self.startup, self._flat_rounds, self._queue = True, 0, 0.0
        self._arrived = self._lost = 0

    def _signs(self, base: float, limited: bool, rtt: RttEstimate, now: float) -> Signs:
        ours = (rtt.smoothed or 0.0) - (rtt.floor(now) or 0.0)
        return Signs(base, self._clear(base, now), self._allowed(base, now), limited, ours)

    def _clear(self, base: float, now: float) -> float:
        """Seconds of queue that are none yet, on a path without jitter."""
        others = self.others
        alone = others.capacity and (others.whole.known(now) or not others.seen(now))
        least = max(LEAST_CLEAR, min(SLOW_CLEAR, BURST / others.capacity)) if alone else LEAST_CLEAR
        return max(least, self._tight * (CLEAR * base + CLEAR_BY))

    def _allowed(self, base: float, now: float) -> float:
        """Seconds of queue that are none yet."""
        return self._clear(base, now) + self.shaken
