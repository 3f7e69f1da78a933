"""
What a kernel with offloads leaves to whoever reads and writes its TUN: runs out of packets, packets out of runs.

The work that `_core.c` does where it could be built; both give the same for the same arguments.

A super packet is one IP packet of up to 64 KB that the kernel would cut itself (TSO, USO). It travels as slices: each
is the unchanged headers of the super packet and its share of the payload, so nothing is rebuilt when sending. The one
field changed, once for all slices, is the length in the IP header: it carries the slice size. UDP packets of one flow
and one size that were read together travel in the same way; other packets of one flow and one size stay whole, and are
one run all the same.

Source: docs/protocol section 4; linux/virtio_net.h; docs/performance.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from morphnet.errors import MalformedFrame
from morphnet.wire.batch import MAX_SEGMENTS, VNET_HDR
from morphnet.wire.frames import PARTIAL, SEGMENT
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

MOST_READS = 256  # packets in one batch
MOST_JOINED = 61000  # bytes of headers and payloads of packets that are made one run
MOST_HEADS = 512  # bytes of headers in front of a slice: longer ones are opened one by one

_U16 = struct.Struct("!H")
_U32 = struct.Struct("!I")
_FIN_PSH, _CWR = 0x09, 0x80
_DONT_FRAGMENT = 0x40


Cut = tuple[bytes, bytes, bytes, int, int, int]
"""
A run of plaintexts of equal size, `head` in front of each slice of `body`:

- destination: inner address, 4 or 16 bytes;
- head: headers shared by all slices, b"" when the slices are whole packets;
- body, and bytes of it per slice, the last may be shorter;
- flags of its datagrams: SEGMENT, PARTIAL;
- flow, u32: equal for all packets of one flow.
"""


# -- out of a TUN ----------------------------------------------------------------------------------------------------


def gather(batch: Sequence[View]) -> list[Cut | None]:
    """
    What was read from a TUN as runs, in an order that keeps that of every flow; None stands for what is no packet.

    :param batch: each virtio_net_hdr (10 bytes) and one IP packet or super packet.
    :raises ValueError: more than MOST_READS.
    """
    if len(batch) > MOST_READS:
        raise ValueError("more packets than a batch holds")
    found: list[_Single | Cut | None] = []
    latest: dict[int, _Single | None] = {}  # flow -> the run that may go on
    for packet in batch:
        try:
            each = _read(packet)
        except MalformedFrame:
            found.append(None)
            continue
        if isinstance(each, _Single):
            before = latest.get(each.looked.flow)
            if before is not None and before.takes(each):
                continue
            latest[each.looked.flow] = each
        else:
            latest[each[-1]] = None
        found.append(each)
    return [each.cut() if isinstance(each, _Single) else each for each in found]


@dataclass(slots=True)
class _Single:
    """One whole packet, and those that go on behind it in the same run."""

    packet: bytes
    looked: Peek
    partial: int  # PARTIAL or 0
    joinable: bool
    more: list[bytes] = field(default_factory=list)  # packets
    joined: bool = False  # their payloads are made slices; else they stay whole
    open: bool = True  # the last one is as long as the others

    def takes(self, other: _Single) -> bool:
        """Whether `other` goes on behind this run; then it is added."""
        if not self.open or 1 + len(self.more) == MAX_SEGMENTS:
            return False
        join = (self.joined or not self.more) and self._joins(other)
        whole = not self.joined and len(other.packet) == len(self.packet) and other.partial == self.partial
        if not join and not (whole and (2 + len(self.more)) * len(self.packet) <= MOST_JOINED):
            return False
        self.more.append(other.packet)
        self.joined, self.open = join, not join or len(other.packet) == len(self.packet)
        return True

    def _joins(self, other: _Single) -> bool:
        """Whether its payload can be one more slice."""
        headers, many = self.looked.headers, 1 + len(self.more)
        slice_, payload = len(self.packet) - headers, len(other.packet) - headers
        return (
            self.joinable
            and other.joinable
            and headers == other.looked.headers
            and payload <= slice_
            and headers + many * slice_ + payload <= MOST_JOINED
            and _alike(self.packet, other.packet, self.looked.transport, many)
        )

    def cut(self) -> Cut:
        """As it travels."""
        looked, packet = self.looked, self.packet
        if not self.joined:
            whole = b"".join((packet, *self.more))
            return looked.destination, b"", whole, len(packet), self.partial, looked.flow
        headers, size = looked.headers, len(packet) - looked.headers
        body = b"".join((packet[headers:], *(each[headers:] for each in self.more)))
        return looked.destination, _head(packet, looked, size), body, size, PARTIAL | SEGMENT, looked.flow


def _read(packet: View) -> _Single | Cut:
    """
    One TUN read.

    :raises MalformedFrame: no IP packet, or an offload that we never asked for.
    """
    flags, gso_type, _, size, _, _ = decode_offload(packet)
    inner = bytes(packet[VNET_HDR:])
    looked = peek(inner)
    partial = PARTIAL if flags & NEEDS_CSUM else 0
    if gso_type == GSO_NONE or size == 0 or len(inner) <= looked.headers + size:
        return _Single(inner, looked, partial, _joinable(inner, looked, partial))
    if looked.protocol not in (TCP, UDP) or looked.headers == looked.transport:
        raise MalformedFrame("offload of an unknown protocol")
    if len(inner) - looked.headers > MAX_SEGMENTS * size:
        raise MalformedFrame("super packet of too many slices")
    head = _head(inner, looked, size)
    return looked.destination, head, inner[looked.headers :], size, partial | SEGMENT, looked.flow


def _head(packet: bytes, looked: Peek, size: int) -> bytes:
    """Headers with the slice size in the IP length."""
    head = bytearray(packet[: looked.headers])
    _U16.pack_into(head, 2 if looked.version == 4 else 4, size)
    return bytes(head)


def _joinable(packet: bytes, looked: Peek, partial: int) -> bool:
    """Whether it is a UDP packet as it should be, whose checksum is right or is not made yet."""
    at, size = looked.transport, len(packet)
    if looked.protocol != UDP or looked.headers == at or not looked.headers < size <= 65535:
        return False
    length, checksum = struct.unpack_from("!HH", packet, at + 4)
    if length != size - at or slice_size(packet) != (size if looked.version == 4 else size - 40):
        return False
    if partial:
        return True
    addresses = looked.source + looked.destination
    total = pseudo_sum(addresses, UDP, length) + ones_sum(packet[at:])
    return checksum != 0 and total % 0xFFFF == 0


def _alike(one: bytes, other: bytes, at: int, many: int) -> bool:
    """Whether the headers are equal but for what every packet has of its own; `other` is number `many` of its run."""
    if one[0] != other[0] or one[at : at + 4] != other[at : at + 4]:
        return False
    if one[0] >> 4 == 6:
        return one[:4] == other[:4] and one[6:at] == other[6:at]
    follows = _U16.unpack_from(other, 4)[0] == (_U16.unpack_from(one, 4)[0] + many) & 0xFFFF
    if not (one[6] & _DONT_FRAGMENT or follows):
        return False
    return one[:2] == other[:2] and one[6:10] == other[6:10] and one[12:at] == other[12:at]


# -- into a TUN ------------------------------------------------------------------------------------------------------


def slice_size(first: View) -> int:
    """The slice size that a slice's IP header carries."""
    return int(_U16.unpack_from(first, 2 if first[0] >> 4 == 4 else 4)[0])


