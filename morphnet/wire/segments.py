"""
Super packets: cut on the way out, joined on the way in.

A super packet is one IP packet of up to 64 KB that the kernel would cut itself (TSO, USO). It travels as slices: each
slice is the unchanged headers of the super packet and its share of the payload, so nothing is rebuilt when sending. The
one field changed, once for all slices, is the length in the IP header: it carries the slice size.

Source: docs/protocol section 4; linux/virtio_net.h; docs/performance.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from morphnet.errors import MalformedFrame
from morphnet.wire.batch import MAX_SEGMENTS, VNET_HDR
from morphnet.wire.frames import LAST, PARTIAL, SEGMENT
from morphnet.wire.ip import TCP, UDP, Peek, View, peek
from morphnet.wire.virtio import (
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    NEEDS_CSUM,
    TCP_CSUM_OFFSET,
    UDP_CSUM_OFFSET,
    Offload,
    decode_offload,
    encode_offload,
    ones_sum,
    pseudo_sum,
)

_U16 = struct.Struct("!H")
_U32 = struct.Struct("!I")
_FIN_PSH, _CWR = 0x09, 0x80


class Run:
    """
    What one TUN read gave: `count` plaintexts that differ only in their slice of `body`.

    `sequence` is set when the first of them is sent: slice number i then has the sequence `sequence` + i.
    """

    __slots__ = ("body", "count", "flags", "flow", "head", "queued_at", "sequence", "size")

    def __init__(self, head: bytes, body: bytes, size: int, flags: int, flow: int) -> None:
        self.head = head  # headers shared by all slices; b"" when `body` is one whole packet
        self.body = body
        self.size = size  # bytes of body per slice, the last may be shorter
        self.count = max(1, -(-len(body) // size))
        self.flags = flags
        self.flow = flow  # u32
        self.sequence: int | None = None
        self.queued_at = 0.0

    @property
    def lane(self) -> int:
        """0 .. 255: flows that share an order."""
        return self.flow & 0xFF

    def plaintext(self, index: int) -> bytes:
        """Slice number `index` as it travels."""
        return self.head + self.body[index * self.size : (index + 1) * self.size]

    def slice_flags(self, index: int) -> int:
        """Flags of that slice."""
        return self.flags | LAST if self.flags & SEGMENT and index == self.count - 1 else self.flags

    def bytes_of(self, count: int) -> int:
        """Plaintext bytes of `count` slices, at most."""
        return count * (len(self.head) + min(self.size, len(self.body)))


def cut(packet: memoryview, looked: Peek | None = None) -> Run:
    """
    One TUN read as a Run; copies what it keeps.

    :param packet: virtio_net_hdr (10 bytes) and one IP packet or super packet.
    :raises MalformedFrame: no IP packet, or an offload that we never asked for.
    """
    flags, gso_type, _, size, _, _ = decode_offload(packet)
    inner = packet[VNET_HDR:]
    looked = looked or peek(inner)
    partial = PARTIAL if flags & NEEDS_CSUM else 0
    if gso_type == GSO_NONE or size == 0 or len(inner) <= looked.headers + size:
        return Run(b"", bytes(inner), max(1, len(inner)), partial, looked.flow)
    if looked.protocol not in (TCP, UDP) or looked.headers == looked.transport:
        raise MalformedFrame("offload of an unknown protocol")
    head = bytearray(inner[: looked.headers])
    _U16.pack_into(head, 2 if looked.version == 4 else 4, size)
    run = Run(bytes(head), bytes(inner[looked.headers :]), size, partial | SEGMENT, looked.flow)
    if run.count > MAX_SEGMENTS:
        raise MalformedFrame(f"super packet of {run.count} slices")
    return run


def slice_size(first: View) -> int:
    """The slice size that a slice's IP header carries."""
    return int(_U16.unpack_from(first, 2 if first[0] >> 4 == 4 else 4)[0])


@dataclass(slots=True)
class Joined:
    """Consecutive slices of one super packet: room for a virtio_net_hdr, the first one, the payloads of the others."""

    packet: bytearray
    looked: Peek  # at the first
    count: int


Slices = View | Joined


def count_of(piece: Slices) -> int:
    """How many slices `piece` is."""
    return piece.count if isinstance(piece, Joined) else 1


def look_at_slice(first: View) -> Peek | None:
    """A look at a slice that is followed by others; None when it cannot be one."""
    try:
        looked = peek(first)
    except MalformedFrame:
        return None
    fits = looked.headers > looked.transport and looked.headers + slice_size(first) == len(first) > looked.headers
    return looked if fits else None


