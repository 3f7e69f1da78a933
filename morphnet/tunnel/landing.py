"""
When what was sent by one path will be there, if the path delivers what it was seen to, and no more.

The pace of a path is a hope: a path that may be faster is given more, and then its packets come later. Who wants them
in order must not believe it.

Source: docs/protocol section 8.
"""

from __future__ import annotations

from morphnet.tunnel.rtt import UNKNOWN

FEW = 10 * 1500  # bytes that any path delivers in its RTT (RFC 6928)


class Landing:
    """Of one path."""

    __slots__ = ("_rate", "_resumed", "_since", "at", "way")

    def __init__(self, now: float) -> None:
        self.at = now  # when all that was sent will be there, at the latest
        self.way = UNKNOWN / 2  # seconds that it takes without a queue
        self._rate = FEW / UNKNOWN  # bytes a second that are delivered in any case
        self._resumed, self._since = now, 0  # when it was last used again after a pause, and bytes sent since

    def sent(self, size: int, now: float) -> None:
        """So many bytes leave now."""
        least = now + self.way
        if self.at < least:
            self.at, self._resumed, self._since = least, now, 0
        self._since += size
        self.at += size / self._rate

    def told(self, rate: float | None, in_flight: int, took: tuple[float, float]) -> None:
        """
        An Ack has come.

        :param rate: bytes a second that were delivered of late; None when there is no new sample.
        :param in_flight: bytes that it does not tell of.
        :param took: when the newest that it tells of left, and when it was there.
        """
        if rate is not None:
            self._rate = max(rate, FEW / (2 * self.way))
        left, arrived = took
        self.at = arrived + in_flight / self._rate
        if left < self._resumed:
            self.at = max(self.at, self._resumed + self.way + self._since / self._rate)
