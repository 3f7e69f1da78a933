"""What a router says of packets that do not fit; the packets are made by hand."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.ping import checksum
from morphnet.lab.toobig import too_big

HERE, THERE = bytes(range(6)), bytes(range(6, 12))  # addresses of Ethernet
ONE4, OTHER4 = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
ONE6, OTHER6 = bytes.fromhex("20010db8") + bytes(11) + b"\1", bytes.fromhex("20010db8") + bytes(11) + b"\2"


def four(size: int, protocol: int = 17, flags: int = 0x4000, body: bytes = b"") -> bytes:
    """A frame with an IPv4 packet of `size` bytes."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, size, 7, flags, 60, protocol, 0) + ONE4 + OTHER4
    return THERE + HERE + b"\x08\0" + head + body.ljust(size - 20, b"x")


def six(size: int, following: int = 17, body: bytes = b"") -> bytes:
    """A frame with an IPv6 packet of `size` bytes."""
    head = struct.pack("!IHBB", 6 << 28, size - 40, following, 60) + ONE6 + OTHER6
    return THERE + HERE + b"\x86\xdd" + head + body.ljust(size - 40, b"x")


class TooBigTests(SynchronousTestCase):
    def test_four(self) -> None:
        """Type 3, code 4, the MTU, what did not fit; both checksums hold, and it goes back where that came from."""
        frame = four(1400)
        answer = too_big(frame, 1300)
        assert answer is not None
        packet = answer[14:]
        self.assertEqual(answer[:14], HERE + THERE + b"\x08\0")
        self.assertEqual((packet[12:16], packet[16:20], packet[9]), (OTHER4, ONE4, 1))
        self.assertEqual((checksum(packet[:20]), checksum(packet[20:])), (0, 0))
        self.assertEqual((packet[20:22], packet[26:28]), (b"\3\4", struct.pack("!H", 1300)))
        self.assertEqual(packet[28:], frame[14 : 14 + 548])
        self.assertEqual(struct.unpack_from("!H", packet, 2)[0], len(packet))

    def test_six(self) -> None:
        """Type 2, the MTU, what did not fit, up to 1280 bytes; the checksum holds over the pseudo-header."""
        frame = six(1400)
        answer = too_big(frame, 1290)
        assert answer is not None
        packet = answer[14:]
        self.assertEqual(answer[:14], HERE + THERE + b"\x86\xdd")
        self.assertEqual((packet[8:24], packet[24:40], packet[6]), (OTHER6, ONE6, 58))
        self.assertEqual(packet[40:42] + packet[44:48], b"\2\0" + struct.pack("!I", 1290))
        self.assertEqual(checksum(packet[8:40] + struct.pack("!II", len(packet) - 40, 58) + packet[40:]), 0)
        self.assertEqual((len(packet), packet[48:]), (1280, frame[14 : 14 + 1232]))

    def test_nothing(self) -> None:
        """Nobody is told of a packet that may be cut, of an ICMP error, of what is no IP, or is cut short."""
        silent = [
            four(1400, flags=0),
            four(1400, 1, body=b"\3\4"),
            six(1400, 58, b"\2\0"),
            THERE + HERE + b"\x08\x06" + bytes(1400),
            four(1400)[:30],
            six(1400)[:50],
            b"",
        ]
        self.assertEqual([too_big(frame, 1300) for frame in silent], [None] * len(silent))
        self.assertIsNotNone(too_big(four(1400, 1, body=b"\x08"), 1300))  # an echo is no error
        self.assertIsNotNone(too_big(six(1400, 58, b"\x80"), 1300))
