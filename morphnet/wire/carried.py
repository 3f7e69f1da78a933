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


class CarriedRun(NamedTuple):
    """Several datagrams of one program, in their order; what is of one program stays in order."""

    carry: int  # as in Carried
    local: int
    datagrams: list[bytes]  # one at least


def encode_carried(carried: Carried) -> bytes:
    """As it travels."""
    return _HEAD.pack(carried.carry, carried.local) + carried.data


def encode_run(run: CarriedRun) -> bytes:
    """As they travel, one behind the other."""
    head = _HEAD.pack(run.carry, run.local)
    return head + head.join(run.datagrams)


def decode_run(plaintexts: list[bytes]) -> CarriedRun | None:
    """The other way round, where all are of one program; None for others."""
    head = plaintexts[0][: _HEAD.size]
    datagrams = [each[_HEAD.size :] for each in plaintexts if each[: _HEAD.size] == head]
    if len(datagrams) < len(plaintexts) or len(head) < _HEAD.size or max(map(len, datagrams)) > MOST:
        return None
    carry, local = _HEAD.unpack(head)
    return CarriedRun(carry, local, datagrams)


def decode_carried(plaintext: bytes) -> Carried:
    """
    The other way round.

    :raises MalformedFrame: it has no head, or is longer than a datagram can be.
    """
    if not _HEAD.size <= len(plaintext) <= _HEAD.size + MOST:
        raise MalformedFrame("no carried datagram")
    carry, local = _HEAD.unpack_from(plaintext)
    return Carried(carry, local, plaintext[_HEAD.size :])


def alike(batch: Sequence[tuple[str, Carried | CarriedRun]]) -> Iterator[tuple[tuple[str, Which], list[bytes]]]:
    """What follows one another in a batch and is of one session and one program there: whose, and what it holds."""
    start, run = ("", (-1, -1)), list[bytes]()
    for peer, carried in batch:
        whose = peer, (carried.carry, carried.local)
        if whose != start and run:
            yield start, run
            run = []
        start = whose
        if isinstance(carried, CarriedRun):
            run += carried.datagrams
        else:
            run.append(carried.data)
    if run:
        yield start, run


def even(sizes: Sequence[int]) -> bool:
    """Whether datagrams of these sizes, one at least, are all equally long but for the last, which may be shorter."""
    return sizes.count(sizes[0]) >= len(sizes) - (sizes[-1] < sizes[0])
