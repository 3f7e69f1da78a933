"""
A carried datagram: what somebody else's program sent by UDP to a port of ours, and what was answered.

Source: docs/protocol section 4.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from morphnet.errors import MalformedFrame

_HEAD = struct.Struct("!HH")
HEAD = _HEAD.size  # bytes in front of what it holds
MOST = 65_507  # bytes of UDP payload over IPv4


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


def decode_carried(plaintext: bytes) -> Carried:
    """
    The other way round.

    :raises MalformedFrame: it has no head, or is longer than a datagram can be.
    """
    if not _HEAD.size <= len(plaintext) <= _HEAD.size + MOST:
        raise MalformedFrame("no carried datagram")
    carry, local = _HEAD.unpack_from(plaintext)
    return Carried(carry, local, plaintext[_HEAD.size :])
