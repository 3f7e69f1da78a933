"""
The issued ids that the opening end of a session has in hand, and what the issuing end owes.

Source: docs/protocol section 5.
"""

from __future__ import annotations

from collections import deque

from morphnet.tunnel.events import Effects
from morphnet.tunnel.outbound import ControlPacket, Outbound
from morphnet.wire.frames import MAX_IDS, NewIds, WantIds

LEAST_IN_HAND = 4  # issued ids that a client keeps in hand; below that it asks for more
MAX_IN_HAND = 32  # well below IDS_PER_SESSION: the server still knows every one of them
ASK_AGAIN = 1.0  # seconds


class ConnectionIds:
    """Ids, 20 bytes each."""

    def __init__(self, outbound: Outbound, *, server: bool) -> None:
        self.in_hand: deque[bytes] = deque(maxlen=MAX_IN_HAND)  # client: not shown yet
        self.wanted = 0  # server: how many the client asked for
        self._outbound, self._server = outbound, server
        self._asked_at = float("-inf")

    def tend(self, now: float, effects: Effects) -> None:
        """Client: ask for more before they run out."""
        if not self._server and len(self.in_hand) < LEAST_IN_HAND and now - self._asked_at > ASK_AGAIN:
            ways = self._outbound.usable_paths()
            if ways:
                self._asked_at = now
                self._outbound.send_frames(ways[0], ControlPacket([WantIds(MAX_IDS // 2)], asks=True), now, effects)

    def grant(self, ids: list[bytes], now: float, effects: Effects) -> None:
        """Server: hand the client those that it asked for."""
        self.wanted = 0
        ways = self._outbound.usable_paths()
        if ways and ids:
            self._outbound.send_frames(ways[0], ControlPacket([NewIds(tuple(ids))], asks=True), now, effects)
