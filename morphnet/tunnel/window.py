"""
How much may be in flight on one path: enough to fill it, not enough to build a queue in it.

A model of the path (delivery rate and RTT without a queue) sets the window, as in BBR; the path paces what is sent.
Loss does not shrink the window; the scheduler leaves a path that loses.

Source: draft-ietf-ccwg-bbr; docs/performance section 2.
"""

from __future__ import annotations

from typing import NamedTuple

from morphnet.tunnel.rtt import RttEstimate, WindowedBest

FLOOR = 16 * 1500  # bytes that are always allowed
FIRST = 64 * 1500  # bytes allowed before anything is known
LEAST = 4 * 1500  # bytes that it is paced to carry in a round trip in any case
CEILING = 32 << 20  # bytes, whatever is measured
SLACK = 0.025  # seconds of delivery on top: Acks are up to 10 ms late, and a faster path must show
QUEUED = 0.25  # of the lowest RTT, and SLACK: later than that a packet comes from a queue
STARTUP_GROWTH = 1.25  # a round that does not bring this factor has found the rate
STARTUP_ROUNDS = 3
STANDING = 0.012  # seconds above the RTT without a queue: one stands there
LOSS_SHARE, LOSS_BYTES = 0.1, 6 * 1500  # of a round: more than this means that the path is full, or bad
CLEAR, CLEAR_BY = 0.1, 0.005  # of the RTT without a queue, and seconds more: what is no queue yet
TRUST = 0.95  # times the rate that was seen, while there is a queue: it drains, and the rate is seen again before it is
HOPE = 1.25  # times the rate that was seen: what such a path is given to try
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
        self.size = float(FIRST)
        self.startup = True
        self._rates = WindowedBest(1.0)
        self._best = 0.0
        self._flat_rounds = 0
        self._arrived = self._lost = 0  # bytes in this round of startup
        self._queue = 0.0  # seconds, smoothed: how much longer than without a queue it takes
        self._drain_ends = 0.0

    def rate(self, now: float) -> float:
        """Bytes a second that the path was seen to deliver of late; 0 until measured."""
        return self._rates.best(now) or 0.0

    def model(self, rtt: RttEstimate, now: float) -> Model:
        """What is known of the path, which gets more than it was seen to deliver while that makes no queue."""
        base, rate = rtt.base(now) or 0.05, self.rate(now)
        if self.startup or not rate:
            pace = RUSH * self.size / base
        else:
            clear = rtt.delayed - rtt.calm <= CLEAR * base + CLEAR_BY
            pace = max(rate * (HOPE if clear else TRUST), LEAST / base)
        return Model(base, pace, rate * (rtt.floor(now) or 0.0) / 2)

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
        self._rates.span = max(1.5, 8 * rtt.smoothed)
        saturated = limited or rtt.delayed > QUEUED * floor + SLACK  # a queue in the path shows its rate as well
        if rate is not None and (saturated or rate > self.rate(now)):
            self._rates.add(rate, now)
        if self.startup:
            self._grow(size, rate is not None, limited, rtt, floor, now)
        else:
            self._follow(limited, rtt, floor, now)

    def lost(self, size: int) -> None:
        """That many bytes got lost."""
        self._lost += size

    def _grow(self, size: int, sampled: bool, limited: bool, rtt: RttEstimate, floor: float, now: float) -> None:
        """
        Startup: double each round until the rate no longer grows, a queue does, or too much is lost.

        :param sampled: there is a new sample of the rate, so a round has ended.
        """
        self._arrived += size
        if self._lost > max(LOSS_BYTES, LOSS_SHARE * (self._arrived + self._lost)) and self.rate(now):
            self.startup = False
            return
        self._queue += (rtt.queue - rtt.calm - self._queue) / 8
        if sampled and self._queue > STANDING:  # a queue: the rate is found
            self.startup = False
            return
        if limited:
            self.size = min(CEILING, self.size + size)
        if not sampled:
            return
        self._arrived = self._lost = 0
        rate = self.rate(now)
        if rate >= self._best * STARTUP_GROWTH or not limited:
            self._best, self._flat_rounds = max(rate, self._best), 0
        else:
            self._flat_rounds += 1
        if self._flat_rounds >= STARTUP_ROUNDS:
            self.startup = False

    def _follow(self, limited: bool, rtt: RttEstimate, floor: float, now: float) -> None:
        """Steady state: the window is what the model says."""
        rate = self.rate(now)
        self.size = min(CEILING, max(FLOOR, rate * ((rtt.base(now) or floor) + SLACK)))
        if limited and rtt.floor_age(now) > PROBE_EVERY and now >= self._drain_ends:
            self._drain_ends = now + floor + 0.05
        if now < self._drain_ends and rtt.floor_age(now) > 1.0:
            self.size = max(FLOOR / 4, rate * floor / 2)
