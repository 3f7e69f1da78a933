"""What we ask the kernel for is read back as what was meant. What it does with it is in tests/lab."""

from __future__ import annotations

import struct
from socket import AF_INET6, if_nametoindex

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import rtnetlink
from morphnet.host.facts import ADDRESS, LINK, ROUTE
from morphnet.host.kernel import LinkState
from morphnet.host.netlink import attribute, attributes, messages
from morphnet.host.readback import address_of, route_of, rule_of
from morphnet.host.routing import Route, Rule
from tests.host.rtnetlink import link

ROUTES = (
    Route("10.1.0.0/16", 7300, "lo"),
    Route("0.0.0.0/0", 7301, "lo", "192.0.2.1", "10.73.0.2"),
    Route("10.3.0.0/16", 7302, "lo", "fe80::1"),
    Route("2001:db8::/32", 7302, "lo", "fe80::1", "2001:db8::2"),
    Route("2001:db8::/32", 7302, "lo"),
    Route("::/0", 7300),
    Route("10.0.0.0/8", 7300, throw=True),
)
RULES = (
    Rule(4, 7300, 254, device="wan0"),
    Rule(6, 7399, 7300, specific=True, avoid=7300),
    Rule(4, 7302, 7301, mark=7301),
    Rule(4, 7303, 7301, source="192.0.2.2"),
    Rule(6, 7398, 7300, destination="fd73::/64"),
    Rule(4, 7398, 7300, destination="10.73.0.1"),
)


def only(message: bytes) -> tuple[int, int, bytes]:
    """Type, flags and payload of one message."""
    ((kind, _, body),) = messages(message)
    return kind, struct.unpack_from("=H", message, 6)[0], body


class RtnetlinkTests(SynchronousTestCase):
    def test_routes(self) -> None:
        """Each kind of route, when added and when removed."""
        for each in ROUTES:
            for add, what in ((True, (24, 0x505)), (False, (25, 0x5))):
                kind, flags, body = only(rtnetlink.route(each, add=add))
                self.assertEqual((kind, flags), what)
                self.assertEqual(route_of(body, lambda index: "lo"), each)

    def test_main_table(self) -> None:
        """In the machine's own table nothing is replaced: one that is there is somebody else's."""
        self.assertEqual(only(rtnetlink.route(Route("10.0.0.0/8", 254, "lo"), add=True))[1], 0x605)

    def test_metrics(self) -> None:
        """Kinds of routes to one prefix have different metrics, and what stays outside the least."""
        told = [attributes(only(rtnetlink.route(each, add=True))[2][ROUTE.size :])[6] for each in ROUTES]
        metrics = [int.from_bytes(each, "little") for each in told]
        self.assertEqual(metrics, [1025, 1024, 1024, 1024, 1025, 1026, 1023])

    def test_no_device(self) -> None:
        """A route by a device that has gone is refused with what the system says."""
        self.assertRaises(OSError, rtnetlink.route, Route("10.1.0.0/16", 7300, "nowhere0"), add=True)

    def test_rules(self) -> None:
        """Each kind of rule, when added and when removed."""
        for each in RULES:
            for add, what in ((True, (32, 0x605)), (False, (33, 0x5))):
                kind, flags, body = only(rtnetlink.rule(each, add=add))
                self.assertEqual((kind, flags), what)
                self.assertEqual(rule_of(body), each)

    def test_addresses(self) -> None:
        """With their prefix; one of IPv6 is not asked for on the network first."""
        for text, flags in (("10.73.0.2/24", 0), ("fd73::2/64", 2)):
            kind, _, body = only(rtnetlink.address(7, text, add=True))
            self.assertEqual((kind, address_of(body), ADDRESS.unpack_from(body)[2]), (20, (7, text), flags))
            kind, _, body = only(rtnetlink.address(7, text, add=False))
            self.assertEqual((kind, address_of(body)), (21, (7, text)))

    def test_links(self) -> None:
        """A state is read, and set; what the kernel does not tell is none."""
        told = link(7, "morph0") + attribute(13, struct.pack("=I", 500)) + attribute(27, struct.pack("=I", 7300))
        state = LinkState(True, 1500, 500, 7300)
        self.assertEqual(rtnetlink.link_state(told), state)
        self.assertEqual(rtnetlink.link_state(link(7, "morph0", 0)), LinkState(False, 1500, 0, 0))
        self.assertRaises(ValueError, rtnetlink.link_state, b"torn")
        _, _, body = only(rtnetlink.link_in(7, state))
        self.assertEqual(LINK.unpack_from(body), (0, 0, 7, 1, 1))
        values = {kind: int.from_bytes(value, "little") for kind, value in attributes(body[LINK.size :]).items()}
        self.assertEqual(values, {4: 1500, 13: 500, 27: 7300})
        _, _, body = only(rtnetlink.gso_limit(7, 61000, 64))
        self.assertEqual(attributes(body[LINK.size :]), {41: struct.pack("=I", 61000), 40: struct.pack("=I", 64)})

    def test_way(self) -> None:
        """The question for the way to one address, and the device in its answer."""
        asked = rtnetlink.way_to("2001:db8::1")
        self.assertEqual((asked[0], asked[1], len(asked)), (AF_INET6, 128, ROUTE.size + 20))
        self.assertRaises(ValueError, rtnetlink.way_to, "gw.example.org")
        self.assertEqual(rtnetlink.device_of_route(asked + attribute(4, struct.pack("=I", 7))), 7)
        self.assertEqual(rtnetlink.device_of_route(asked), 0)
        self.assertEqual(rtnetlink.device_of_route(rtnetlink.way_to("fe80::1%lo")), if_nametoindex("lo"))
        self.assertRaises(OSError, rtnetlink.way_to, "fe80::1%nowhere0")
