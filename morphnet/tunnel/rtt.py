"""Estimates of one path: round-trip time, jitter, loss, delivery rate."""

from __future__ import annotations

from collections import deque

LONG_KNOWN = 60.0  # seconds, the same while others fill it
UNKNOWN = 0.05  # seconds that a path is thought to take before it is known
KNOWN = 10.0  # seconds for which it is believed what the path itself takes
MOST_JITTER = 0.25  # seconds by which a path without a queue of ours may be thought to exceed its lowest RTT

_TURN = 1 << 32  # microseconds after which a peer's clock begins again, 71 minutes


class RttEstimate:
    """
    Smoothed round-trip time of one path, and the queue on the way there, in seconds.

    A queue is told by the way there alone, from the send time and the receiver's clock: what a round trip takes longer
    may be a queue on the way back, which another sender has made and which says nothing about what this one may send.

    Source: RFC 6298 section 2, without its clock granularity G; jitter as in RFC 3550 section 6.4.1; one-way delays
    without synchronised clocks as in LEDBAT, RFC 6817 section 3.4.
    """

    def __init__(self) -> None:
        self.smoothed: float | None = None  # seconds; None until the first sample
        self.variation = 0.0  # seconds
        self.jitter: float | None = None  # seconds
        self.latest = 0.0  # seconds
        self.queue = 0.0  # seconds that the latest took longer on its way there than the fastest one of late
        self.delayed = 0.0  # seconds, the same smoothed
        self._level = 0.0  # seconds, the same smoothed more
        self.unrest = 0.0  # seconds by which one differs from the next
        self._calm: float | None = None  # seconds, the same of samples that no queue of our own making can have delayed
        self._quiet: float | None = None  # seconds, the RTT of those
        self.samples = 0  # ever
        self._calm_at = 0.0  # when either was last measured
        self._floor = WindowedBest(KNOWN, lowest=True)
        self._zero: int | None = None  # microseconds, the first of the ways there as the two clocks tell it
        self._there = WindowedBest(KNOWN, lowest=True)

    def add(
        self, sample: float, *, now: float, there: int | None = None, calm: bool = False, unsure: float = 0.0
    ) -> None:
        """
        Fold in one measured RTT (seconds, > 0).

        :param there: microseconds mod 2**32 from the send time to the receiver's clock; None when they are not known.
        :param calm: there was little in flight, so that it shows the path itself, jitter and all.
        :param unsure: seconds by which it may have left later than its send time says. What that can explain is
            nobody's queue; but no sample gets lower by it than the lowest that is known.
        """
        sample = lowered(sample, unsure, self._floor.best(now))
        self._floor.add(sample, now)
        self.samples += 1
        if self.smoothed is None:
            self.smoothed, self.variation, self.jitter = sample, sample / 2, 0.0
        else:
            self.variation += (abs(self.smoothed - sample) - self.variation) / 4
            self.smoothed += (sample - self.smoothed) / 8
            self.jitter = (self.jitter or 0.0) + (abs(sample - self.latest) - (self.jitter or 0.0)) / 16
        self.latest = sample
        took = sample if there is None else lowered(self._took(there), unsure, self._there.best(now))
        before = self._there.best(now)
        self._there.add(took, now)
        if before is not None and took < before:
            self._reckon_from(before - took)
        queue = took - (self._there.best(now) or 0.0)
        self.unrest += (abs(queue - self.queue) - self.unrest) / min(32, 2 + self.samples)
        self.queue = queue
        self.delayed += (self.queue - self.delayed) / 8
        self._level += (self.queue - self._level) / 32
        if calm:
            self._calm = self.queue if self._calm is None else self._calm + (self.queue - self._calm) / 8
            self._quiet = sample if self._quiet is None else self._quiet + (sample - self._quiet) / 8
            self._calm_at, self._level = now, max(self._level, self._calm)
        elif now - self._calm_at > KNOWN:
            self._calm = self._quiet = None
        elif self._calm is not None and self._level < self._calm:
            self._calm = self._level
            self._quiet = min(self._quiet or sample, self.smoothed)

    def remember(self, seconds: float) -> None:
        """For so long it is believed what the path itself takes: there may be no better moment to measure it."""
        self._floor.span = self._there.span = seconds

    def settle(self, now: float) -> None:
        """What it takes now is what it takes without a queue of ours."""
        self._calm_at = now
        self._calm, self._level, self._quiet = self.delayed, self.delayed, self.smoothed

    def recall(self, seconds: float) -> None:
        """It takes no more without a queue than it once did: what was settled since is void."""
        if self._calm is not None and self._calm > seconds:
            self._calm, self._level, self._quiet = seconds, seconds, None

    def _reckon_from(self, lower: float) -> None:
        """The fastest was so many seconds faster than was known: all others were later by that."""
        self.queue += lower
        self.delayed += lower
        self._level += lower
        if self._calm is not None:
            self._calm += lower

    def _took(self, there: int) -> float:
        """Seconds, from a zero of its own."""
        if self._zero is None:
            self._zero = there
        return ((there - self._zero + _TURN // 2) % _TURN - _TURN // 2) / 1e6

    def other_clock(self) -> None:
        """The peer is another process: what it took before cannot be compared any more."""
        self._zero = None
        self._there.clear()
        self._calm, self.queue, self.delayed, self._level = None, 0.0, 0.0, 0.0

    def restart(self) -> None:
        """The path is another one now, as far as is known: nothing is."""
        self.__init__()  # type: ignore[misc]

    @property
    def calm(self) -> float:
        """Seconds by which a packet is late on its way there without a queue of ours."""
        return min(self._calm or 0.0, MOST_JITTER)

    def floor(self, now: float) -> float | None:
        """The lowest RTT of the last ten seconds; None until the first sample."""
        return self._floor.best(now)

    def base(self, now: float) -> float | None:
        """Seconds that a round trip takes without a queue of ours, its jitter included; None until the first sample."""
        floor = self.floor(now)
        return None if floor is None else min(max(floor, self._quiet or 0.0), floor + MOST_JITTER)

    def floor_age(self, now: float) -> float:
        """Seconds since the floor was last confirmed."""
        return self._floor.age(now)


def lowered(sample: float, unsure: float, lowest: float | None) -> float:
    """`sample` without up to `unsure` of what it is above `lowest`, all in seconds."""
    if not unsure or lowest is None:
        return sample
    return max(sample - unsure, min(sample, lowest))


class WindowedBest:
    """
    The highest (or lowest) of the samples of the last `span` seconds; the newest sample never expires.

    Source: the monotonic deque of Lemire (2006), as BBR's windowed filters use it.
    """

    def __init__(self, span: float, *, lowest: bool = False) -> None:
        self.span = span
        self._sign = -1.0 if lowest else 1.0
        self._kept: deque[tuple[float, float]] = deque()  # (at, signed sample), samples descending

    def add(self, sample: float, now: float) -> None:
        """Fold in one sample."""
        signed = sample * self._sign
        while self._kept and self._kept[-1][1] <= signed:
            self._kept.pop()
        self._kept.append((now, signed))

    def best(self, now: float) -> float | None:
        """The best sample in the window, None when there never was one."""
        kept = self._kept
        while len(kept) > 1 and now - kept[0][0] > self.span:
            kept.popleft()
        return kept[0][1] * self._sign if kept else None

    def age(self, now: float) -> float:
        """Seconds since the best sample was taken."""
        return now - self._kept[0][0] if self._kept else 0.0

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


class LossMeter:
    """Share of packets lost over the last `span` seconds, from the peer's counts."""

    def __init__(self, span: float = 4.0) -> None:
        self.span = span
        self._marks: deque[tuple[float, int, int]] = deque()  # (at, highest number, packets received)

    def add(self, largest: int, packets: int, now: float) -> None:
        """The peer has received `packets` (mod 2**32) of the numbers up to `largest`."""
        marks = self._marks
        if marks and (now - marks[-1][0] < 0.05 or largest <= marks[-1][1]):
            return
        marks.append((now, largest, packets))
        while len(marks) > 2 and now - marks[1][0] > self.span:
            marks.popleft()

    def rate(self) -> float:
        """0 .. 1; 0 while fewer than 20 packets are known of."""
        return self.measured()[0]

    def measured(self, since: float = float("-inf")) -> tuple[float, int]:
        """
        (loss 0 .. 1, packets that it was measured on).

        :param since: leave out what was known before.
        """
        first = next((mark for mark in self._marks if mark[0] >= since), None)
        if first is None:
            return 0.0, 0
        _, largest0, packets0 = first
        _, largest1, packets1 = self._marks[-1]
        sent, received = largest1 - largest0, (packets1 - packets0) & 0xFFFFFFFF
        if sent < 20:
            return 0.0, sent
        return min(1.0, max(0.0, 1.0 - received / sent)), sent

    def clear(self) -> None:
        """Forget everything."""
        self._marks.clear()


STALE = 0.5  # seconds (and four intervals) after which a sample would measure a pause, not the path
LATE = 10.0  # seconds by which an Ack may be older than one before it


class RateMeter:
    """Delivery rate of one path, in bytes a second, from the receiver's byte count and clock."""

    def __init__(self) -> None:
        self._at: int | None = None  # microseconds mod 2**32, receiver's clock
        self._total = 0

    def add(self, received_at: int, total: int, interval: float) -> float | None:
        """
        Fold in one Ack.

        :param interval: seconds that a sample must span at least.
        :returns: bytes a second since the last sample; None when it is too soon, or when there was a pause.
        """
        if self._at is None:
            self._at, self._total = received_at, total
            return None
        passed = ((received_at - self._at) % _TURN) / 1e6
        if passed < interval or passed > _TURN / 1e6 - LATE:
            return None
        rate = (total - self._total) / passed
        self._at, self._total = received_at, total
        # a long time passed, or the receiver is another process, with another clock and count: begin again
        return rate if passed <= STALE + 4 * interval and rate >= 0 else None
