"""CoDel: which packets a queue drops when they leave it, so that they do not wait for long in it."""

from __future__ import annotations

from math import sqrt

TARGET = 0.005  # seconds that a packet may wait for ever
INTERVAL = 0.100  # seconds, about the longest RTT of who shall not be hurt
_FORGETS = 16 * INTERVAL  # seconds after which a queue begins with one drop again


class CoDel:
    """
    The state of one queue.

    It is asked about every packet in order of the queue; what it drops takes no time of the link, so that the next one
    leaves at the same moment. What is waiting behind a packet is not known here: a packet that is alone when it leaves
    is spared only when it waited less than TARGET.

    Source: RFC 8289 sections 5.3 to 5.5.
    """

    def __init__(self) -> None:
        self._above_from: float | None = None  # when the wait will have been too long for INTERVAL
        self._dropping = False
        self._next_at = 0.0  # when the next one is dropped, while it is dropping
        self._count = 0  # since it began to drop
        self._count_before = 0

    def drops(self, waited: float, now: float) -> bool:
        """
        Whether the packet is dropped.

        :param waited: seconds in the queue.
        :param now: when it leaves the queue, seconds.
        """
        too_long = self._too_long(waited, now)
        if not self._dropping:
            return too_long and self._begin(now)
        if not too_long:
            self._dropping = False
            return False
        if now < self._next_at:
            return False
        self._count += 1
        self._next_at += INTERVAL / sqrt(self._count)
        return True

    def _too_long(self, waited: float, now: float) -> bool:
        """Whether all have waited too long since INTERVAL."""
        if waited < TARGET:
            self._above_from = None
            return False
        if self._above_from is None:
            self._above_from = now + INTERVAL
            return False
        return now >= self._above_from

    def _begin(self, now: float) -> bool:
        """Drop the first one, at once as often as it was needed a short time ago."""
        more = self._count - self._count_before
        self._count = more if more > 1 and now - self._next_at < _FORGETS else 1
        self._count_before = self._count
        self._next_at = now + INTERVAL / sqrt(self._count)
        self._dropping = True
        return True
