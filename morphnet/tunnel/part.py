"""
Which end of a session this is.

Source: docs/protocol sections 5 and 8.
"""

from __future__ import annotations

from enum import StrEnum


class Part(StrEnum):
    """One end opens paths and shows ids that the other end issued; that one follows. Of two peers both may move."""

    CLIENT = "client"  # opens
    SERVER = "server"  # follows, and does not move
    CALLER = "caller"  # of two peers: opens
    CALLED = "called"  # of two peers: follows

    @property
    def follows(self) -> bool:
        """Whether the other end opens the paths."""
        return self in (Part.SERVER, Part.CALLED)

    @property
    def of_peers(self) -> bool:
        """Whether either end may find itself behind another address."""
        return self in (Part.CALLER, Part.CALLED)
