"""What a shape is to those who use it."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol

from morphnet.wire.ip import View

PLAIN, MASKED = "plain", "masked"


class Reading(Protocol):
    """Datagrams of which a shape has looked at all, once, whatever they turn out to be."""

    def undress(self, at: int, known: Container[bytes]) -> tuple[bytes, int, int] | None:
        """
        The datagram at offset `at`, and those behind it that were dressed with it.

        :param known: the ids (SHORT_ID bytes) that a datagram of ours may start with.
        :returns: the datagrams as they were, bytes of each but the last, and the offset behind what they came in; None
            when the one at `at` is none of ours.
        """
        ...


class Shape(Protocol):
    """Dresses a run of datagrams, and undresses it; the same object for every path that wears it."""

    @property
    def name(self) -> str:
        "As in settings and messages."

    @property
    def least(self) -> int:
        "Bytes that it adds to each datagram, besides padding."

    def dress(self, data: View, size: int, least: int, most: int) -> tuple[View, int]:
        """
        Datagrams of `size` bytes, the last may be shorter, as they go out, and bytes of each of these but the last.

        :param least: bytes of padding that each gets at least.
        :param most: and at most.
        """
        ...

    def reading(self, data: View, size: int) -> Reading | None:
        """Look at what came, 64 datagrams of `size` bytes at most, the last may be shorter; None: none can be ours."""
        ...
