"""
The two layouts of a datagram: `compact`, in 40 bytes, and `seed`, in 66, as the formats that morphnet joins had it.

Source: docs/protocol section 2.
"""

from __future__ import annotations

import struct
from typing import Protocol

from morphnet.errors import MalformedFrame
from morphnet.wire.batch import MAX_SEGMENTS, Spacing
from morphnet.wire.core import CORE
from morphnet.wire.header import (
    CARRIED,
    EPOCH_BITS,
    FLAGS,
    FRAGMENT,
    IP,
    LAST,
    SEGMENT,
    SHORT_ID,
    TAG,
    TYPES,
    ZSTD,
    Header,
    nonce_of,
)
from morphnet.wire.ip import View
from morphnet.wire.pure import Layout
from morphnet.wire.rows import RowLayout

LEAST = 40  # bytes of the shortest datagram in any format
_NONCE = 12  # bytes
# What counts up within a run, see wire/pure.py.
_COMPACT_COUNTING = bytes((11, 4, 1, 15, 3, 1, 19, 1, 4))  # number, sequence, place (above two bits of compression)
_SEED_COUNTING = bytes((22, 4, 1, 36, 1, 1, 42, 8, 1))  # sequence, place, number


class Format(Protocol):
    """Where in a datagram its fields are."""

    name: str
    header: int  # bytes in front of the ciphertext
    aad: int  # how many of them are additional data, from the first on
    overhead: int  # bytes that a datagram adds to its plaintext
    counting: bytes  # what counts up within a run: see wire/pure.py
    slices: Layout  # how to see that datagrams carry one another on, see wire/pure.py: slices of a super packet
    packets: Layout  # and whole packets
    row: RowLayout | None  # and packets of many flows, see wire/rows.py; None where that is not to be seen
    flags_at: int  # offset of the byte whose low bits are the flags
    number_bits: int  # of the packet number, the sequence and the epoch: what is on the wire
    sequence_bits: int
    epoch_bits: int

    def pack(self, header: Header, plain: int) -> bytes:
        """
        What stands in front of the ciphertext.

        :param plain: bytes of the plaintext.
        """
        ...

    def resized(self, packed: bytearray, plain: int) -> None:
        """Make what was packed that of a plaintext of `plain` bytes."""
        ...

    def unpack(self, data: View, at: int, size: int, issued: bytes, direction: int) -> Header:
        """
        Read the header of the datagram of `size` bytes that starts at offset `at`.

        :param issued: the issued id, 20 bytes, that starts with the first SHORT_ID of these bytes.
        :param direction: in which it came.
        :raises MalformedFrame: too short, or it contradicts itself, the id or the direction.
        """
        ...


class Compact:
    """24 bytes, all of them additional data; the nonce is not on the wire."""

    name = "compact"
    header = 24
    aad = 24
    overhead = 24 + TAG
    flags_at = 8
    number_bits = 32
    sequence_bits = 24
    epoch_bits = 8
    counting = _COMPACT_COUNTING
    slices: Layout = (_COMPACT_COUNTING, 24, 8, -1, 24, LAST)
    packets: Layout = (_COMPACT_COUNTING, 24, 8, -1, 24, 0)
    row: RowLayout | None = (24, 24, 11, 8, 15, 18, 19)
    _layout = struct.Struct("!8sBBBIHBBBI")

    def pack(self, header: Header, plain: int) -> bytes:
        """24 bytes; the length of the plaintext is not among them."""
        issued, kind, sequence, compression, path, epoch, flags, sent_at, place, lane, _, number = header
        sequence &= 0xFFFFFF
        return self._layout.pack(
            issued[:SHORT_ID],
            kind << 5 | flags,
            path,
            epoch & 0xFF,
            number & 0xFFFFFFFF,
            sequence >> 8,
            sequence & 0xFF,
            lane,
            place << 2 | compression,
            sent_at,
        )

    def resized(self, packed: bytearray, plain: int) -> None:
        """Nothing to change: the length is that of the datagram."""

    def unpack(self, data: View, at: int, size: int, issued: bytes, direction: int) -> Header:
        """Read the low bits of number, sequence and epoch, as on the wire; the id and the direction are as given."""
        if size < self.overhead:
            raise MalformedFrame(f"datagram of {size} bytes")
        _, kind, path, epoch, number, high, low, lane, place, sent_at = self._layout.unpack_from(data, at)
        if kind >> 5 not in TYPES or place & 3 > ZSTD:
            raise MalformedFrame("header of no known type")
        return Header(
            issued, kind >> 5, high << 8 | low, place & 3, path, epoch, kind & FLAGS, sent_at, place >> 2, lane,
            direction, number,
        )  # fmt: skip


