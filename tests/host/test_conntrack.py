"""Flows as the kernel tells them, and how it is told to end one; tests/lab/test_balance.py has real ones."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.adopting import Ends
from morphnet.host.conntrack import Flow, destroying, idle_of, looking_up, marking, socket_flow, tcp_flow
from morphnet.host.netlink import attribute, attributes, messages


def told(flow: Flow, mark: int = 7301, protocol: int = 6) -> bytes:
    """As the kernel does."""
    six = ":" in flow.source
    packed = [socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, each) for each in (flow.source, flow.to)]
    addresses = attribute(3 if six else 1, packed[0]) + attribute(4 if six else 2, packed[1])
    ports = attribute(1, bytes([protocol])) + attribute(2, struct.pack("!H", flow.source_port))
    ports += attribute(3, struct.pack("!H", flow.to_port))
    ends = attribute(1, addresses) + attribute(2, ports)
    return bytes(4) + attribute(1, ends) + attribute(8, struct.pack("!I", mark))


class FlowTests(SynchronousTestCase):
    def test_read(self) -> None:
        """TCP with our mark, of both families; nothing else."""
        for flow in (Flow("192.0.2.1", 40000, "198.51.100.7", 443), Flow("2001:db8::1", 1, "2001:db8::2", 65535)):
            self.assertEqual(tcp_flow(told(flow), 7301), flow)
            self.assertIsNone(tcp_flow(told(flow), 7302))
            self.assertIsNone(tcp_flow(told(flow, protocol=17), 7301))

    @given(data=st.binary(max_size=120), cut=st.integers(0, 70))
    def test_garbage(self, data: bytes, cut: int) -> None:
        """What is torn is no flow."""
        whole = told(Flow("192.0.2.1", 40000, "198.51.100.7", 443))
        for each in (data, whole[:cut], whole[:cut] + data):
            self.assertIn(type(tcp_flow(each, 7301)), (Flow, type(None)))

    def test_marking(self) -> None:
        """A flow is named by its first direction, as the kernel told it; one that has its mark is left alone."""
        flow, asked = Flow("10.5.0.2", 40000, "198.51.100.7", 443), list[object]()
        back = attribute(1, attribute(1, socket.inet_aton(flow.to)) + attribute(2, socket.inet_aton("192.0.2.1")))

        def mark_of(ends: Ends, mark: int) -> int:
            asked.append((ends, mark))
            return 7302

        payload = told(flow) + attribute(2, back) + attribute(18, b"\0\7")
        ((kind, _, body),) = messages(marking(payload, mark_of))
        self.assertEqual((kind, asked), (0x100, [(Ends("10.5.0.2", flow.to, "192.0.2.1"), 7301)]))
        values, before = attributes(body[4:]), attributes(payload[4:])
        self.assertEqual([values[each] for each in (1, 18)], [before[each] for each in (1, 18)])
        self.assertEqual(values[8], struct.pack("!I", 7302))
        whole = told(flow, mark=7302) + attribute(2, back)
        for nothing in (whole, b"", payload[:20], told(flow), told(flow) + attribute(2, b"\0")):
            self.assertEqual(marking(nothing, mark_of), b"")

    @given(data=st.binary(max_size=120), cut=st.integers(0, 90))
    def test_marking_garbage(self, data: bytes, cut: int) -> None:
        """What is torn gets no mark, or a whole message."""
        whole = told(Flow("192.0.2.1", 40000, "198.51.100.7", 443)) + attribute(2, data[:40])
        for each in (data, whole[:cut], whole[:cut] + data):
            found = marking(each, lambda ends, mark: 7302)
            self.assertEqual(len(list(messages(found))), bool(found))

    def test_socket(self) -> None:
        """A socket of either family, also one of IPv6 that speaks IPv4; what is torn is none."""
        four, six = Flow("192.0.2.1", 40000, "198.51.100.7", 443), Flow("2001:db8::1", 1, "2001:db8::2", 65535)
        for flow, kind, mapped in ((four, 2, False), (four, 10, True), (six, 10, False)):
            ends = [socket.inet_pton(socket.AF_INET6, each) for each in flow.ends] if flow is six else []
            ends = ends or [bytes(10 * mapped) + b"\xff\xff" * mapped + socket.inet_aton(each) for each in flow.ends]
            told = struct.pack("!B3xHH16s16s", kind, flow.source_port, flow.to_port, *ends)
            self.assertEqual(socket_flow(told + bytes(32)), flow)
            self.assertIsNone(socket_flow(told[:-1]))

    def test_idle(self) -> None:
        """Since whatever was last, as `struct tcp_info` has it; for ever if nothing is told."""
        sent, acknowledged, came, heard = 7_000, 1, 9_000, 2_500
        info = bytes(44) + struct.pack("=IIII", sent, acknowledged, came, heard) + bytes(100)
        self.assertEqual(idle_of(bytes(72) + attribute(2, info)), 2.5)
        for torn in (bytes(72), bytes(10), bytes(72) + attribute(2, info[:50])):
            self.assertEqual(idle_of(torn), float("inf"))

    def test_looking_up(self) -> None:
        """It is named as the kernel itself names it, and the kernel is to say so if there is none."""
        for flow in (Flow("192.0.2.1", 40000, "198.51.100.7", 443), Flow("2001:db8::1", 1, "2001:db8::2", 65535)):
            ((kind, _, body),) = messages(looking_up(flow))
            self.assertEqual(kind, 0x101)
            self.assertEqual(tcp_flow(body + attribute(8, struct.pack("!I", 7301)), 7301), flow)

    def test_destroying(self) -> None:
        """Ports in the order of the network, both addresses in 16 bytes, any state, no cookie."""
        ((kind, _, body),) = messages(destroying(Flow("192.0.2.1", 0x1234, "198.51.100.7", 443)))
        self.assertEqual((kind, body[:2]), (21, b"\x02\x06"))
        self.assertEqual(body[8:12], b"\x12\x34\x01\xbb")
        self.assertEqual(body[12:44], bytes([192, 0, 2, 1]) + bytes(12) + bytes([198, 51, 100, 7]) + bytes(12))
        self.assertEqual(body[44:], bytes(4) + b"\xff" * 8)
