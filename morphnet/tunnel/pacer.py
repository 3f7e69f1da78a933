"""
How much one path may be given now, and when what it is given arrives: its window, its pace, and the queue they make.

Source: docs/protocol section 8; draft-ietf-ccwg-bbr for pacing by a model of the path.
"""

from __future__ import annotations

from morphnet.tunnel import ackdebt
from morphnet.tunnel.delivery import Delivery, Settled
from morphnet.tunnel.landing import Landing
from morphnet.tunnel.lateness import PathLateness
from morphnet.tunnel.leisure import Leisure
from morphnet.tunnel.rtt import UNKNOWN, RateMeter, RttEstimate
from morphnet.tunnel.terms import ENDLESS, Bound
from morphnet.tunnel.window import BURST, Model, Window
from morphnet.wire.frames import Ack

MADE_UP = 0.01  # seconds of its pace that it may have more for having been idle
GRAIN = 0.002  # seconds of its pace that are worth a wake-up
AHEAD = 0.1  # seconds of its pace that it may in any case be thought to have before it
SAMPLE = 0.2  # seconds, and a round trip, that a sample of the rate spans at least
QUEUE = 0.03  # seconds of waiting in the network, besides what the window provokes, that mean congestion

_MICRO = 1_000_000


class Pacer:
    """Of one path."""

    def __init__(self, delivery: Delivery, rtt: RttEstimate, lateness: PathLateness, now: float) -> None:
        """
        :param delivery: the path's, for what is in flight; likewise `rtt`, and `lateness` of its two ends.
        """
        self._delivery, self._rtt, self._lateness = delivery, rtt, lateness
        self.window, self.landing = Window(), Landing(now)
        self.bound = Bound()  # what the owner of its uplink lets it have
        self.limited_at = float("-inf")  # when the window, or the pace, last held traffic back
        self.free_at = now  # when what was sent will have passed the bottleneck, as far as its pace is known
        self._rates = RateMeter()
        self._model, self._model_at = Model(0.0, 0.0, 0.0), float("-inf")
        self._crowded_at = now  # when a queue last stood in it, or its rate was not known
        self._leisure = Leisure()

    # -- what it may be given ----------------------------------------------------------------------------------------

    def room(self, now: float, *, best: bool = True) -> int:
        """
        Bytes that may be sent: what the window allows, and what makes no long queue at the bottleneck.

        :param best: no other path is better. Then it is not held back while its rate is being found, and may make up
            for what it was not given while it was idle: by another one that burst would come late, out of its order.
        """
        window, lateness = self.window, self._lateness
        allowed = window.size if best or not window.startup else window.modest
        room = allowed + lateness.extra - self._delivery.in_flight
        if not (best and window.startup):
            pace = self.model(now).pace
            spent = min(now - self.free_at, MADE_UP if best else 0.0)
            room = min(room, max(BURST, window.ahead(lateness.pause) * pace) + spent * pace)
        return int(room if self.bound.rate == ENDLESS else min(room, self.bound.room(now)))

    def takes(self, count: int, size: int, now: float, *, best: bool) -> int:
        """
        How many of `count` datagrams of `size` bytes it has room for; with nothing in flight it always takes one.

        A fast path is not given a few datagrams of a run, so that batches stay batches.

        :param best: no other path is better.
        """
        if now > self._leisure.busy_until and now > self.free_at:
            self._leisure.wanted(now, self.free_at)
        fitting = self.room(now, best=best) // size
        if fitting >= count:
            return count
        self.limited_at = now
        self._leisure.refused(now)
        if not self._delivery.in_flight:
            return max(fitting, 1) if self.bound.rate == ENDLESS or self.bound.room(now) > 0 else 0
        return fitting if fitting * size >= GRAIN * self.model(now).pace else 0

    def room_at(self, count: int, size: int, now: float) -> float:
        """When it takes some of `count` datagrams of `size` bytes without any news; infinity: not before an Ack."""
        pace, ahead = self.model(now).pace, self.window.ahead(self._lateness.pause)
        least = size * min(count, 1 + int(GRAIN * pace / size)) + 1  # it takes no fewer
        flown = self._delivery.in_flight
        if flown and least > self.window.size + self._lateness.extra - flown:
            return float("inf")
        at = max(now, self.free_at - max(ahead, BURST / pace) + max(GRAIN, least / pace))
        return at if self.bound.rate == ENDLESS else max(at, self.bound.room_at(least, now))

    def pace(self, now: float) -> float:
        """
        Bytes a second that it may be given: what it was seen to deliver, and more while that makes no queue.

        Otherwise a path that once got little would be thought slow, and get little for ever.
        """
        return self.model(now).pace

    def model(self, now: float) -> Model:
        """What is known of the path, kept while neither the time nor that changes, since a batch asks often."""
        if self._model_at != now:
            self._model_at, self._model = now, self.window.model(self._rtt, now)
            if self.bound.rate < self._model.pace:
                self._model = self._model._replace(pace=self.bound.rate)
        return self._model

    def bind(self, rate: float) -> None:
        """It may be given no more than so many bytes a second."""
        self.bound.set(rate)
        self._model_at = float("-inf")

    # -- when that arrives -------------------------------------------------------------------------------------------

    def arrival(self, now: float) -> float:
        """Seconds until a packet handed to it now would arrive: its way there, and the queue in front of it."""
        base, queue, flown = self.model(now).base, self.free_at - now, self._delivery.in_flight
        if flown:
            seen = self._rtt.queue - self._rtt.calm
            if self.window.shaken and not self._delivery.recovery.overtakes(now):
                seen -= self.window.shaken  # jitter is no queue that the next packet meets
            queue = seen if seen > queue else queue
            if seen > 0.01 and not self.window.startup:  # what is in flight tells it before Acks do
                rate = self.window.rate(now)
                queue = max(queue, flown / rate - base - ackdebt.DELAY) if rate else queue
        return self.landing.way + queue if queue > 0 else self.landing.way

    def soonest(self, now: float) -> float:
        """The same at best: while its rate is being found, only the queue that was seen is sure to be there."""
        return self.landing.way + max(0.0, self._rtt.queue) if self.window.startup else self.arrival(now)

    # -- what becomes of it ------------------------------------------------------------------------------------------

    def sent(self, total: int, flown: int, now: float) -> bool:
        """
        `total` bytes leave that ask for an Ack.

        :param flown: bytes that were in flight before.
        :returns: whether so few were, that there is no queue of our making in front of these.
        """
        model = self._model if self._model_at == now else self.model(now)  # a call for each run counts
        self.free_at = (self.free_at if self.free_at > now else now) + total / model.pace
        self.landing.sent(total, now)
        return flown <= model.calm

    def acknowledged(self, ack: Ack, settled: Settled, now: float, late: float) -> None:
        """
        An Ack has come, and the RTT knows it already.

        :param late: seconds ago that it arrived.
        """
        window, rtt, flown = self.window, self._rtt, self._delivery.in_flight
        if settled.found is not None:
            window.found(settled.found)
        floor = rtt.floor(now)
        if window.startup or floor is None or rtt.queue > 0.25 * floor + QUEUE:
            self._crowded_at = now
        smoothed = rtt.smoothed or 0.0
        interval = smoothed if smoothed > SAMPLE else SAMPLE
        rate = self._rates.add(ack.received_at, ack.total, interval)
        window.lost(settled.lost)
        if flown + settled.bytes + settled.lost >= window.size - BURST:
            self._leisure.refused(now)  # it was full until now
        idle = rate is not None and self._leisure.sampled(now, self.free_at)
        limited = not idle and now - self.limited_at <= smoothed + interval / 4  # so when what this tells of was sent
        window.acknowledged(settled.bytes, rate, limited, rtt, now)
        self._lateness.extra = self._lateness.known and self._lateness.known * window.rate(now)
        self._model_at = float("-inf")
        if self.free_at > now + AHEAD:  # what is not in flight is not before the bottleneck
            self.free_at = min(self.free_at, now + max(AHEAD, flown / self.model(now).pace))
        if settled.newest:
            # what a round trip takes longer may be a queue on the way back, where somebody sends to us
            way, left = (floor or UNKNOWN) / 2, now - late - ack.delay / _MICRO - rtt.latest
            self.landing.way = way + rtt.calm
            self.landing.told(window.believed(now) if rate is not None else None, flown, (left, left + way + rtt.queue))

    def excused(self, now: float) -> bool:
        """Whether what it seems to lose now may be our own doing: a queue stood in it, or its rate was searched."""
        return now - self._crowded_at < 2 * (self._rtt.smoothed or 0.0) + 0.5

    # -- what is not known any more ----------------------------------------------------------------------------------

    def relearn(self) -> None:
        """What the path can deliver."""
        self.window.restart()
        self._model_at = float("-inf")

    def other_clock(self) -> None:
        """What the peer's clock said: it is another process."""
        self._rates = RateMeter()