class Seed:
    """ClientID 16, fields 22, nonce 12; the first two are additional data."""

    name = "seed"
    version = 1
    header = 50
    aad = 38
    overhead = 50 + TAG
    flags_at = 31
    length_at = 26
    number_bits = 64
    sequence_bits = 32
    epoch_bits = EPOCH_BITS
    counting = _SEED_COUNTING
    slices: Layout = (_SEED_COUNTING, 50, 31, 26, 38, LAST)
    packets: Layout = (_SEED_COUNTING, 50, 31, 26, 38, 0)
    row: RowLayout | None = None  # it says the number twice
    _front = struct.Struct("!16sBB4sIHBBBBIBB")
    _nonce = struct.Struct("!BBHQ")

    def pack(self, header: Header, plain: int) -> bytes:
        """The fields, with the length of all that follows them, then the nonce."""
        issued, kind, sequence, compression, path, epoch, flags, sent_at, place, lane, _, _ = header
        return self._front.pack(
            issued[:16],
            self.version,
            kind,
            issued[16:],
            sequence & 0xFFFFFFFF,
            plain + _NONCE + TAG,
            compression,
            path,
            epoch & 0xFF,
            flags,
            sent_at,
            place,
            lane,
        ) + nonce_of(header)

    def resized(self, packed: bytearray, plain: int) -> None:
        """Put in the length of what follows the fields: nonce, ciphertext and tag."""
        packed[self.length_at : self.length_at + 2] = (plain + _NONCE + TAG).to_bytes(2, "big")

    def unpack(self, data: View, at: int, size: int, issued: bytes, direction: int) -> Header:
        """Read the fields and the nonce, and check what is known or there twice: id, length, path, epoch, direction."""
        if size < self.overhead:
            raise MalformedFrame(f"datagram of {size} bytes")
        client_id, version, kind, session_id, sequence, length, *rest = self._front.unpack_from(data, at)
        compression, path, low, flags, sent_at, place, lane = rest
        nonce_path, high, epoch, number = self._nonce.unpack_from(data, at + self.aad)
        if (
            version != self.version
            or kind not in TYPES
            or client_id + session_id != issued
            or length != size - self.aad
            or nonce_path != path
            or epoch & 0xFF != low
            or high >> 7 != direction
        ):
            raise MalformedFrame("header contradicts itself")
        epoch |= (high & 0x7F) << 16
        return Header(issued, kind, sequence, compression, path, epoch, flags, sent_at, place, lane, direction, number)


COMPACT, SEED = Compact(), Seed()
FORMATS: dict[str, Format] = {format.name: format for format in (COMPACT, SEED)}  # the best first


def ending_of(format: Format, packed: bytes, plain: int) -> bytes:
    """`packed`, made the header of a super packet's last slice, of `plain` bytes."""
    out = bytearray(packed)
    out[format.flags_at] |= LAST
    format.resized(out, plain)
    return bytes(out)


def count_following(format: Format, data: memoryview, at: int, spacing: Spacing, first: Header) -> int:
    """
    How many datagrams from offset `at` on carry on what the one there, `first`, began: the same run, path, key and id,
    each number one higher. All but the last are equally long.

    :returns: 1 or more; the form of those that count was checked.
    """
    if len(data) - at - spacing[0] < format.overhead or first.flags & (LAST | FRAGMENT):
        return 1
    if first.type not in (IP, CARRIED) or first.compression:
        return 1
    layout = format.slices if first.flags & SEGMENT else format.packets
    return CORE.count_following(layout, data[at:], *spacing, MAX_SEGMENTS - first.place)


def count_row(format: Format, data: memoryview, at: int, spacing: Spacing, first: Header) -> int:
    """
    How many datagrams from offset `at` on are a row of packets of any flows, by one path, key and id: see wire/rows.

    :returns: 0 or more; the form of those that count was checked.
    """
    if format.row is None or first.type != IP or len(data) - at - spacing[0] < format.overhead:
        return 0
    return CORE.count_row(format.row, data[at:], *spacing, MAX_SEGMENTS)
