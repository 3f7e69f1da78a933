"""
BBR, version 1, as a congestion control of `inner_tcp`: what streams of it leave to others.

Source: draft-cardwell-iccrg-bbr-congestion-control-00; linux/net/ipv4/tcp_bbr.c. Without its reaction to policers.
"""

from __future__ import annotations

from collections import deque

from tests.inner_control import News

_HIGH = 2.885  # gain of startup
_CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_LEAST = 4.0  # segments


class Bbr:
    """A model of the path: the highest rate of ten rounds, and the lowest RTT of ten seconds."""

    def __init__(self) -> None:
        self.window, self.pace = 10.0, 10 / 0.001
        self._mode, self._gain = "startup", _HIGH
        self._rates: deque[tuple[int, float]] = deque()  # (round, segments a second), descending
        self._round, self._round_end = 0, 0
        self._full, self._flat = 0.0, 0
        self._least, self._least_at = float("inf"), 0.0
        self._step, self._step_at = 2, 0.0
        self._probe_ends: float | None = None
        self._recovering = self._conserves = False  # in a recovery; in its first round: it sends what has arrived
        self._prior = 0.0  # segments, the window before it

    def lost(self) -> tuple[float, float]:
        """It does not care."""
        return 0.0, 0.0

    def undo(self, before: tuple[float, float]) -> None:
        """Nor that it was none."""

    def acknowledged(self, news: News, now: float) -> None:
        """Something arrived."""
        begins = news.before >= self._round_end
        if begins:
            self._round, self._round_end, self._conserves = self._round + 1, news.delivered, False
        if news.rate is not None:
            while self._rates and self._rates[-1][1] <= news.rate:
                self._rates.pop()
            self._rates.append((self._round, news.rate))
            while self._round - self._rates[0][0] > 10:
                self._rates.popleft()
        expired = now - self._least_at > 10.0
        if news.rtt is not None and (news.rtt <= self._least or expired):
            self._least, self._least_at = news.rtt, now
        if not self._rates or self._least == float("inf"):
            return
        rate = self._rates[0][1]
        self._move(news, rate, begins=begins, expired=expired, now=now)
        bdp = rate * self._least
        self.pace = max(1.0, self._gain * rate)
        if self._recovers(news):
            self.window = news.pipe + news.arrived
        elif self._mode == "rtt":
            self.window = _LEAST
        elif self._mode in ("startup", "drain"):
            self.window = max(self.window, _HIGH * bdp + 3, self.window + news.arrived * (self._mode == "startup"))
            self.window = min(self.window, max(10.0, _HIGH * bdp + 3))
        else:
            self.window = max(_LEAST, min(self.window + news.arrived, 2 * bdp + 3))

    def _recovers(self, news: News) -> bool:
        """Whether it only sends what has arrived, for a round after a loss."""
        if news.recovering and not self._recovering:
            self._conserves, self._round_end = True, news.delivered
        elif self._recovering and not news.recovering:
            self._conserves, self.window = False, max(self.window, self._prior)
        if not news.recovering:
            self._prior = self.window
        self._recovering = news.recovering
        return self._conserves

    def _move(self, news: News, rate: float, *, begins: bool, expired: bool, now: float) -> None:
        bdp = rate * self._least
        if self._mode == "startup" and begins:
            if rate >= self._full * 1.25:
                self._full, self._flat = rate, 0
            else:
                self._flat += 1
                if self._flat >= 3:
                    self._mode, self._gain = "drain", 1 / _HIGH
        if self._mode == "drain" and news.pipe <= bdp:
            self._mode, self._gain, self._step, self._step_at = "bandwidth", 1.0, 2, now
        if self._mode == "bandwidth":
            passed = now - self._step_at > self._least
            if self._gain > 1:
                over = passed and news.pipe >= self._gain * bdp
                over = over or now - self._step_at > 4 * self._least
            else:
                over = passed or (self._gain < 1 and news.pipe <= bdp)
            if over:
                self._step, self._step_at = (self._step + 1) % len(_CYCLE), now
                self._gain = _CYCLE[self._step]
        if self._mode == "rtt":
            if self._probe_ends is None and news.pipe <= _LEAST:
                self._probe_ends = now + 0.2
            if self._probe_ends is not None and now >= self._probe_ends:
                self._probe_ends, self._least_at = None, now
                self._mode, self._gain, self._step, self._step_at = "bandwidth", 1.0, 2, now
        elif expired and self._mode == "bandwidth":
            self._mode, self._gain = "rtt", 1.0
