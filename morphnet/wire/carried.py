"""
A carried datagram: what somebody else's program sent by UDP to a port of ours, and what was answered.

Source: docs/protocol section 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from morphnet.errors import MalformedFrame

_HEAD = struct.Struct("!HH")
HEAD = _HEAD.size  # bytes in front of what it holds
MOST = 65_507  # bytes of UDP payload over IPv4
Which = tuple[int, int]  # carry and program


class Carried(NamedTuple):
    """One datagram, on its way to the other end."""

    carry: int  # u16: which of the carries that both ends know of
    local: int  # u16: which of the programs that use it, as the end numbers them where they are
    data: bytes  # at most MOST bytes

    @property
    def flow(self) -> int:
        """What is of one flow stays in order."""
        return self.carry << 16 | self.local


def encode_carried(carried: Carried) -> bytes:
    """As it travels."""
    return _HEAD.pack(carried.carry, carried.local) + carried.data


def encode_alike(batch: Sequence[Carried]) -> bytes:
    """Several of one flow, one behind the other."""
    head = _HEAD.pack(batch[0].carry, batch[0].local)
    return head + head.join([each.data for each in batch])


def decode_carried(plaintext: bytes) -> Carried:
    """
    The other way round.

    :raises MalformedFrame: it has no head, or is longer than a datagram can be.
    """
    if not _HEAD.size <= len(plaintext) <= _HEAD.size + MOST:
        raise MalformedFrame("no carried datagram")
    carry, local = _HEAD.unpack_from(plaintext)
    return Carried(carry, local, plaintext[_HEAD.size :])


def alike(batch: Sequence[tuple[str, Carried]]) -> Iterator[tuple[tuple[str, Which], list[bytes]]]:
    """What follows one another in a batch and is of one session and one program there: whose, and what it holds."""
    start, run = ("", (-1, -1)), list[bytes]()
    for peer, carried in batch:
        whose = peer, (carried.carry, carried.local)
        if whose != start and run:
            yield start, run
            run = []
        start = whose
        run.append(carried.data)
    if run:
        yield start, run
