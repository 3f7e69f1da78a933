"""A close look into packets: what is told of each, and what cannot be told."""

from __future__ import annotations

import ipaddress
import struct

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.inner import ECHO_REPLY, ECHO_REQUEST, ERROR, FIRST, LATER, PLAIN, WHOLE, Inner, Refusal, look

ONE, OTHER = (ipaddress.ip_address(each).packed for each in ("fd73::2", "fd73::3"))


def ip4(protocol: int, payload: bytes, fragment: int = 0, options: bytes = b"") -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 0, 7, fragment, 64, protocol, 0, b"\1" * 4, b"\2" * 4
    )
    return head + options + payload


def ip6(protocol: int, payload: bytes) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + ONE + OTHER + payload


class LookTests(SynchronousTestCase):
    def seen(self, packet: bytes, *, cut: bool = False) -> Inner:
        found = look(b"xy" + packet, 2, cut=cut)
        assert isinstance(found, Inner), found
        return found

    def why(self, packet: bytes, *, cut: bool = False) -> str:
        found = look(packet, 0, cut=cut)
        assert isinstance(found, Refusal), found
        return found.why

    def test_ports(self) -> None:
        """Ports, flow, and the flow that it answers."""
        seen = self.seen(ip4(17, struct.pack("!HHHH", 53, 4000, 8, 0)))
        self.assertEqual((seen.from_port, seen.to_port, seen.part, seen.what), (53, 4000, WHOLE, "4000/udp"))
        back = self.seen(ip4(17, struct.pack("!HHHH", 4000, 53, 8, 0)))
        self.assertEqual(seen.answered[8:], back.flow[8:])
        self.assertEqual(self.seen(ip6(6, bytes(3) + b"\x16" + bytes(16))).what, "22/tcp")
        self.assertEqual((self.seen(ip4(47, b"")).to_port, self.seen(ip4(47, b"")).what), (-1, "protocol 47"))

    def test_icmp(self) -> None:
        """Echoes have a number, errors are told from the rest; an answer is another flow than what it answers."""
        kinds = [self.seen(ip4(1, bytes((kind,)) + bytes(7))).kind for kind in (8, 0, 3, 11, 12, 5, 13)]
        self.assertEqual(kinds, [ECHO_REQUEST, ECHO_REPLY, ERROR, ERROR, ERROR, PLAIN, PLAIN])
        kinds = [self.seen(ip6(58, bytes((kind,)) + bytes(7))).kind for kind in (128, 129, 1, 4, 135)]
        self.assertEqual(kinds, [ECHO_REQUEST, ECHO_REPLY, ERROR, ERROR, PLAIN])
        ask, reply = (self.seen(ip4(1, bytes((kind, 0, 0, 0, 0, 5, 0, 1)))) for kind in (8, 0))
        self.assertEqual((ask.what, ask.ports, ask.flow == reply.flow), ("icmp", b"\0\5", False))

    def test_fragments(self) -> None:
        """The first has ports, the others are known by their number."""
        first, later = self.seen(ip4(17, bytes(8), 0x2000)), self.seen(ip4(17, bytes(8), 0x2004))
        self.assertEqual((first.part, later.part, later.what), (FIRST, LATER, "a fragment"))
        self.assertEqual((first.fragments == later.fragments, later.ports), (True, b""))
        self.assertEqual([self.seen(ip4(17, bytes(8), each)).may_be_answered for each in (0, 0x2004)], [True, False])
        self.assertIn("overlaps", self.why(ip4(6, bytes(20), 1)))

    def test_extensions(self) -> None:
        """Headers in front are walked over, within reason."""
        chain = bytes((60,)) + bytes(7)
        udp = bytes((17,)) + bytes(7) + struct.pack("!HHHH", 1, 2, 8, 0)
        self.assertEqual(self.seen(ip6(0, chain * 3 + udp)).to_port, 2)
        self.assertEqual(self.why(ip6(0, chain * 9 + udp)), "too many headers")
        self.assertEqual(self.why(ip6(0, chain)), "headers cut short")
        self.assertEqual(self.why(ip6(44, (bytes((44,)) + bytes(7)) * 2 + udp)), "a fragment of a fragment")
        used = bytes((17, 0, 0, 0)) + bytes(4) + struct.pack("!HHHH", 1, 2, 8, 0)
        self.assertEqual(self.seen(ip6(43, used)).to_port, 2)  # a way that was gone already
        self.assertEqual(self.why(ip6(43, b"\x11\0\0\1" + used[4:])), "a source route")

    def test_options(self) -> None:
        """Options of IPv4 may say the way; so may those that cannot be read."""
        udp = struct.pack("!HHHH", 1, 2, 8, 0)
        for options in (b"\1\1\1\0", b"\x94\4\0\0", bytes(4)):
            self.assertEqual(self.seen(ip4(17, udp, 0, options)).to_port, 2)
        for options in (b"\1\x83\3\0", b"\x89\7\4\0\0\0\0\0", b"\x94\0\0\0", b"\1\1\1\x94"):
            self.assertEqual(self.why(ip4(17, udp, 0, options)), "a source route")

    def test_cut_short(self) -> None:
        """TCP needs its flags; in an error eight bytes are enough."""
        self.assertEqual(self.why(ip4(6, bytes(19))), "headers cut short")
        self.assertEqual(self.seen(ip4(6, bytes(8)), cut=True).to_port, 0)
        self.assertEqual(self.why(ip4(6, bytes(7)), cut=True), "headers cut short")
        for packet in (b"", b"\x45" + bytes(18), b"\x60" + bytes(38), b"\x55" + bytes(60)):
            self.assertEqual(self.why(packet), "no packet")
