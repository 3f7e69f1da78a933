"""Super packets cut and joined, against a kernel written down naively: segment, then finish every checksum."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.batch import MAX_SEGMENTS, VNET_HDR
from morphnet.wire.carried import Carried, CarriedRun, encode_carried
from morphnet.wire.core import CORE
from morphnet.wire.header import LAST, PARTIAL, SEGMENT
from morphnet.wire.ip import TCP, UDP
from morphnet.wire.offload import slice_size
from morphnet.wire.segments import Run, join, together
from tests.wire.test_carried import runs_of, singles
from tests.wire.test_ip import A4, A6, B4, B6
from tests.wire.test_virtio import naive_sum, pseudo_header

FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80
NO_GSO, TSO4, TSO6, USO, ECN = 0, 1, 4, 5, 0x80


def cut(packet: memoryview) -> Run:
    """One TUN read as a Run."""
    made = CORE.gather([packet])[0]
    if made is None:
        raise MalformedFrame("no run")
    return Run(*made[1:])


def single(plaintext: bytes, flags: int) -> bytes:
    """One whole packet as a TUN takes it."""
    made = CORE.single(plaintext, flags)
    if made is None:
        raise MalformedFrame("no packet")
    return bytes(made[0])


# -- the naive kernel ------------------------------------------------------------------------------------------------


@dataclass
class Naive:
    """One super packet as a kernel would describe it, and the packets it would put on a wire."""

    version: int  # 4 or 6
    protocol: int
    payload: bytes
    size: int  # of a slice of it
    flags: int = ACK  # TCP
    ident: int = 0  # IPv4
    seq: int = 0  # TCP
    options: bytes = b""  # TCP
    extension: bytes = b""  # IPv6: a destination options header

    def packet(self, payload: bytes, seq: int, ident: int, flags: int, *, checksum: bool) -> bytes:
        """One packet; without `checksum` the field holds the pseudo header's sum, as a kernel hands it over."""
        if self.protocol == TCP:
            words = 5 + len(self.options) // 4
            head = struct.pack("!HHIIBBHHH", 1000, 2000, seq & 0xFFFFFFFF, 77, words << 4, flags, 500, 0, 0)
            head, at = head + self.options, 16
        else:
            head, at = struct.pack("!HHHH", 1000, 2000, 8 + len(payload), 0), 6
        source, destination = (A4, B4) if self.version == 4 else (A6, B6)
        segment = bytearray(head + payload)
        pseudo = pseudo_header(source, destination, self.protocol, len(segment))
        value = naive_sum(pseudo + bytes(segment)) ^ 0xFFFF if checksum else naive_sum(pseudo)
        if checksum and not value and self.protocol == UDP:
            value = 0xFFFF
        segment[at : at + 2] = value.to_bytes(2, "big")
        if self.version == 6:
            first = 60 if self.extension else self.protocol
            length = len(self.extension) + len(segment)
            return struct.pack("!IHBB", 6 << 28, length, first, 64) + A6 + B6 + self.extension + segment
        outer = bytearray(
            struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), ident & 0xFFFF, 0x4000, 64, self.protocol, 0) + A4 + B4
        )
        outer[10:12] = (naive_sum(bytes(outer)) ^ 0xFFFF).to_bytes(2, "big")
        return bytes(outer + segment)

    def headers(self) -> int:
        """Bytes of IP and transport headers."""
        return len(self.packet(b"", 0, 0, 0, checksum=False))

    def from_kernel(self) -> memoryview:
        """The super packet as a TUN gives it: virtio_net_hdr, pseudo sum only."""
        offset = 16 if self.protocol == TCP else 6
        gso = USO if self.protocol == UDP else TSO4 if self.version == 4 else TSO6
        if self.flags & CWR and self.protocol == TCP:
            gso |= ECN
        transport = self.headers() - (20 + len(self.options) if self.protocol == TCP else 8)
        vnet = struct.pack("=BBHHHH", 1, gso, self.headers(), self.size, transport, offset)
        return memoryview(vnet + self.packet(self.payload, self.seq, self.ident, self.flags, checksum=False))

    def on_the_wire(self) -> list[bytes]:
        """What TSO or USO makes of it."""
        count = -(-len(self.payload) // self.size)
        packets = []
        for i in range(count):
            flags = self.flags & (0xFF if i == count - 1 else ~(FIN | PSH)) & (0xFF if i == 0 else ~CWR)
            part = self.payload[i * self.size : (i + 1) * self.size]
            packets.append(self.packet(part, self.seq + i * self.size, self.ident + i, flags, checksum=True))
        return packets

    def segmented(self, given_: bytes) -> list[bytes]:
        """What a kernel makes of a packet written to a TUN: offloads done, checksums finished."""
        flags, gso, hdr_len, size, start, offset = struct.unpack_from("=BBHHHH", given_)
        packet = given_[VNET_HDR:]
        headers = self.headers()
        payload = packet[headers:]
        ident = int.from_bytes(packet[4:6], "big")
        at = headers - (20 + len(self.options) if self.protocol == TCP else 8)
        seq = int.from_bytes(packet[at + 4 : at + 8], "big") if self.protocol == TCP else 0
        tcp_flags = packet[at + 13] if self.protocol == TCP else 0
        # everything but the fields that the kernel sets must be as if it had made the packet itself
        assert packet == self.packet(payload, seq, ident, tcp_flags, checksum=False), "headers, lengths or pseudo sum"
        assert (flags, start, offset) == (1, at, 16 if self.protocol == TCP else 6), "the checksum is asked for"
        if gso == NO_GSO:
            assert hdr_len == size == 0
            return [self.packet(payload, seq, ident, tcp_flags, checksum=True)]
        kind = USO if self.protocol == UDP else TSO4 if self.version == 4 else TSO6
        assert gso & ~ECN == kind and hdr_len == headers and bool(gso & ECN) == bool(tcp_flags & CWR), "the offload"
        part = replace(self, payload=payload, size=size, flags=tcp_flags, ident=ident, seq=seq)
        return part.on_the_wire()


@st.composite
def supers(draw: st.DrawFn) -> Naive:
    """Super packets of 2 to 64 slices."""
    size = draw(st.integers(1, 60))
    payload = bytes(i * 7 & 0xFF for i in range(draw(st.integers(size + 1, min(size * MAX_SEGMENTS, 2000)))))
    version, protocol = draw(st.sampled_from([4, 6])), draw(st.sampled_from([TCP, UDP]))
    extension = bytes((protocol, 0, 1, 4)) + bytes(4) if version == 6 and draw(st.booleans()) else b""
    return Naive(
        version,
        protocol,
        payload,
        size,
        flags=draw(st.integers(0, 255)),
        ident=draw(st.one_of(st.integers(0, 0xFFFF), st.integers(0xFFF0, 0xFFFF))),
        seq=draw(st.one_of(st.integers(0, 0xFFFFFFFF), st.integers(0xFFFFFF00, 0xFFFFFFFF))),
        options=bytes((1,)) * 4 * draw(st.integers(0, 10)),  # NOPs
        extension=extension,
    )


class SuperPacketTests(SynchronousTestCase):
    @given(supers(), st.data())
    def test_like_the_kernel(self, naive: Naive, data: st.DataObject) -> None:
        """
        However the slices of a super packet are grouped when they are joined, what comes out is, byte for byte, what
        the kernel would have put on the wire itself: sequence numbers, ids, flags, lengths, full checksums.
        """
        run = cut(naive.from_kernel())
        slices = [run.plaintext(i) for i in range(run.count)]
        packets: list[bytes] = []
        at = 0
        while at < run.count:
            take = data.draw(st.integers(1, run.count - at))
            joined, source = join(slices[at : at + take], at, at + take == run.count)
            self.assertEqual(source, A4 if naive.version == 4 else A6)
            packets += naive.segmented(bytes(joined))
            at += take
        self.assertEqual(packets, naive.on_the_wire())

    @given(supers())
    def test_slices(self, naive: Naive) -> None:
        """Slices are marked, carry their size, and only the last may be shorter."""
        run = cut(naive.from_kernel())
        self.assertEqual(run.count, len(naive.on_the_wire()))
        self.assertEqual(slice_size(run.plaintext(0)), naive.size)
        self.assertEqual({len(run.plaintext(i)) for i in range(run.count - 1)}, {naive.headers() + naive.size})
        self.assertEqual([bool(run.slice_flags(i) & LAST) for i in range(run.count)][-2:], [False, True])
        self.assertEqual(run.flags, SEGMENT | PARTIAL)

    @given(supers())
    def test_small_offload(self, naive: Naive) -> None:
        """What asks for an offload but fits into one slice travels as one whole packet, unchanged."""
        naive.payload = naive.payload[: naive.size]
        given_ = naive.from_kernel()
        run = cut(given_)
        self.assertEqual((run.count, run.head, run.flags), (1, b"", PARTIAL))
        self.assertEqual(run.plaintext(0), bytes(given_[VNET_HDR:]))
        self.assertEqual(naive.segmented(single(run.plaintext(0), run.flags)), naive.on_the_wire())

    def test_whole_packet(self) -> None:
        """A packet with a finished checksum is written as it came, with nothing left to do."""
        naive = Naive(4, UDP, b"payload", 100, ident=5)
        packet = naive.on_the_wire()[0]
        run = cut(memoryview(bytes(VNET_HDR) + packet))
        self.assertEqual((run.count, run.flags), (1, 0))
        self.assertEqual(single(run.plaintext(0), run.flags), bytes(VNET_HDR) + packet)


class HostileTests(SynchronousTestCase):
    @given(st.binary(max_size=200), st.sampled_from([b"", bytes(10), b"\x01\x01\0\0\x01\0\0\0\0\0"]))
    def test_cut_junk(self, junk: bytes, vnet: bytes) -> None:
        """Arbitrary bytes from a TUN are a run or a MalformedFrame, nothing else."""
        for start in (b"", b"\x45\0\0\0\0\0\0\0\0\x06", b"\x60\0\0\0\0\0\x11"):
            try:
                self.assertLessEqual(cut(memoryview(vnet + start + junk)).count, MAX_SEGMENTS)
            except MalformedFrame:
                pass

    @given(st.lists(st.binary(max_size=100), min_size=1, max_size=4), st.integers(0, 255), st.booleans())
    def test_join_junk(self, pieces: list[bytes], first_index: int, last: bool) -> None:
        """Arbitrary slices are a packet or a MalformedFrame, nothing else."""
        for start in (b"", b"\x45\0\0\x10\0\0\0\0\0\x06", b"\x60\0\0\0\0\x20\x11"):
            try:
                join([start + piece for piece in pieces], first_index, last)
            except MalformedFrame:
                pass

    @given(st.binary(max_size=100), st.integers(0, 255))
    def test_single_junk(self, junk: bytes, flags: int) -> None:
        """An arbitrary whole packet is one or is a MalformedFrame, nothing else."""
        for start in (b"", b"\x45\0\0\x10\0\0\0\0\0\x06", b"\x60\0\0\0\0\x20\x11"):
            try:
                single(start + junk, flags)
            except MalformedFrame:
                pass

    def test_too_many_slices(self) -> None:
        """A super packet of more slices than a GSO send takes is refused."""
        with self.assertRaises(MalformedFrame):
            cut(Naive(4, TCP, bytes(MAX_SEGMENTS * 10 + 1), 10).from_kernel())

    def test_unknown_offload(self) -> None:
        """An offload of something that is neither TCP nor UDP is refused."""
        packet = bytearray(Naive(4, TCP, bytes(100), 10).from_kernel())
        packet[VNET_HDR + 9] = 132
        with self.assertRaises(MalformedFrame):
            cut(memoryview(packet))

    def test_unequal_slices(self) -> None:
        """Slices that do not fit together, or more than one packet holds, are refused."""
        run = cut(Naive(4, TCP, bytes(100), 10).from_kernel())
        for wrong in ([run.plaintext(0)[:-1], run.plaintext(1)], [run.plaintext(0), run.plaintext(1) + b"x"]):
            with self.assertRaises(MalformedFrame):
                join(wrong, 0, False)
        large = Run(run.head[:2] + b"\x27\x10" + run.head[4:], bytes(70000), 10000, SEGMENT, 0)
        with self.assertRaises(MalformedFrame):
            join([large.plaintext(i) for i in range(7)], 0, True)


class TogetherTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from((0, 1, 900, 901, 40_000, 65_507))), max_size=200))
    def test_pieces(self, told: list[tuple[int, int]]) -> None:
        """Nothing is lost or moved; each piece is a run, whose slices are what travels."""
        batch = [Carried(3, local, bytes([step % 251]) * size) for step, (local, size) in enumerate(told)]
        pieces = [piece for each in runs_of(batch) for piece in together(each)]
        self.assertEqual([each for piece in pieces for each in singles(piece)], batch)
        for piece in pieces:
            run, each = Run.of(piece), singles(piece)
            self.assertEqual([run.plaintext(index) for index in range(run.count)], list(map(encode_carried, each)))
            self.assertEqual(run.payload_of(0, run.count), sum(map(len, piece.datagrams)))
            self.assertEqual(run.flow, piece.carry << 16 | piece.local)
            self.assertLessEqual(run.count, MAX_SEGMENTS)

    def test_as_many_as_fit(self) -> None:
        """Equal ones go together, and a shorter one ends a run."""
        sizes = [900] * 70 + [900, 10, 900, 901]
        pieces = list(together(CarriedRun(1, 1, [bytes(size) for size in sizes])))
        self.assertEqual([len(piece.datagrams) for piece in pieces], [64, 8, 1, 1])
