"""
For how long a path had room that nobody wanted: what it delivered meanwhile does not tell what it can.

Source: draft-cheng-iccrg-delivery-rate-estimation section 3.4, which calls such samples "application-limited".
"""

from __future__ import annotations

BRIEF = 0.012  # seconds after a refusal in which who was refused comes again: Acks are up to 10 ms late
IDLE = 0.2  # of the time between two samples: for so long there was room, and nobody wanted it


class Leisure:
    """Of one path."""

    __slots__ = ("_before", "_began", "_idle", "busy_until")

    def __init__(self) -> None:
        self._idle = 0.0  # seconds of it since the last sample
        self._before = 0.0  # share of it in the time before that, 0 .. 1
        self.busy_until = self._began = float("-inf")  # it was wanted all the time until then; the last sample

    def wanted(self, now: float, free_at: float) -> None:
        """
        Somebody has something for it.

        :param free_at: when all that it was given before had left.
        """
        since = max(self.busy_until, self._began, free_at)
        if now > since:
            self._idle += now - since
            self.busy_until = now

    def refused(self, now: float) -> None:
        """It had no room for all of that: there is more, which comes as soon as there is room."""
        self.busy_until = now + BRIEF

    def sampled(self, now: float, free_at: float) -> bool:
        """A sample of the rate ends now: whether what it tells of was sent in a time with much leisure."""
        self.wanted(now, free_at)
        passed = now - self._began
        self._began = now
        share = self._idle / passed if passed else 0.0
        most, self._before, self._idle = max(share, self._before), share, 0.0
        return most > IDLE
