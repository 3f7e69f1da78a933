"""What a shape is to those who use it."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple, Protocol

from morphnet.wire.ip import View

PLAIN, MASKED, QUIC = "plain", "masked", "quic"


Stream = Callable[[bytes], bytes]  # the cipher: makes as much of samples
Undressed = tuple[memoryview, int, int, int]
"""Datagrams, bytes from one to the next, the offset behind what they came in, and the gap: see `batch.Spacing`."""


class Coat(NamedTuple):
    """What a run is masked with while it is sealed."""

    before: bytes
    padding: int  # bytes behind each
    cipher: Stream

    @property
    def longer(self) -> int:
        """Bytes that each datagram gets."""
        return len(self.before) + 1 + self.padding


class Reading(Protocol):
    """Datagrams of which a shape has looked at all, once, whatever they turn out to be."""

    worn: Shape  # what those wore that were undressed last: to answer in

    def undress(self, at: int, known: Container[bytes]) -> Undressed | None:
        """
        The datagram at offset `at`, and those behind it that were dressed with it; they are where they were, with gaps
        between them, if that can be written to.

        :param known: the ids (SHORT_ID bytes) that a datagram of ours may start with.
        :returns: as `masking.undress`; None when the one at `at` is none of ours.
        """
        ...


class Shape(Protocol):
    """
    Dresses a run of datagrams, and undresses it. Paths that wear the same have the same object, but where a shape knows
    connections: then each has one of its own (`flow`).
    """

    @property
    def name(self) -> str:
        "As in settings and messages."

    @property
    def least(self) -> int:
        "Bytes that it adds to each datagram, besides padding."

    def flow(self) -> Shape:
        """As one path wears it from now on, by which the other end has not been seen to answer yet."""
        ...

    def proved(self) -> None:
        """What was undressed was authentic; nothing may be kept of what was not."""

    def dress(self, data: View, size: int, least: int, most: int, room: int) -> tuple[View, int]:
        """
        Datagrams of `size` bytes, the last may be shorter, as they go out, and bytes of each of these but the last.

        :param least: bytes of padding that each gets at least.
        :param most: and at most.
        :param room: bytes that a lone one may become longer by what else stands in front of it.
        """
        ...

    def coat(self, most: int) -> Coat:
        """
        The same for a run that is yet to be sealed: two datagrams at least.

        :param most: bytes of padding that each may get.
        """
        ...

    def take(self, data: View, size: int, known: Container[bytes]) -> tuple[Undressed, Shape] | None:
        """
        The first of these datagrams and those that belong to it at once, and what they wore; as `reading` and `undress`
        do it, but that nothing is kept for others. None: look closer.
        """
        ...

    def reading(self, data: View, size: int, *, ours: bool = False) -> Reading | None:
        """
        Look at what came, 64 datagrams of `size` bytes at most, the last may be shorter; None: none can be ours.

        :param ours: it did not come: we have sent it.
        """
        ...
