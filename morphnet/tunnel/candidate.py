"""
Where a path may have moved to.

Source: docs/protocol section 8; RFC 9000 section 9.
"""

from __future__ import annotations

from morphnet.wire.batch import Arrival


class Candidate:
    """An address from which authentic datagrams of a path came, and that has not proved itself yet."""

    __slots__ = ("allowance", "challenged_at", "shown", "token", "way")

    def __init__(self, arrival: Arrival, token: bytes) -> None:
        self.way = arrival.door, arrival.source
        self.token = token
        self.shown = b""  # the issued id that came from there; nobody on the old way shall see it
        self.allowance = 0  # bytes
        self.challenged_at = float("-inf")
