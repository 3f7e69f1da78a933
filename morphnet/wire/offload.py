"""
What a kernel with offloads leaves to whoever reads and writes its TUN: runs out of packets, packets out of runs.

The work that `wire/c` does where it could be built; both give the same for the same arguments.

A super packet is one IP packet of up to 64 KB that the kernel would cut itself (TSO, USO). It travels as slices: each
is the unchanged headers of the super packet and its share of the payload, so nothing is rebuilt when sending. The one
field changed, once for all slices, is the length in the IP header: it carries the slice size. UDP packets of one flow
and one size that were read together travel in the same way, and so do TCP segments and super packets that go on where
the one before ends (a slow TCP's are small: its kernel makes one of what it sends in a millisecond). Other packets of
one flow and one size stay whole, and are one run all the same.

Source: docs/protocol section 4; linux/virtio_net.h; docs/performance.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from morphnet.errors import MalformedFrame
from morphnet.wire.batch import MAX_SEGMENTS, VNET_HDR
from morphnet.wire.header import PARTIAL, SEGMENT
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
_FIN_PSH, _PSH, _ACK, _ECE, _CWR = 0x09, 0x08, 0x10, 0x40, 0x80
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
    found: list[_Gathered | None] = []
    latest: dict[int, _Gathered] = {}  # flow -> the run that may go on
    for packet in batch:
        try:
            each = _read(packet)
        except MalformedFrame:
            found.append(None)
            continue
        before = latest.get(each.looked.flow)
        if before is not None and before.takes(each):
            continue
        latest[each.looked.flow] = each
        found.append(each)
    return [None if each is None else each.cut() for each in found]


@dataclass(slots=True)
class _Gathered:
    """What was read at once, and what goes on behind it in the same run."""

    packet: bytes
    looked: Peek
    partial: int  # PARTIAL or 0
    slice: int  # bytes of payload in each slice of a super packet, 0 for one whole packet
    joinable: bool
    count: int = 1  # datagrams
    more: list[bytes] = field(default_factory=list)  # packets
    joined: bool = False  # their payloads are made slices; else they stay whole
    open: bool = True  # something may go on behind it

    @property
    def size(self) -> int:
        """Bytes of payload in each slice but the last, if there are others behind it."""
        return self.slice or len(self.packet) - self.looked.headers

    def takes(self, other: _Gathered) -> bool:
        """Whether `other` goes on behind this run; then it is added."""
        if not self.open or self.count + other.count > MAX_SEGMENTS:
            return False
        join = (self.joined or not self.more) and self._joins(other)
        if not join and not self._stays_alike(other):
            return False
        self.more.append(other.packet)
        self.count += other.count
        self.joined, self.open = join, not join or not other.ends(self.size)
        return True

    def _joins(self, other: _Gathered) -> bool:
        """Whether its payload can be more slices."""
        headers, sent = self.looked.headers, self.count * self.size
        payload = len(other.packet) - headers
        return (
            self.joinable
            and other.joinable
            and headers == other.looked.headers
            and (other.slice == self.size if other.slice else payload <= self.size)
            and headers + sent + payload <= MOST_JOINED
            and _alike(self.packet, other.packet, self.looked.transport, self.count)
            and (self.looked.protocol == UDP or _goes_on(self.packet, other.packet, self.looked, sent))
        )

    def _stays_alike(self, other: _Gathered) -> bool:
        """Whether it is a whole packet as the others are."""
        if self.joined or other.slice or len(other.packet) != len(self.packet) or other.partial != self.partial:
            return False
        return (2 + len(self.more)) * len(self.packet) <= MOST_JOINED

    def ends(self, size: int) -> bool:
        """Whether it is the last that is made slices of so many bytes: it is no multiple of them."""
        return bool((len(self.packet) - self.looked.headers) % size)

    def cut(self) -> Cut:
        """As it travels."""
        looked, packet = self.looked, self.packet
        if not self.joined:
            whole = b"".join((packet, *self.more))
            return looked.destination, b"", whole, len(packet), self.partial, looked.flow
        headers, size = looked.headers, self.size
        body = b"".join((packet[headers:], *(each[headers:] for each in self.more)))
        head = _head(packet, looked, size, self.more)
        flags = SEGMENT | (PARTIAL if self.more else self.partial)
        return looked.destination, head, body, size, flags, looked.flow


def _read(packet: View) -> _Gathered:
    """
    One TUN read.

    :raises MalformedFrame: no IP packet, or an offload that we never asked for.
    """
    flags, gso_type, _, size, _, _ = decode_offload(packet)
    inner = bytes(packet[VNET_HDR:])
    looked = peek(inner)
    partial = PARTIAL if flags & NEEDS_CSUM else 0
    joinable = _joinable_udp if looked.protocol == UDP else _joinable_tcp
    if gso_type == GSO_NONE or size == 0 or len(inner) <= looked.headers + size:
        return _Gathered(inner, looked, partial, 0, joinable(inner, looked, partial))
    if looked.protocol not in (TCP, UDP) or looked.headers == looked.transport:
        raise MalformedFrame("offload of an unknown protocol")
    count = -(-(len(inner) - looked.headers) // size)
    if count > MAX_SEGMENTS:
        raise MalformedFrame("super packet of too many slices")
    goes_on = looked.protocol == TCP and _joinable_tcp(inner, looked, partial)
    made = _Gathered(inner, looked, partial, size, goes_on, count, joined=True)
    made.open = goes_on and not made.ends(size)
    return made


def _head(packet: bytes, looked: Peek, size: int, more: Sequence[bytes]) -> bytes:
    """Headers with the slice size in the IP length, and TCP's wish for haste if any of them has it."""
    head = bytearray(packet[: looked.headers])
    _U16.pack_into(head, 2 if looked.version == 4 else 4, size)
    if looked.protocol == TCP:
        for each in more:
            head[looked.transport + 13] |= each[looked.transport + 13] & _PSH
    return bytes(head)


