"""Which networks stay outside of the tunnel, and who may say so."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.facts import (
    BY_ADVERTISEMENT,
    BY_DHCP,
    BY_KERNEL,
    IFF_LOWER_UP,
    IFF_UP,
    PROTOCOL,
    THROW,
    UNREACHABLE,
    AddressFact,
    Facts,
    LinkFact,
    RouteFact,
)
from morphnet.host.outside import Network, elsewhere, outside, overlapping, within
from morphnet.host.routes import BASE

ETHERNET, POINT_TO_POINT = IFF_UP | IFF_LOWER_UP | 0x2, IFF_UP | IFF_LOWER_UP
BOOT, STATIC = 3, 4
LINKS = (
    LinkFact(2, "wan", ETHERNET, 6, 1500),
    LinkFact(3, "br0", ETHERNET, 6, 1500),
    LinkFact(4, "wg0", POINT_TO_POINT, 0, 1420),
    LinkFact(9, "morph0", POINT_TO_POINT, 0, 1400),
)
WAN, BRIDGE, OTHER_VPN, OURS = 2, 3, 4, 9
OUT = RouteFact(WAN, 4, "192.168.1.1", 100, BY_DHCP)


def by(index: int, prefix: str, protocol: int, gateway: str = "", **more: int) -> RouteFact:
    """A route by that device."""
    return RouteFact(index, 6 if ":" in prefix else 4, gateway, 0, protocol, "", prefix, **more)


class OutsideTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addresses: list[AddressFact] = []
        self.out: tuple[RouteFact, ...] = (OUT,)

    def kept(self, *routes: RouteFact) -> list[str]:
        """The prefixes that stay outside, of those."""
        facts = Facts(LINKS, tuple(self.addresses), (*self.out, *routes))
        return [each.prefix for each in outside(facts, (), BASE, ("morph0",))]

    def test_local(self) -> None:
        """The network that an address of the uplink says is reached there, whoever made its route; the router too."""
        facts = Facts(LINKS, (), (OUT, by(WAN, "192.168.1.0/24", BY_KERNEL)))
        self.assertEqual(outside(facts, (), BASE, ()), [Network("192.168.1.0/24", "wan", True)])
        self.addresses = [AddressFact(WAN, "192.168.1.2", 0, 24), AddressFact(WAN, "fd00:1::2", 1, 64)]
        given = by(WAN, "192.168.1.0/24", BY_DHCP), by(WAN, "fd00:1::/64", BY_ADVERTISEMENT)
        self.assertEqual(self.kept(*given), ["192.168.1.0/24", "fd00:1::/64"])
        self.assertEqual(self.kept(by(WAN, "192.168.1.0/24", BY_DHCP, "192.168.1.9")), [])
        self.assertEqual(self.kept(by(WAN, "192.168.1.1/32", BY_DHCP)), ["192.168.1.1/32"])
        self.assertEqual(self.kept(by(WAN, "fe80::/64", BY_KERNEL)), ["fe80::/64"])

    def test_dhcp_routes(self) -> None:
        """What a DHCP server adds (option 121) does not, on-link or by a router, whoever wrote it into the table."""
        for protocol in (BY_DHCP, BOOT, STATIC):
            for prefix in ("0.0.0.0/1", "128.0.0.0/1", "203.0.113.9/32", "10.99.0.2/32", "10.0.0.0/8"):
                self.assertEqual(self.kept(by(WAN, prefix, protocol, "192.168.1.1")), [], prefix)
                self.assertEqual(self.kept(by(WAN, prefix, protocol)), [], prefix)

    def test_short_mask(self) -> None:
        """A netmask does not make a part of the world local, nor more of the private ranges than a network is large."""
        for mask in (
            "8.0.0.0/6",
            "0.0.0.0/1",
            "203.0.113.0/24",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "2001:db8::/64",
            "fd00::/8",
        ):
            self.addresses = [AddressFact(WAN, mask.partition("/")[0], 0, int(mask.partition("/")[2]))]
            self.assertEqual(self.kept(by(WAN, mask, BY_KERNEL)), [], mask)
        self.assertEqual(self.kept(by(WAN, "10.73.0.0/16", BY_KERNEL)), ["10.73.0.0/16"])

    def test_no_default_route(self) -> None:
        """A network whose routes are all of that kind leads out as well, though none is a default route."""
        self.out = ()
        near, halves = by(WAN, "192.168.1.0/24", BY_KERNEL), ("0.0.0.0/1", "128.0.0.0/1")
        for protocol in (BY_DHCP, BOOT):
            given = [by(WAN, half, protocol, "192.168.1.1") for half in halves]
            self.assertEqual(self.kept(near, *given, by(WAN, "8.0.0.0/6", BY_KERNEL)), ["192.168.1.0/24"])

    def test_own_table(self) -> None:
        """So does one whose default route is in a table of its own."""
        self.out = (RouteFact(WAN, 4, "192.168.1.1", 0, STATIC, table=100),)
        self.assertEqual(self.kept(by(WAN, "203.0.113.0/24", BOOT, "192.168.1.1")), [])

    def test_the_machines(self) -> None:
        """By containers' bridges and other tunnels, and to nowhere, all stays that no DHCP server can have set."""
        for index in (BRIDGE, OTHER_VPN):
            for protocol in (BY_KERNEL, BOOT, STATIC, 186):
                for prefix in ("172.17.0.0/16", "198.51.100.0/24", "10.0.0.0/8", "2001:db8:7::/48"):
                    self.assertEqual(self.kept(by(index, prefix, protocol)), [prefix])
        self.assertEqual(self.kept(by(BRIDGE, "198.51.100.0/24", STATIC, "172.17.0.9")), ["198.51.100.0/24"])
        self.assertEqual(self.kept(by(0, "10.0.0.0/8", STATIC, kind=UNREACHABLE)), ["10.0.0.0/8"])
        for protocol in (1, BY_DHCP, BY_ADVERTISEMENT):
            self.assertEqual(self.kept(by(BRIDGE, "198.51.100.0/24", protocol, "172.17.0.9")), [])
            self.assertEqual(self.kept(by(BRIDGE, "198.51.100.0/24", protocol)), [])
            self.assertEqual(self.kept(by(OTHER_VPN, "198.51.100.0/24", protocol, "172.17.0.9")), [])

    def test_ours(self) -> None:
        """Our own routes are none; those of another tunnel of the same program are."""
        self.assertEqual(self.kept(by(OURS, "10.73.0.0/24", BY_KERNEL)), [])
        self.assertEqual(self.kept(by(OTHER_VPN, "10.73.0.0/24", 73, table=BASE)), [])
        self.assertEqual(self.kept(by(OTHER_VPN, "10.74.0.0/24", 73, table=BASE + 100)), ["10.74.0.0/24"])
        self.assertEqual(self.kept(by(0, "10.73.0.0/24", 73, table=BASE + 100, kind=THROW)), [])
        self.assertEqual(self.kept(by(BRIDGE, "10.73.0.0/24", 73, table=BASE + 101)), [])

    def test_elsewhere(self) -> None:
        """What other devices reach, by whoever's routes, another of us included; no ways out, and not our TUN."""
        routes = (
            OUT,
            by(WAN, "192.168.1.0/24", BY_KERNEL),
            by(BRIDGE, "10.5.0.0/16", STATIC, "192.168.1.9"),
            by(WAN, "0.0.0.0/1", STATIC),
            by(OURS, "10.73.0.0/24", BY_KERNEL),
            by(OURS, "192.168.7.0/24", PROTOCOL, table=BASE),
            by(OTHER_VPN, "10.74.0.0/24", PROTOCOL, table=BASE + 100),
            by(BRIDGE, "10.75.0.0/24", PROTOCOL, table=BASE + 101),
        )
        found = [each.prefix for each in elsewhere(Facts(LINKS, (), routes), "morph0", BASE)]
        self.assertEqual(found, ["192.168.1.0/24", "10.5.0.0/16", "10.74.0.0/24"])

    def test_named(self) -> None:
        """A device that is used as an uplink leads out by definition."""
        facts = Facts(LINKS, (), (by(BRIDGE, "198.51.100.0/24", BOOT),))
        self.assertEqual(len(outside(facts, (), BASE, ())), 1)
        self.assertEqual(outside(facts, ("br0",), BASE, ()), [])


class NetworkTests(SynchronousTestCase):
    def test_within(self) -> None:
        """A network lies in another of its family that has all its addresses."""
        self.assertTrue(within("10.1.0.0/16", ["::/0", "10.0.0.0/8"]))
        self.assertFalse(within("10.0.0.0/8", ["10.1.0.0/16", "::/0"]))

    def test_overlapping(self) -> None:
        """A local network that has inner addresses is found, longer or shorter; the machine's own is no news."""
        for prefix in ("10.73.0.0/24", "10.73.0.0/16", "10.73.0.128/25"):
            local = Network(prefix, "wan", True)
            self.assertEqual(overlapping([local], ["fd73::2/64", "10.73.0.2/24"]), [(local, "10.73.0.0/24")])
        self.assertEqual(overlapping([Network("10.73.0.0/24", "br0", False)], ["10.73.0.2/24"]), [])
        self.assertEqual(overlapping([Network("10.74.0.0/24", "wan", True)], ["10.73.0.2/24"]), [])
