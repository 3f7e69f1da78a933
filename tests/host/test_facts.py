"""The kernel's words about devices, addresses and routes."""

from __future__ import annotations

import struct
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.facts import (
    DELADDR,
    DELLINK,
    IFF_UP,
    NEWADDR,
    NEWLINK,
    NEWROUTE,
    UNREACHABLE,
    AddressFact,
    RouteFact,
    address_fact,
    concerns_uplinks,
    link_fact,
    loses_routes,
    route_facts,
)
from morphnet.host.netlink import attribute, attributes, messages
from tests.host.rtnetlink import ADDRESS4, ADDRESS6, ON, ROUTE4, ROUTE6, link


def address6(packed: str, flags: int) -> AddressFact | None:
    """What is made of an IPv6 address with these flags."""
    header = struct.pack("=BBBBI", 10, 64, flags & 0xFF, 0, 3)
    return address_fact(header + attribute(1, bytes.fromhex(packed)) + attribute(8, struct.pack("=I", flags)))


class FactTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """Addresses of a real kernel."""
        self.assertEqual(address_fact(ADDRESS4), AddressFact(3, "192.168.5.2", 0, 24))
        self.assertEqual(address_fact(ADDRESS6), AddressFact(3, "2001:db8:5::2", 1, 64))

    def test_address_choice(self) -> None:
        """Temporary before permanent before unique local before deprecated; tentative and failed ones are none."""
        public, local = "20010db8" + "00" * 11 + "01", "fd00" + "00" * 13 + "01"
        ranks = [fact.rank for fact in (address6(public, 1), address6(public, 0x80), address6(local, 0x80)) if fact]
        self.assertEqual(ranks, [0, 1, 2])
        old = address6(public, 0x20)
        assert old is not None
        self.assertGreater(old.rank, max(ranks))
        for flags in (0x40, 0x08):
            self.assertIsNone(address6(public, flags))
        self.assertIsNotNone(address6(public, 0x44))  # optimistic

    def test_routes(self) -> None:
        """Default routes of a real kernel."""
        self.assertEqual(route_facts(ROUTE4), [RouteFact(3, 4, "192.168.5.1", 103, 4)])
        self.assertEqual(route_facts(ROUTE6), [RouteFact(3, 6, "fe80::1", 103, 4)])

    def test_source(self) -> None:
        """The address that a route names to be sent from is told."""
        named = ROUTE4 + attribute(7, bytes([192, 168, 5, 9]))
        self.assertEqual(route_facts(named), [RouteFact(3, 4, "192.168.5.1", 103, 4, "192.168.5.9")])

    def test_other_routes(self) -> None:
        """Specific routes, those to nowhere and those of other tables are told apart; the kernel's own are none."""
        default = RouteFact(3, 4, "192.168.5.1", 103, 4)
        ways_out = [default]
        for place, value, fact in (
            (1, 24, replace(default, prefix="0.0.0.0/24")),
            (7, 7, replace(default, kind=UNREACHABLE)),
            (5, 73, replace(default, protocol=73)),
        ):
            changed = bytearray(ROUTE4)
            changed[place] = value
            self.assertEqual(route_facts(bytes(changed)), [fact])
            ways_out.append(fact)
        elsewhere = ROUTE4.replace(b"\x0f\x00\xfe\0\0\0", b"\x0f\x00\x85\x1c\0\0")
        self.assertEqual(route_facts(elsewhere), [replace(default, table=7301)])
        self.assertEqual([each.is_way_out for each in ways_out], [True, False, False, False])
        for place, value in ((7, 2), (7, 5)):
            changed = bytearray(ROUTE4)
            changed[place] = value
            self.assertEqual(route_facts(bytes(changed)), [])
        self.assertEqual(route_facts(ROUTE4.replace(b"\x0f\x00\xfe\0\0\0", b"\x0f\x00\xff\0\0\0")), [])

    def test_multipath(self) -> None:
        """Each way of a default route with several counts; a gateway may be of the other family."""
        gateway = attribute(5, bytes([10, 0, 0, 1]))
        via = attribute(18, struct.pack("=H", 10) + bytes.fromhex("fe80" + "00" * 13 + "09"))
        hops = b"".join(struct.pack("=HBBi", 8 + len(each), 0, 0, n) + each for n, each in ((3, gateway), (4, via)))
        payload = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + attribute(9, hops)
        self.assertEqual(route_facts(payload), [RouteFact(3, 4, "10.0.0.1", 0, 4), RouteFact(4, 4, "fe80::9", 0, 4)])

    def test_links(self) -> None:
        """Up means switched on and with carrier; a bridge's talk about its ports is none of ours."""
        for flags, operstate, up in ((ON, 6, True), (ON, 0, True), (IFF_UP, 2, False), (ON, 5, False), (0, 2, False)):
            fact = link_fact(link(3, "wan", flags, operstate))
            assert fact is not None
            self.assertEqual((fact.name, fact.mtu, fact.up), ("wan", 1500, up))
        self.assertIsNone(link_fact(b"\x07" + link(3, "wan")[1:]))

    @given(st.binary(max_size=120))
    def test_rubbish(self, data: bytes) -> None:
        """No bytes break the parsers."""
        for kind in (NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, 99):
            concerns_uplinks(kind, data)
            loses_routes(kind, data)
        address_fact(data)
        list(messages(data))

    @given(st.dictionaries(st.integers(1, 100), st.binary(max_size=20), max_size=5))
    def test_attributes(self, values: dict[int, bytes]) -> None:
        """Attributes come back as they went."""
        self.assertEqual(attributes(b"".join(attribute(k, v) for k, v in values.items())), values)
