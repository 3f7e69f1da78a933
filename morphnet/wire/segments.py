"""
Runs of plaintexts that go out, and slices that came in and are joined to packets.

Source: docs/protocol section 4; what a super packet is, and how one is cut, is in wire/offload.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from morphnet.errors import MalformedFrame
from morphnet.wire.batch import MAX_BATCH, MAX_SEGMENTS, VNET_HDR
from morphnet.wire.carried import HEAD, CarriedRun, encode_run, even
from morphnet.wire.core import CORE
from morphnet.wire.header import CARRIED, IP, LANES, LAST, SEGMENT
from morphnet.wire.ip import View, peek
from morphnet.wire.offload import slice_size
from morphnet.wire.rows import Unit


class Run:
    """
    What goes to the other end, of one flow: `count` plaintexts that differ only in their slice of `body`.

    It was read from a TUN (see `offload.Cut`), or is a carried datagram: then its lane is LANES or more.

    `sequence` is set when the first of them is sent: slice number i then has the sequence `sequence` + i.
    """

    __slots__ = (
        "body",
        "count",
        "flags",
        "flow",
        "head",
        "kind",
        "lane",
        "payload",
        "queued_at",
        "sequence",
        "size",
        "stride",
    )

    def __init__(self, head: bytes, body: bytes, size: int, flags: int, flow: int) -> None:
        self.head = head  # headers shared by all slices; b"" when the slices are whole packets
        self.body = body
        self.size = size  # bytes of body per slice, the last may be shorter
        heads, total = len(head), len(body)
        self.count = -(-total // size) or 1
        self.flags = flags
        self.flow = flow  # u32
        self.kind = IP  # of payload, as a header says it
        self.lane = flow % LANES  # flows that share an order
        self.stride = heads + (size if size < total else total)  # bytes of each plaintext but the last
        self.payload = self.count * heads + total  # bytes of all its packets, as `payload_of` counts them
        self.sequence: int | None = None
        self.queued_at = 0.0

    @classmethod
    def of(cls, carried: CarriedRun) -> Run:
        """Carried datagrams of one length, but for the last, which may be shorter: see `together`."""
        flow = carried.carry << 16 | carried.local
        run = cls(b"", encode_run(carried), HEAD + len(carried.datagrams[0]), 0, flow)
        run.kind = CARRIED
        run.payload -= run.count * HEAD
        run.lane += LANES
        return run

    def plaintext(self, index: int) -> bytes:
        """Slice number `index` as it travels."""
        return self.head + self.body[index * self.size : (index + 1) * self.size]

    def slice_flags(self, index: int) -> int:
        """Flags of that slice."""
        return self.flags | LAST if self.flags & SEGMENT and index == self.count - 1 else self.flags

    def payload_of(self, start: int, count: int) -> int:
        """Bytes of `count` packets from slice `start` on, each with its headers; of what is carried, what it holds."""
        body = min((start + count) * self.size, len(self.body)) - start * self.size
        return count * len(self.head) + body - (count * HEAD if self.kind == CARRIED else 0)

    def bytes_of(self, count: int) -> int:
        """Plaintext bytes of `count` slices, at most."""
        return count * self.stride


def together(run: CarriedRun) -> Iterator[CarriedRun]:
    """In pieces that one run can hold."""
    carry, local, datagrams = run
    sizes = list(map(len, datagrams))
    if len(sizes) <= most_of(sizes[0]) and even(sizes):
        yield run
        return
    start, ends = 0, most_of(sizes[0])
    for place, length in enumerate(sizes):
        if place >= ends or length > sizes[start]:
            yield CarriedRun(carry, local, datagrams[start:place])
            start, ends = place, place + most_of(length)
        elif length < sizes[start]:
            ends = place + 1
    yield CarriedRun(carry, local, datagrams[start:])


def most_of(size: int) -> int:
    """How many carried datagrams of that many bytes one run can hold."""
    return min(MAX_SEGMENTS, max(1, MAX_BATCH // (HEAD + size)))


@dataclass(slots=True)
class Joined:
    """Consecutive slices of one super packet: room for a virtio_net_hdr, the first one, the payloads of the others."""

    packet: bytearray
    headers: int  # bytes
    count: int


@dataclass(slots=True)
class Packets:
    """Whole packets as a TUN takes them, each with its source address; None stands for one that is none."""

    each: list[tuple[bytearray, bytes] | None]


@dataclass(slots=True)
class Row:
    """Packets of many flows, as `rows.Unit` has each."""

    units: list[Unit]


Slices = View | Joined


def count_of(piece: Slices) -> int:
    """How many slices `piece` is."""
    return piece.count if isinstance(piece, Joined) else 1


def join(pieces: Sequence[Slices], first_index: int, last: bool) -> tuple[bytearray, bytes]:
    """
    Consecutive slices of one super packet as one packet for a TUN (its checksum is left to the kernel), and its source.

    :param pieces: of their plaintexts; one that is Joined is used up.
    :param first_index: the slice number of the first one.
    :param last: whether the final slice of the super packet is among them.
    :raises MalformedFrame: the slices do not fit together.
    """
    whole = pieces[0] if len(pieces) == 1 and isinstance(pieces[0], Joined) else _joined(pieces)
    source = CORE.finish(whole.packet, first_index, last, whole.count)
    if source is None:
        raise MalformedFrame("slices that do not fit together")
    return whole.packet, source


def _joined(pieces: Sequence[Slices]) -> Joined:
    """
    The same pieces as one.

    :raises MalformedFrame: slices of unequal size.
    """
    start = pieces[0]
    whole = start if isinstance(start, Joined) else Joined(bytearray(VNET_HDR) + start, peek(start).headers, 1)
    if VNET_HDR + whole.headers > len(whole.packet):
        raise MalformedFrame("slice without a payload")
    size = slice_size(memoryview(whole.packet)[VNET_HDR:])
    for piece in pieces[1:]:
        if len(whole.packet) - VNET_HDR - whole.headers != whole.count * size:
            raise MalformedFrame("slices of unequal size")
        if isinstance(piece, Joined):
            whole.packet += memoryview(piece.packet)[VNET_HDR + piece.headers :]
        else:
            whole.packet += memoryview(piece)[whole.headers :]
        whole.count += count_of(piece)
    return whole
