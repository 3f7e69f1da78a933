"""
On which terms a path may be used, as the owner of its uplink wants it, and the bound on what is sent by it.

Traffic goes by the paths of the lowest level of which one works; a relay or a stream of a lower level comes before a
direct path of a higher one. A path of a higher level is kept warm meanwhile: it is validated and asked, and nothing is
given to it.
"""

from __future__ import annotations

from typing import NamedTuple

LEVELS = 100  # so many priorities, the least first
METERED = LEVELS  # that is added where each byte costs: within each of the kinds these come last
BACKUP, LAST = 2 * LEVELS, 4 * LEVELS  # where the levels of each kind begin; below BACKUP: normal
MOST = 6 * LEVELS - 1
SPARSE = 25.0  # seconds between heartbeats of a metered path: NATs keep a mapping for 30 s at least. Source: RFC 4787
HELD = 0.01  # seconds of the bound that may go at once
LEAST_HELD = 2 * 1500  # bytes of that at least
ENDLESS = float("inf")


class Terms(NamedTuple):
    """Of one path."""

    level: int = 0  # 0 to MOST; from LAST on it is used only when no other works at all, not even one that loses much
    metered: bool = False  # each byte costs: fewer heartbeats, no copies, and no probes of its MTU while it rests
    rate: float = ENDLESS  # bytes a second, IP headers included, that this end may send by it


FREE = Terms()
UNTOLD = Terms(LAST - 1)  # of a path whose other end has terms, and has not told those of this path yet


class Bound:
    """
    A bucket of bytes that fills at a rate. What must go (an Ack, a probe) goes, and is owed: data waits the longer.

    :param rate: bytes a second.
    """

    def __init__(self, rate: float = ENDLESS) -> None:
        self.rate = rate
        self._paid_at = float("-inf")  # when all that went will have been paid for

    def set(self, rate: float) -> None:
        """Another rate from now on."""
        if rate != self.rate:
            self.rate, self._paid_at = rate, float("-inf")

    def room(self, now: float) -> float:
        """Bytes that may go now; less than 0 when some are owed."""
        if self.rate == ENDLESS:
            return ENDLESS
        full = max(HELD, LEAST_HELD / self.rate)
        return min(full, now + full - self._paid_at) * self.rate

    def sent(self, size: int, now: float) -> None:
        """So many bytes go."""
        if self.rate != ENDLESS:
            self._paid_at = (self._paid_at if self._paid_at > now else now) + size / self.rate

    def room_at(self, size: int, now: float) -> float:
        """When so many may go, or as many as may ever go at once."""
        if self.rate == ENDLESS:
            return now
        full = max(HELD, LEAST_HELD / self.rate)
        return max(now, self._paid_at - full + min(size / self.rate, full))
