"""
What a datagram says in front of its ciphertext, whichever format it travels in.

Source: docs/protocol section 2.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

LANES = 256  # flows that share an order, of each kind of payload

IP, HEARTBEAT, HANDSHAKE, CONTROL, CARRIED = 1, 2, 3, 4, 5  # types
TYPES = frozenset((IP, HEARTBEAT, HANDSHAKE, CONTROL, CARRIED))

ORDERED = 0x01  # deliver in lane order, waiting a bounded time for what is missing
SEGMENT = 0x02  # one slice of a super packet; `place` says which
LAST = 0x04  # the last slice of it
PARTIAL = 0x08  # the TCP or UDP checksum is not computed yet: the receiver's kernel does it
FRAGMENT = 0x10  # a piece of a plaintext that was too large for its path
FLAGS = 0x1F  # all of them

PLAIN, GZIP, ZSTD = 0, 1, 2  # compression

ISSUED = 20  # bytes of an issued id: ClientID (16) and session id (4)
SHORT_ID = 8  # bytes that start every datagram, in each format, and tell sessions apart
TAG = 16  # bytes

EPOCH_BITS = 23
MAX_EPOCH = (1 << EPOCH_BITS) - 1
TO_SERVER, TO_CLIENT = 0, 1  # directions

NUMBERS = (1 << 64) - 1  # the highest packet number
_NONCE = struct.Struct("!BBHQ")


class Header(NamedTuple):
    """
    Checked for form but not yet for truth. Of what a format shortens (sequence, epoch, number) a header that was read
    holds the low bits; the receiver knows the others.
    """

    issued: bytes  # the issued id that it shows, 20 bytes
    type: int
    sequence: int  # counts up within a lane; 0 unless type is IP or CARRIED
    compression: int
    path: int  # path id, 0 .. 255
    epoch: int  # key epoch, 0 .. MAX_EPOCH
    flags: int
    sent_at: int  # microseconds mod 2**32 on the sender's clock
    place: int  # slice number within a super packet, 0 .. 63
    lane: int  # 0 .. 255: flows that share an order
    direction: int  # TO_SERVER or TO_CLIENT
    number: int  # packet number on this path, u64


def nonce_of(header: Header) -> bytes:
    """The 12 bytes that a datagram is sealed under, once under one key; `epoch` and `number` must be whole."""
    epoch = header.epoch
    return _NONCE.pack(header.path, header.direction << 7 | epoch >> 16, epoch & 0xFFFF, header.number & NUMBERS)


def unwrap(value: int, near: int, bits: int) -> int:
    """The number closest to `near` whose low `bits` bits are `value`."""
    span = 1 << bits
    candidate = (near & ~(span - 1)) | value
    if candidate - near > span >> 1 and candidate >= span:
        return candidate - span
    if near - candidate > span >> 1:
        return candidate + span
    return candidate
