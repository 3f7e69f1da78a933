"""The look into a packet: headers found where they are, and bytes that are none."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.ip import TCP, UDP, peek, tcp_payload

A4, B4, A6, B6 = b"\x0a\0\0\x01", b"\x0a\0\0\x02", b"\xfd" + bytes(14) + b"\x01", b"\xfd" + bytes(14) + b"\x02"


def ip4(protocol: int, payload: bytes, *, options: bytes = b"", fragment: int = 0x4000) -> bytes:
    """An IPv4 packet from A4 to B4; `fragment` is flags and offset."""
    length = 20 + len(options) + len(payload)
    first = 0x45 + len(options) // 4
    return struct.pack("!BBHHHBBH", first, 0, length, 1, fragment, 64, protocol, 0) + A4 + B4 + options + payload


def ip6(protocol: int, payload: bytes) -> bytes:
    """An IPv6 packet from A6 to B6."""
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + A6 + B6 + payload


def ports(source: int, destination: int, size: int = 20) -> bytes:
    """A TCP or UDP header of `size` bytes that says so."""
    head = struct.pack("!HH", source, destination).ljust(size, b"\0")
    return head if size < 20 else head[:12] + bytes((size // 4 << 4,)) + head[13:]


class TcpPayloadTests(SynchronousTestCase):
    def test_tcp(self) -> None:
        """Bytes behind the headers of TCP, whatever their options, wherever the packet begins; none in a bare Ack."""
        for packet in (ip4, ip6):
            for size, payload in ((20, b""), (32, b""), (20, b"x"), (60, b"data")):
                plain = packet(TCP, ports(1, 2, size) + payload)
                self.assertEqual(tcp_payload(plain), len(payload))
                self.assertEqual(tcp_payload(bytearray(10) + plain, 10), len(payload))
        self.assertEqual(tcp_payload(ip4(TCP, ports(1, 2) + b"data", options=bytes(8))), 4)

    def test_else(self) -> None:
        """Of anything else, and of pieces, nothing is said."""
        for plain in (
            ip4(UDP, bytes(40)),
            ip6(UDP, bytes(40)),
            ip4(TCP, ports(1, 2) + b"data", fragment=0x2000),
            ip4(TCP, bytes(40), fragment=185),
            ip6(0, bytes(40)),
            b"",
            bytes(80),
        ):
            self.assertIsNone(tcp_payload(plain))

    @given(st.binary(max_size=80), st.sampled_from((b"", ip4(TCP, b""), ip6(TCP, b""))), st.integers(0, 20))
    def test_junk(self, junk: bytes, start: bytes, at: int) -> None:
        """Whatever the bytes are, nothing is raised."""
        tcp_payload(start + junk, at)


class PeekTests(SynchronousTestCase):
    def test_tcp4(self) -> None:
        """IPv4 options and TCP options count to the headers."""
        looked = peek(ip4(TCP, ports(1, 2, 32) + b"data", options=bytes(8)))
        self.assertEqual(looked[:6], (4, TCP, A4, B4, 28, 60))

    def test_udp6(self) -> None:
        """IPv6 extension headers are stepped over."""
        hop, routing = bytes((43, 0)) + bytes(6), bytes((UDP, 1)) + bytes(14)
        looked = peek(ip6(0, hop + routing + ports(1, 2, 8) + b"data"))
        self.assertEqual(looked[:6], (6, UDP, A6, B6, 64, 72))

    def test_fragments_have_no_ports(self) -> None:
        """No piece of a fragmented packet is looked at for ports: all hash to one flow."""
        first = peek(ip4(UDP, ports(1, 2, 8), fragment=0x2000))
        later = peek(ip4(UDP, b"anything", fragment=185))
        self.assertEqual((first.headers, later.headers, first.flow), (20, 20, later.flow))
        six = peek(ip6(44, bytes((UDP, 0, 0, 1, 0, 0, 0, 9)) + ports(1, 2, 8)))
        self.assertEqual((six.protocol, six.transport, six.headers), (UDP, 48, 48))

    @given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
    def test_flow(self, source: int, destination: int) -> None:
        """A flow is addresses, protocol and ports, and nothing else."""
        one = peek(ip4(TCP, ports(source, destination) + b"one"))
        two = peek(ip4(TCP, ports(source, destination, 24) + b"another"))
        self.assertEqual(one.flow, two.flow)
        self.assertNotEqual(one.flow, peek(ip4(TCP, ports(source ^ 1, destination))).flow)
        self.assertNotEqual(one.flow, peek(ip4(UDP, ports(source, destination))).flow)

    @given(
        st.binary(max_size=200),
        st.sampled_from([b"", b"\x45", b"\x4f", b"\x60", b"\x60\0\0\0\0\0\0", b"\x60\0\0\0\0\0\x2c"]),
    )
    def test_junk(self, junk: bytes, start: bytes) -> None:
        """Arbitrary bytes are a packet or a MalformedFrame, nothing else."""
        try:
            looked = peek(start + junk)
        except MalformedFrame:
            return
        self.assertLessEqual(20, looked.transport)

    def test_every_prefix(self) -> None:
        """A packet cut short anywhere is looked at without harm."""
        hop = bytes((43, 0)) + bytes(6)
        for packet in (ip4(TCP, ports(1, 2, 40), options=bytes(40)), ip6(0, hop * 9 + ports(1, 2))):
            for size in range(len(packet)):
                try:
                    peek(packet[:size])
                except MalformedFrame:
                    pass