def headers_of_slice(first: View) -> int:
    """Bytes of headers of a slice that is followed by others; 0 when it cannot be one."""
    try:
        looked = peek(first)
    except MalformedFrame:
        return 0
    fits = looked.headers > looked.transport and looked.headers + slice_size(first) == len(first) > looked.headers
    return looked.headers if fits and looked.headers <= MOST_HEADS else 0


def finish(packet: bytearray, place: int, last: bool, count: int) -> bytes | None:
    """
    Make one packet for a TUN, in place, of joined slices whose headers are still those of the whole super packet.

    :param packet: room for a virtio_net_hdr, the headers, and the payloads of the slices.
    :param place: the number of the first slice in the super packet.
    :param last: whether the final slice of the super packet is among them.
    :param count: of the slices.
    :returns: the source address, 4 or 16 bytes; None when the slices do not fit together.
    """
    try:
        looked = peek(memoryview(packet)[VNET_HDR:])
    except MalformedFrame:
        return None
    total, headers, at = len(packet) - VNET_HDR, looked.headers, looked.transport
    if looked.protocol not in (TCP, UDP) or headers == at or not 0 <= place <= 0xFFFF:
        return None
    size = slice_size(memoryview(packet)[VNET_HDR:])
    if total > 65535 or not 0 < count <= MAX_SEGMENTS:
        return None
    if not headers + (count - 1) * size < total <= headers + count * size or total <= headers:
        return None
    base = VNET_HDR + at
    _set_lengths(packet, looked, total, place)
    if looked.protocol == TCP:
        sequence = _U32.unpack_from(packet, base + 4)[0]
        _U32.pack_into(packet, base + 4, (sequence + place * size) & 0xFFFFFFFF)
        packet[base + 13] &= ~((0 if last else _FIN_PSH) | (_CWR if place else 0)) & 0xFF
    gso = GSO_NONE
    if count > 1:
        gso = GSO_UDP_L4 if looked.protocol == UDP else GSO_TCPV4 if looked.version == 4 else GSO_TCPV6
        if looked.protocol == TCP and packet[base + 13] & _CWR:
            gso |= GSO_ECN
    _offer_checksum(packet, looked, gso, size if count > 1 else 0)
    return looked.source


def single(plaintext: View, flags: int) -> tuple[bytearray, bytes] | None:
    """
    One whole packet as a TUN takes it, and its source address; None when it is none.

    :param flags: of the datagram; PARTIAL leaves the checksum to the kernel.
    """
    try:
        looked = peek(plaintext)
    except MalformedFrame:
        return None
    out = bytearray(VNET_HDR)
    out += plaintext
    if flags & PARTIAL:
        if looked.headers == looked.transport:
            return None
        _offer_checksum(out, looked, GSO_NONE, 0)
    return out, looked.source


def split(packet: View) -> Iterator[bytearray]:
    """
    A finished super packet as single packets with checksums left to the kernel, for one that cannot cut it itself.

    :param packet: as `finish` made it.
    """
    _, _, headers, size, _, _ = decode_offload(packet)
    inner = packet[VNET_HDR:]
    looked = peek(inner)
    count = -(-(len(inner) - headers) // size)
    head = bytearray(inner[:headers])
    _U16.pack_into(head, 2 if looked.version == 4 else 4, size)
    for place in range(count):
        out = bytearray(VNET_HDR) + head + inner[headers + place * size : headers + (place + 1) * size]
        finish(out, place, place == count - 1, 1)
        yield out


def _set_lengths(out: bytearray, looked: Peek, total: int, place: int) -> None:
    """Correct IP length, IPv4 id and header checksum, UDP length."""
    if looked.version == 4:
        _U16.pack_into(out, VNET_HDR + 2, total)
        ident = _U16.unpack_from(out, VNET_HDR + 4)[0]
        _U16.pack_into(out, VNET_HDR + 4, (ident + place) & 0xFFFF)
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
