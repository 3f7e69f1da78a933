"""
What came in by one path: which packet numbers, how much, how late, and the Ack that is owed for it.

Source: docs/protocol sections 5 and 7.
"""

from __future__ import annotations

from morphnet.tunnel.ackdebt import AckDebt
from morphnet.tunnel.replay import WINDOW, ReplayWindow
from morphnet.wire.frames import MAX_RANGES, Ack

_MICRO = 1_000_000


class Received:
    """Of one path."""

    def __init__(self, path_id: int, now: float) -> None:
        self._path = path_id
        self.seen = ReplayWindow()
        self.debt = AckDebt()
        self.packets = self.bytes = 0  # authentic ones, ever
        self.heard_at = now
        self.sent_seen: int | None = None  # latest send time in what came: microseconds mod 2**32, the peer's clock
        self._largest_at, self._largest_echo = 0.0, 0  # when the highest number came, and its send time

    def came(self, number: int, count: int, size: int, sent_at: int, at: float) -> None:
        """`count` authentic datagrams up to packet `number`, `size` bytes together, arrived at that time."""
        self.packets += count
        self.bytes += size
        self.heard_at = at
        if self.sent_seen is None or not_before(sent_at, self.sent_seen):
            self.sent_seen = sent_at
        if number >= self.seen.highest:
            self._largest_at, self._largest_echo = at, sent_at

    def make_ack(self, now: float) -> Ack:
        """What to tell the peer, now; the debt is paid."""
        self.debt.paid(now)
        return Ack(
            path=self._path,
            largest=max(0, self.seen.highest),
            delay=max(0, min(0xFFFFFFFF, round((now - self._largest_at) * _MICRO))),
            echo=self._largest_echo,
            packets=self.packets & 0xFFFFFFFF,
            total=self.bytes,
            received_at=round(self._largest_at * _MICRO) & 0xFFFFFFFF,
            ranges=self.seen.ranges(MAX_RANGES, WINDOW),
        )

    def restart(self) -> None:
        """The peer is a new process: it counts from the start, by another clock."""
        self.seen, self.sent_seen = ReplayWindow(), None


def not_before(one: int, other: int) -> bool:
    """Whether the time `one` is `other` or later; both microseconds mod 2**32, less than 35 minutes apart."""
    return (one - other) & 0xFFFFFFFF < 1 << 31