def join(pieces: Sequence[Slices], first_index: int, last: bool) -> bytearray:
    """
    Consecutive slices of one super packet as one packet for a TUN; its checksum is left to the kernel.

    :param pieces: of their plaintexts; one that is Joined is used up.
    :param first_index: the slice number of the first one.
    :param last: whether the final slice of the super packet is among them.
    :raises MalformedFrame: the slices do not fit together.
    """
    start = pieces[0]
    if isinstance(start, Joined):
        out, looked = start.packet, start.looked
    else:
        out, looked = bytearray(VNET_HDR) + start, peek(start)
    size, at, headers = slice_size(memoryview(out)[VNET_HDR:]), looked.transport, looked.headers
    if looked.protocol not in (TCP, UDP) or headers == at or headers + VNET_HDR >= len(out):
        raise MalformedFrame("slice without a payload")
    count = 0
    for piece in pieces:
        if len(out) - VNET_HDR - headers != count * size and count:
            raise MalformedFrame("slices of unequal size")
        if count:
            if isinstance(piece, Joined):
                out += memoryview(piece.packet)[VNET_HDR + piece.looked.headers :]
            else:
                out += memoryview(piece)[headers:]
        count += count_of(piece)
    total = len(out) - VNET_HDR
    if total > 65535 or total > headers + count * size:
        raise MalformedFrame(f"{total} bytes in one packet")
    _finish(out, looked, first_index, last, size if count > 1 else 0)
    return out


def _finish(out: bytearray, looked: Peek, first_index: int, last: bool, gso_size: int) -> None:
    """Make one packet of joined slices, whose headers are still those of the whole super packet."""
    base, size = VNET_HDR + looked.transport, slice_size(memoryview(out)[VNET_HDR:])
    _set_lengths(out, looked, len(out) - VNET_HDR, first_index)
    if looked.protocol == TCP:
        sequence = _U32.unpack_from(out, base + 4)[0]
        _U32.pack_into(out, base + 4, (sequence + first_index * size) & 0xFFFFFFFF)
        cleared = (0 if last else _FIN_PSH) | (_CWR if first_index else 0)
        out[base + 13] &= ~cleared & 0xFF
    gso = GSO_NONE
    if gso_size:
        gso = GSO_UDP_L4 if looked.protocol == UDP else GSO_TCPV4 if looked.version == 4 else GSO_TCPV6
        if looked.protocol == TCP and out[base + 13] & _CWR:
            gso |= GSO_ECN
    _offer_checksum(out, looked, gso, gso_size)


def source_of(packet: View) -> bytes:
    """The source address, 4 or 16 bytes, of a packet behind its virtio_net_hdr that was looked at before."""
    at = (12, 16) if packet[VNET_HDR] >> 4 == 4 else (8, 24)
    return bytes(packet[VNET_HDR + at[0] : VNET_HDR + at[1]])


def single(packet: View, flags: int) -> bytearray:
    """
    One whole packet as a TUN takes it.

    :param flags: of the datagram; PARTIAL leaves the checksum to the kernel.
    :raises MalformedFrame: no IP packet, or PARTIAL on something without a checksum.
    """
    looked = peek(packet)
    out = bytearray(VNET_HDR)
    out += packet
    if flags & PARTIAL:
        if looked.headers == looked.transport:
            raise MalformedFrame("partial checksum of an unknown protocol")
        _offer_checksum(out, looked, GSO_NONE, 0)
    return out


def _set_lengths(out: bytearray, looked: Peek, total: int, first_index: int) -> None:
    """Correct IP length, IPv4 id and header checksum, UDP length."""
    if looked.version == 4:
        _U16.pack_into(out, VNET_HDR + 2, total)
        ident = _U16.unpack_from(out, VNET_HDR + 4)[0]
        _U16.pack_into(out, VNET_HDR + 4, (ident + first_index) & 0xFFFF)
        _U16.pack_into(out, VNET_HDR + 10, 0)
        checksum = ones_sum(memoryview(out)[VNET_HDR : VNET_HDR + looked.transport]) ^ 0xFFFF
        _U16.pack_into(out, VNET_HDR + 10, checksum)
    else:
        _U16.pack_into(out, VNET_HDR + 4, total - 40)
    if looked.protocol == UDP:
        _U16.pack_into(out, VNET_HDR + looked.transport + 4, total - looked.transport)


def _offer_checksum(out: bytearray, looked: Peek, gso: int, size: int) -> None:
    """Put the pseudo-header sum in place and ask the kernel, in the virtio header, for the rest."""
    offset = TCP_CSUM_OFFSET if looked.protocol == TCP else UDP_CSUM_OFFSET
    length = len(out) - VNET_HDR - looked.transport
    pseudo = pseudo_sum(looked.source + looked.destination, looked.protocol, length)
    _U16.pack_into(out, VNET_HDR + looked.transport + offset, pseudo)
    out[:VNET_HDR] = encode_offload(
        Offload(NEEDS_CSUM, gso, looked.headers if gso else 0, size, looked.transport, offset)
    )
