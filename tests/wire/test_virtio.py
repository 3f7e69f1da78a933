"""virtio_net_hdr and the checksums, against sums made word by word."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.batch import VNET_HDR
from morphnet.wire.virtio import (
    GSO_TCPV4,
    NEEDS_CSUM,
    PLAIN,
    TCP_CSUM_OFFSET,
    UDP_CSUM_OFFSET,
    VNET,
    Offload,
    complete_checksum,
    decode_offload,
    encode_offload,
    ones_sum,
    pseudo_sum,
    transport_checksum,
)

WORDS = st.integers(0, 0xFFFF)
PAYLOADS = st.one_of(
    st.binary(max_size=200), st.integers(0, 40).map(bytes), st.integers(0, 40).map(lambda n: b"\xff" * n)
)


def naive_sum(data: bytes) -> int:
    """RFC 1071 as it is written."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """RFC 768 and RFC 8200 section 8.1, byte for byte."""
    if len(source) == 4:
        return source + destination + bytes([0, protocol]) + length.to_bytes(2, "big")
    return source + destination + length.to_bytes(4, "big") + bytes([0, 0, 0, protocol])


@st.composite
def segments(draw: st.DrawFn) -> tuple[bytes, bytes, int, bytes]:
    """Source, destination, protocol and a TCP or UDP segment whose checksum field is zero."""
    width = draw(st.sampled_from([4, 16]))
    source, destination = (
        draw(st.binary(min_size=width, max_size=width)),
        draw(st.binary(min_size=width, max_size=width)),
    )
    protocol, length, at = draw(st.sampled_from([(6, 20, TCP_CSUM_OFFSET), (17, 8, UDP_CSUM_OFFSET)]))
    header = bytearray(draw(st.binary(min_size=length, max_size=length)))
    header[at : at + 2] = bytes(2)
    return source, destination, protocol, bytes(header) + draw(PAYLOADS)


class HeaderTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """The layout is the kernel's: little-endian here, ten bytes."""
        offload = Offload(NEEDS_CSUM, GSO_TCPV4, 40, 1360, 20, TCP_CSUM_OFFSET)
        self.assertEqual(encode_offload(offload).hex(), "0101280050051400" + "1000")
        self.assertEqual((encode_offload(Offload()), VNET.size), (PLAIN, VNET_HDR))

    @given(st.builds(Offload, st.integers(0, 255), st.integers(0, 255), WORDS, WORDS, WORDS, WORDS), PAYLOADS)
    def test_round_trip(self, offload: Offload, packet: bytes) -> None:
        """What was encoded is decoded again, whatever follows."""
        self.assertEqual(decode_offload(encode_offload(offload) + packet), offload)

    def test_short(self) -> None:
        """Less than ten bytes are no header."""
        self.assertRaises(MalformedFrame, decode_offload, bytes(9))


class ChecksumTests(SynchronousTestCase):
    @given(PAYLOADS)
    def test_ones_sum(self, data: bytes) -> None:
        """The sum equals the one made word by word, zero and 0xffff told apart."""
        self.assertEqual(ones_sum(data), naive_sum(data))
        self.assertEqual(ones_sum(memoryview(data)), naive_sum(data))

    @given(segments())
    def test_pseudo_sum(self, drawn: tuple[bytes, bytes, int, bytes]) -> None:
        """The pseudo header sums up the same without being built."""
        source, destination, protocol, segment = drawn
        expected = naive_sum(pseudo_header(source, destination, protocol, len(segment)))
        self.assertEqual(pseudo_sum(source + destination, protocol, len(segment)), expected)

    @given(segments())
    def test_transport_checksum(self, drawn: tuple[bytes, bytes, int, bytes]) -> None:
        """The checksum is the complement of the whole sum; in UDP zero becomes 0xffff."""
        source, destination, protocol, segment = drawn
        whole = 0xFFFF - naive_sum(pseudo_header(source, destination, protocol, len(segment)) + segment)
        expected = 0xFFFF if protocol == 17 and whole == 0 else whole
        self.assertEqual(transport_checksum(source + destination, protocol, segment), expected)

    @given(segments(), st.booleans())
    def test_complete(self, drawn: tuple[bytes, bytes, int, bytes], as_view: bool) -> None:
        """A partial checksum, as the kernel leaves it, is finished in place and the flag cleared."""
        source, destination, protocol, segment = drawn
        offset = TCP_CSUM_OFFSET if protocol == 6 else UDP_CSUM_OFFSET
        partial = bytearray(segment)
        partial[offset : offset + 2] = pseudo_sum(source + destination, protocol, len(segment)).to_bytes(2, "big")
        ip = bytes(12) + source + destination if len(source) == 4 else bytes(8) + source + destination
        packet = bytearray(encode_offload(Offload(NEEDS_CSUM, 0, len(ip), 0, len(ip), offset)) + ip + partial)
        complete_checksum(memoryview(packet) if as_view else packet)
        done = bytearray(segment)
        done[offset : offset + 2] = transport_checksum(source + destination, protocol, segment).to_bytes(2, "big")
        self.assertEqual(decode_offload(packet), Offload(hdr_len=len(ip)))
        self.assertEqual(bytes(packet[VNET_HDR:]), ip + done)

    def test_complete_nothing(self) -> None:
        """A packet that needs nothing stays as it is."""
        packet = bytearray(PLAIN + bytes(range(40)))
        complete_checksum(packet)
        self.assertEqual(packet, PLAIN + bytes(range(40)))

    @given(st.binary(max_size=80))
    def test_junk(self, junk: bytes) -> None:
        """Any bytes are finished, left alone or refused; the length never changes."""
        packet = bytearray(junk)
        try:
            complete_checksum(packet)
        except MalformedFrame:
            pass
        self.assertEqual(len(packet), len(junk))

    def test_verifies(self) -> None:
        """A datagram with its checksum verifies as a receiver does it: the whole sum is 0xffff."""
        addresses = ipaddress.IPv4Address("10.0.0.1").packed + ipaddress.IPv4Address("10.0.0.2").packed
        datagram = bytes.fromhex("04d2162e000c0000") + b"ping"
        checksum = transport_checksum(addresses, 17, datagram)
        verified = naive_sum(
            pseudo_header(addresses[:4], addresses[4:], 17, 12) + datagram + checksum.to_bytes(2, "big")
        )
        self.assertEqual(verified, 0xFFFF)
