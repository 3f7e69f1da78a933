"""What the kernel tells of our routes and rules; that it is the same as we asked for is for tests.lab.test_host."""

from __future__ import annotations

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.facts import ADDRESS, ROUTE
from morphnet.host.netlink import attribute
from morphnet.host.readback import address_of, route_of, rule_of
from morphnet.host.routing import Route, Rule


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def address(kind: int, text: str) -> bytes:
    return attribute(kind, ipaddress.ip_address(text).packed)


def device_of(index: int) -> str:
    return f"dev{index}"


class RouteTests(SynchronousTestCase):
    def test_routes(self) -> None:
        """By a gateway, of the other family too, by a device alone, and into nothing."""
        header = ROUTE.pack(2, 0, 0, 0, 252, 73, 0, 1, 0)
        via6 = attribute(18, struct.pack("=H", 10) + ipaddress.ip_address("fe80::1").packed)
        for payload, route in (
            (header + number(15, 7301) + number(4, 3) + address(5, "192.168.5.1"),
             Route("0.0.0.0/0", 7301, "dev3", "192.168.5.1")),
            (header + number(15, 7301) + number(4, 3) + via6, Route("0.0.0.0/0", 7301, "dev3", "fe80::1")),
            (ROUTE.pack(10, 32, 0, 0, 254, 73, 0, 1, 0) + address(1, "2001:db8::") + number(4, 3),
             Route("2001:db8::/32", 254, "dev3")),
            (ROUTE.pack(10, 0, 0, 0, 252, 73, 0, 7, 0) + number(15, 7300) + number(4, 1), Route("::/0", 7300)),
            (ROUTE.pack(2, 16, 0, 0, 252, 73, 0, 9, 0) + number(15, 7300) + address(1, "172.17.0.0"),
             Route("172.17.0.0/16", 7300, throw=True)),
            (header + number(15, 7301) + number(4, 3) + address(5, "10.0.0.1") + address(7, "10.0.0.2"),
             Route("0.0.0.0/0", 7301, "dev3", "10.0.0.1", "10.0.0.2")),
        ):  # fmt: skip
            self.assertEqual(route_of(payload, device_of), route)

    def test_rules(self) -> None:
        """Each field comes back; what the kernel fills in for what was not asked is nothing."""
        header, ours, none = (
            struct.pack("=BBBBBBBBI", 2, 0, 32, 0, 252, 0, 0, 1, 0),
            attribute(21, bytes([73])),
            2**32 - 1,
        )
        for payload, rule in (
            (header + ours + number(6, 7302) + number(15, 7301) + address(2, "192.168.5.2") + number(14, none),
             Rule(4, 7302, 7301, source="192.168.5.2")),
            (struct.pack("=BBBBBBBBI", 10, 0, 0, 0, 254, 0, 0, 1, 0) + ours + number(6, 7300) + number(14, 0)
             + number(13, 7300), Rule(6, 7300, 254, specific=True, avoid=7300)),
            (struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 252, 0, 0, 1, 0) + ours + number(6, 7310) + number(15, 7301)
             + address(1, "203.0.113.1"), Rule(4, 7310, 7301, destination="203.0.113.1")),
            (struct.pack("=BBBBBBBBI", 2, 24, 0, 0, 252, 0, 0, 1, 0) + ours + number(6, 7398) + number(15, 7300)
             + address(1, "10.73.0.0"), Rule(4, 7398, 7300, destination="10.73.0.0/24")),
            (struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 252, 0, 0, 1, 0) + ours + number(6, 7301) + number(15, 7301)
             + attribute(17, b"wan\0"), Rule(4, 7301, 7301, device="wan")),
            (struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 252, 0, 0, 1, 0) + ours + number(6, 7303) + number(15, 7301)
             + number(10, 7301) + number(16, none), Rule(4, 7303, 7301, mark=7301)),
        ):  # fmt: skip
            self.assertEqual(rule_of(payload), rule)

    def test_of_others(self) -> None:
        """What does not carry our number is not ours."""
        self.assertIsNone(route_of(ROUTE.pack(2, 0, 0, 0, 254, 3, 0, 1, 0), device_of))
        self.assertIsNone(rule_of(bytes(12) + attribute(21, bytes([3]))))

    def test_address(self) -> None:
        """On a point-to-point link the address is our end of it."""
        head = ADDRESS.pack(2, 24, 0, 0, 5)
        self.assertEqual(address_of(head + address(1, "10.73.0.1") + address(2, "10.73.0.2")), (5, "10.73.0.2/24"))
        self.assertEqual(address_of(ADDRESS.pack(10, 64, 0, 0, 5) + address(1, "fd73::2")), (5, "fd73::2/64"))
        self.assertIsNone(address_of(head))

    @given(st.binary(max_size=12))
    def test_torn(self, data: bytes) -> None:
        """A message that is too short is nobody's."""
        self.assertIsNone(route_of(data[:11], device_of))
        self.assertIsNone(rule_of(data[:11]))
        self.assertIsNone(address_of(data[:7]))
