"""
When a path's peer is to be told what came in.

Source: docs/protocol section 7; RFC 9000 section 13.2.
"""

from __future__ import annotations

EVERY = 64  # datagrams at the most between two Acks
SPACING = 0.004  # seconds between two Acks at least: at 7 Gbit/s 64 datagrams come every 100 microseconds
DELAY = 0.010  # seconds at the most, and a quarter of the RTT; no less than SPACING: an answer goes before its Ack


class AckDebt:
    """The Ack that one path owes."""

    def __init__(self) -> None:
        self.due: float | None = None
        self._pending, self._told_at = 0, float("-inf")  # datagrams since the last Ack, and when that was

    def owe(self, count: int, smoothed: float | None, now: float) -> None:
        """`count` datagrams that came ask for an Ack; `smoothed`: the path's RTT, if it is known."""
        self._pending += count
        if self._pending >= EVERY:
            due = max(now, self._told_at + SPACING)
            self.due = due if self.due is None else min(due, self.due)
        elif self.due is None:
            self.due = now + min(DELAY, max(SPACING, (smoothed or 0.04) / 4))

    def paid(self, now: float) -> None:
        """The peer was told everything."""
        self.due, self._pending, self._told_at = None, 0, now
