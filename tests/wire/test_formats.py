"""The layouts of a datagram: a vector of each, round trips, and bytes that are none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.formats import COMPACT, FORMATS, SEED, Format, count_following
from morphnet.wire.header import (
    IP,
    LAST,
    MAX_EPOCH,
    ORDERED,
    PARTIAL,
    SEGMENT,
    TAG,
    TO_CLIENT,
    TYPES,
    ZSTD,
    Header,
    nonce_of,
)

U8, U16 = st.integers(0, 255), st.integers(0, 0xFFFF)
ISSUED = bytes(range(0xA0, 0xB0)) + bytes((1, 2, 3, 4))
HEADER = Header(
    ISSUED, IP, 0x0A0B0C0D, ZSTD, 7, 0x552345, ORDERED | PARTIAL, 0x11223344, 5, 3, TO_CLIENT, 0x0102030405060708
)
VECTORS = {  # HEADER in front of 8 bytes
    "seed": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0101010203040a0b0c0d00240207450911223344050307d523450102030405060708",
    "compact": "a0a1a2a3a4a5a6a7290745050607080b0c0d031611223344",
}
formats = st.sampled_from(list(FORMATS.values()))


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """Headers as an honest end makes them."""
    return Header(
        issued=draw(st.binary(min_size=20, max_size=20)),
        type=draw(st.sampled_from(sorted(TYPES))),
        sequence=draw(st.integers(0, 2**40)),
        compression=draw(st.integers(0, 2)),
        path=draw(U8),
        epoch=draw(st.integers(0, MAX_EPOCH)),
        flags=draw(st.integers(0, 31)),
        sent_at=draw(st.integers(0, 0xFFFFFFFF)),
        place=draw(st.integers(0, 63)),
        lane=draw(U8),
        direction=draw(st.integers(0, 1)),
        number=draw(st.integers(0, 2**64 - 1)),
    )


def shortened(format: Format, header: Header) -> Header:
    """What of it is on the wire."""
    return header._replace(
        sequence=header.sequence & ((1 << format.sequence_bits) - 1),
        epoch=header.epoch & ((1 << format.epoch_bits) - 1),
        number=header.number & ((1 << format.number_bits) - 1),
    )


def following(format: Format, first: Header, count: int, plain: int, last: int) -> bytearray:
    """`count` datagrams of `plain` bytes inside that carry `first` on; the last says LAST and has `last`."""
    out = bytearray()
    for step in range(count):
        size = last if step == count - 1 else plain
        each = first._replace(
            sequence=first.sequence + step,
            place=first.place + step,
            number=first.number + step,
            flags=first.flags | (LAST if step == count - 1 else 0),
        )
        out += format.pack(each, size).ljust(format.overhead + size, b"x")
    return out


class HeaderTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """The layouts are the ones that docs/protocol section 2 defines, byte for byte."""
        for name, format in FORMATS.items():
            packed = format.pack(HEADER, 8)
            self.assertEqual(packed.hex(), VECTORS[name])
            self.assertEqual(len(packed), format.header)
            read = format.unpack(packed + bytes(8 + TAG), 0, len(packed) + 8 + TAG, ISSUED, TO_CLIENT)
            self.assertEqual(read, shortened(format, HEADER))
        self.assertEqual(nonce_of(HEADER).hex(), VECTORS["seed"][-24:])

    def test_sizes(self) -> None:
        """A datagram costs 40 bytes, or 66."""
        self.assertEqual((COMPACT.overhead, SEED.overhead), (40, 66))

    @given(formats, headers(), st.integers(0, 1400), st.integers(0, 40))
    def test_round_trip(self, format: Format, header: Header, plain: int, at: int) -> None:
        """What was packed is unpacked, at any offset."""
        data = bytes(at) + format.pack(header, plain)
        read = format.unpack(data, at, format.overhead + plain, header.issued, header.direction)
        self.assertEqual(read, shortened(format, header))

    @given(formats, st.binary(max_size=120), st.integers(0, 1), st.booleans())
    def test_junk(self, format: Format, junk: bytes, direction: int, likely: bool) -> None:
        """Arbitrary bytes are a header or a MalformedFrame, nothing else."""
        data = bytearray(junk)
        if likely and format is SEED and len(data) > 30:
            data[16:18] = 1, IP
            data[26:28] = (len(data) - SEED.aad).to_bytes(2, "big") if len(data) >= SEED.aad else b"\0\0"
        issued = bytes(data[:16] + data[18:22]).ljust(20, b"\0")
        try:
            self.assertIsInstance(format.unpack(data, 0, len(data), issued, direction), Header)
        except MalformedFrame:
            pass

    @given(headers(), st.integers(0, 1400), st.integers(-70, 70).filter(bool))
    def test_seed_contradicts_itself(self, header: Header, plain: int, difference: int) -> None:
        """A seed datagram of another length, id or direction than it says is malformed."""
        data, size = SEED.pack(header, plain) + bytes(plain + 90), SEED.overhead + plain
        other = bytes((header.issued[0] ^ 1,)) + header.issued[1:]
        for length, issued, direction in (
            (size + difference, header.issued, header.direction),
            (size, other, header.direction),
            (size, header.issued, 1 - header.direction),
        ):
            with self.assertRaises(MalformedFrame):
                SEED.unpack(data, 0, length, issued, direction)

    def test_no_type(self) -> None:
        """A compact datagram of an unknown type or compression is malformed."""
        good = bytearray(COMPACT.pack(HEADER, 8) + bytes(8 + TAG))
        for at, value in ((8, 0), (8, 6 << 5), (8, 7 << 5), (19, 3)):
            bent = bytearray(good)
            bent[at] = value
            with self.assertRaises(MalformedFrame):
                COMPACT.unpack(bent, 0, len(bent), ISSUED, TO_CLIENT)


class FollowingTests(SynchronousTestCase):
    FIRST = HEADER._replace(flags=SEGMENT | ORDERED, place=0, compression=0, number=5)
    PLAIN = 100

    @given(formats, st.integers(2, 64), st.integers(0, 100), st.sampled_from([0, 0xFFFFE0, 0xFFFFFFE0]))
    def test_whole_run(self, format: Format, count: int, last: int, sequence: int) -> None:
        """Slices that carry one another on count as one run, up to the last one, across the wrap of the sequence."""
        first, size = self.FIRST._replace(sequence=sequence), format.overhead + self.PLAIN
        run = following(format, first, count, self.PLAIN, last)
        self.assertEqual(count_following(format, memoryview(run), 0, (size, 0), first), count)
        two = following(format, first, count, self.PLAIN, self.PLAIN) * 2
        self.assertEqual(count_following(format, memoryview(two), 0, (size, 0), first), count)

    @given(formats, st.integers(3, 20), st.data())
    def test_first_difference_ends_it(self, format: Format, count: int, data: st.DataObject) -> None:
        """A run ends in front of the first datagram whose header differs from what must follow, in whatever byte."""
        run = following(format, self.FIRST, count, self.PLAIN, self.PLAIN)
        step, byte = data.draw(st.integers(1, count - 1)), data.draw(st.integers(0, format.header - 1))
        bit = data.draw(st.integers(0, 7))
        if byte == format.flags_at and 1 << bit == LAST:
            return
        size = format.overhead + self.PLAIN
        run[step * size + byte] ^= 1 << bit
        self.assertEqual(count_following(format, memoryview(run), 0, (size, 0), self.FIRST), step)

    @given(formats, headers(), st.integers(0, 100), st.binary(max_size=600))
    def test_junk_behind(self, format: Format, first: Header, plain: int, junk: bytes) -> None:
        """Whatever follows a datagram, the count stays within the arrival."""
        size = format.overhead + plain
        data = format.pack(first, plain).ljust(size, b"x") + junk
        count = count_following(format, memoryview(data), 0, (size, 0), first)
        self.assertLessEqual((count - 1) * size, len(data))
        self.assertLessEqual(count, MAX_SEGMENTS)