def _joinable_udp(packet: bytes, looked: Peek, partial: int) -> bool:
    """Whether it is a UDP packet as it should be, whose checksum is right or is not made yet."""
    at, size = looked.transport, len(packet)
    if looked.protocol != UDP or looked.headers == at or not _sound(packet, looked):
        return False
    length, checksum = struct.unpack_from("!HH", packet, at + 4)
    if length != size - at:
        return False
    if partial:
        return True
    addresses = looked.source + looked.destination
    total = pseudo_sum(addresses, UDP, length) + ones_sum(packet[at:])
    return checksum != 0 and total % 0xFFFF == 0


def _joinable_tcp(packet: bytes, looked: Peek, partial: int) -> bool:
    """Whether it is a TCP segment with data and nothing special, whose checksum is not made yet."""
    at = looked.transport
    if looked.protocol != TCP or looked.headers < at + 20 or not partial or not _sound(packet, looked):
        return False
    return packet[at + 13] & ~(_PSH | _ECE) == _ACK


def _sound(packet: bytes, looked: Peek) -> bool:
    """Whether it has a payload, and the length that its IP header says."""
    size = len(packet)
    return looked.headers < size <= 65535 and slice_size(packet) == (size if looked.version == 4 else size - 40)


def _goes_on(one: bytes, other: bytes, looked: Peek, sent: int) -> bool:
    """
    Whether `other` is what TCP sends behind `one` and `sent` bytes of payload, and says nothing else.

    A wish for haste moves to the end of what is joined. Source: RFC 1122 section 4.2.2.2, which wants just that.
    """
    at, end = looked.transport, looked.headers
    sequence = (_U32.unpack_from(one, at + 4)[0] + sent) & 0xFFFFFFFF
    return (
        _U32.unpack_from(other, at + 4)[0] == sequence
        and one[at + 8 : at + 13] == other[at + 8 : at + 13]
        and (one[at + 13] | _PSH) == (other[at + 13] | _PSH)
        and one[at + 14 : at + 16] == other[at + 14 : at + 16]
        and one[at + 18 : end] == other[at + 18 : end]
    )


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
