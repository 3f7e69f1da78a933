"""
Congestion controls of the simulated TCP: what they are told, and CUBIC with HyStart as Linux has it.

Source: RFC 9438 (CUBIC), RFC 9406 and linux/net/ipv4/tcp_cubic.c (HyStart).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

BETA, CUBIC = 0.7, 0.4
FIRST_WINDOW = 10.0  # segments
HYSTART_FROM = 16  # segments
UNTRIED = 0.05  # times the window in a round trip: so much Linux grows at least, until something was lost
HYSTART_SAMPLES = 8


class News(NamedTuple):
    """What one acknowledgement tells."""

    arrived: int  # segments
    rtt: float | None  # seconds
    rate: float | None  # segments a second that were delivered since what it acknowledges was sent
    una: int  # all segments below it have arrived
    following: int  # the next to be sent
    pipe: int  # segments in flight
    delivered: int  # segments ever
    before: int  # the same when what it acknowledges was sent
    recovering: bool  # what was lost is being sent again


class Control(Protocol):
    """A congestion control."""

    window: float  # segments

    @property
    def pace(self) -> float | None:
        """Segments a second; None: as fast as the window allows."""
        ...

    def acknowledged(self, news: News, now: float) -> None:
        """Something arrived."""
        ...

    def lost(self) -> tuple[float, float]:
        """A loss, the first of a recovery: what `undo` needs."""
        ...

    def undo(self, before: tuple[float, float]) -> None:
        """It was none."""
        ...


class Cubic:
    """The congestion window, in segments."""

    pace: float | None = None

    def __init__(self) -> None:
        self.window, self.threshold = FIRST_WINDOW, float("inf")
        self.slow_start_ended: float | None = None  # seconds
        self._least = float("inf")  # RTT, seconds
        self._round_end, self._round_least, self._samples = -1, float("inf"), 0
        self._round_began = self._last_ack = 0.0
        self._most = 0.0  # segments, at the last loss
        self._epoch: float | None = None
        self._origin = self._k = self._reno = 0.0

    def acknowledged(self, news: News, now: float) -> None:
        """Something arrived."""
        if news.recovering:
            return
        count, rtt, una, following = news.arrived, news.rtt, news.una, news.following
        if rtt is not None:
            self._least = min(self._least, rtt)
        if self.window < self.threshold:
            self._look(rtt, una, following, now)
            self.window += count
            return
        if self._epoch is None:
            self._epoch, self._reno = now, self.window
            self._origin = max(self._most, self.window)
            self._k = ((self._origin - self.window) / CUBIC) ** (1 / 3)
        target = self._origin + CUBIC * (now - self._epoch + self._least - self._k) ** 3
        target = min(target, 1.5 * self.window)
        self._reno += 3 * (1 - BETA) / (1 + BETA) * count / self.window
        step = max(0.0, max(target, self._reno) - self.window) / self.window
        self.window += max(step, 0.0 if self._most else UNTRIED) * count

    def _look(self, rtt: float | None, una: int, following: int, now: float) -> None:
        """HyStart: leave slow start when the round takes longer than it should."""
        if una > self._round_end:
            self._round_end, self._round_least, self._samples = following, float("inf"), 0
            self._round_began = self._last_ack = now
        if self.window < HYSTART_FROM or rtt is None:
            return
        self._round_least, self._samples = min(self._round_least, rtt), self._samples + 1
        slower = self._round_least > self._least + min(0.016, max(0.004, self._least / 8))
        train = now - self._last_ack <= 0.002 and now - self._round_began > self._least / 2
        if now - self._last_ack <= 0.002:
            self._last_ack = now
        if train or (self._samples > HYSTART_SAMPLES and slower):
            self.threshold, self.slow_start_ended = self.window, now

    def lost(self) -> tuple[float, float]:
        """A loss: what `undo` needs."""
        before = self.window, self.threshold
        self._most = self.window * (1 + BETA) / 2 if self.window < self._most else self.window
        self._epoch = None
        self.window = self.threshold = max(2.0, self.window * BETA)
        return before

    def undo(self, before: tuple[float, float]) -> None:
        """It was none."""
        self.window = max(self.window, before[0])
        self.threshold = max(self.threshold, before[1])
