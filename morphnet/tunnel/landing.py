"""
When what was sent by one path will be there, if the path delivers what it was seen to, and no more.

The pace of a path is a hope: a path that may be faster is given more, and then its packets come later. Who wants them
in order must not believe it.

Source: docs/protocol section 8.
"""

from __future__ import annotations

FEW, UNKNOWN = 10 * 1500, 0.05  # bytes that any path delivers in its RTT (RFC 6928), which is thought to be so long


class Landing:
    """Of one path."""

    __slots__ = ("_rate", "at", "way")

    def __init__(self, now: float) -> None:
        self.at = now  # when all that was sent will be there, at the latest
        self.way = 0.0  # seconds that it takes without a queue
        self._rate = FEW / UNKNOWN  # bytes a second that are delivered in any case

    def sent(self, size: int, now: float) -> None:
        """So many bytes leave now."""
        least = now + self.way
        self.at = (self.at if self.at > least else least) + size / self._rate

    def told(self, rate: float | None, in_flight: int, at: float) -> None:
        """
        An Ack has come.

        :param rate: bytes a second that were delivered of late; None when there is no new sample.
        :param in_flight: bytes that it does not tell of.
        :param at: when the newest that it tells of would have been acknowledged here, had that been done at once.
        """
        if rate is not None:
            self._rate = max(rate, FEW / (2 * self.way or UNKNOWN))
        self.at = at - (self.way or UNKNOWN / 2) + in_flight / self._rate
