"""
Whether the peer is proved to be at the address that a path leads to, and what may be sent there before.

Source: docs/protocol section 8; RFC 9000 sections 8 and 9.
"""

from __future__ import annotations

from collections.abc import Callable

from morphnet.wire.frames import TOKEN

AMPLIFICATION = 3  # times the bytes received may be sent to an address that has not proved itself


class Validation:
    """Of one path's address."""

    def __init__(self) -> None:
        self.validated = False
        self.token = b""  # of the challenge under way; empty when there is none
        self.answered = b""  # the token of the peer that made us show another id last
        self.allowance = 0  # bytes that may still go there while it is not validated

    def challenge(self, entropy: Callable[[int], bytes]) -> bytes:
        """The token of the challenge that is under way, or of a new one."""
        self.token = self.token or entropy(TOKEN)
        return self.token

    def heard(self, size: int) -> None:
        """So many authentic bytes came from there, and it is not validated yet."""
        self.allowance += AMPLIFICATION * size

    def allows(self, size: int) -> bool:
        """Whether so many bytes may go there now."""
        return self.validated or size <= self.allowance
