"""Which routes and rules there shall be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.host.facts import MAIN, Facts, RouteFact
from morphnet.host.journal import Change
from morphnet.host.outside import Network
from morphnet.host.routes import (
    BASE,
    UPLINK_LIMIT,
    Address,
    LinkUp,
    Provider,
    Slots,
    around_tunnel,
    check_routes,
    has_ipv6,
    into_tunnel,
    only_inner,
    provider_changes,
    providers_at,
    routed,
    tun_changes,
    with_length,
)
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl
from morphnet.host.uplinks import Uplink
from tests.host.fake_kernel import FakeKernel

WAN = Uplink("wan", 2, True, ("192.168.5.2",), ("2001:db8::2",), "192.168.5.1", "fe80::1", 1500, 100)
LTE = Uplink("lte", 3, True, ("10.64.0.7",), (), "", None, 1420, 200)


class TunnelTests(SynchronousTestCase):
    def test_words(self) -> None:
        """Routes are "default" or networks; anything else is one sentence."""
        check_routes(("default", "10.0.0.0/8", "10.1.2.3", "fd00::/8"))
        error = self.assertRaises(ConfigError, check_routes, ("10.0.0.0/8", "everything"))
        self.assertEqual(str(error), "routes: 'everything' must be 'default' or a network such as 10.0.0.0/8")

    def test_tun(self) -> None:
        """An address without prefix length stands for itself alone."""
        changes = tun_changes("morph0", 1400, ["10.73.0.2", "fd73::2/64"], False)
        addresses = [Address("morph0", "10.73.0.2/32"), Address("morph0", "fd73::2/64")]
        self.assertEqual(changes, [LinkUp("morph0", 1400, BASE), *addresses])
        quiet = tun_changes("morph0", 1400, [], True)[:-1]
        self.assertEqual(quiet, [Sysctl("net/ipv6/conf/morph0/accept_ra", "0")])
        self.assertEqual(with_length("fd73::2"), "fd73::2/128")

    def test_everything(self) -> None:
        """With "default" both families enter by a table of our own, and main is left alone."""
        changes = into_tunnel("morph0", ["default"], {4, 6}, True)
        for family, prefix in ((4, "0.0.0.0/0"), (6, "::/0")):
            self.assertIn(Route(prefix, BASE, "morph0"), changes)
            self.assertIn(Rule(family, BASE + 99, BASE), changes)
        self.assertFalse([each for each in changes if isinstance(each, Route) and each.table == MAIN])

    def test_no_leak(self) -> None:
        """With "default", a family that the tunnel does not carry is unreachable, unless the machine has none."""
        self.assertIn(Route("::/0", BASE), into_tunnel("morph0", ["default"], {4}, True))
        self.assertIn(Route("0.0.0.0/0", BASE), into_tunnel("morph0", ["default"], {6}, True))
        self.assertFalse([each for each in into_tunnel("morph0", ["default"], {4}, False) if "::" in str(each)])

    def test_one_family(self) -> None:
        """With "0.0.0.0/0" IPv6 is left as it was."""
        changes = into_tunnel("morph0", ["0.0.0.0/0"], {4}, True)
        self.assertEqual(changes, [Route("0.0.0.0/0", BASE, "morph0"), Rule(4, BASE + 99, BASE)])
        self.assertFalse([each for each in changes if isinstance(each, Rule) and each.family == 6])

    def test_split(self) -> None:
        """Chosen prefixes are in our table, as networks; those of an absent family are not."""
        changes = into_tunnel("morph0", ["10.1.2.3/16", "fd00::/8"], {4}, True)
        self.assertEqual(changes, [Route("10.1.0.0/16", BASE, "morph0"), Rule(4, BASE + 99, BASE)])

    def test_only_inner(self) -> None:
        """While no path works the same table is there for what has an inner address at either end, and nobody else."""
        changes = into_tunnel("morph0", ["default", "10.73.0.0/24"], {4}, True)
        inner = only_inner(changes, ["10.73.0.2"], ["10.73.0.0/24", "10.73.0.1/32"])
        self.assertEqual(
            [each for each in inner if isinstance(each, Rule)],
            [
                Rule(4, BASE + 97, BASE, source="10.73.0.2"),
                Rule(4, BASE + 98, BASE, destination="10.73.0.0/24"),
                Rule(4, BASE + 98, BASE, destination="10.73.0.1"),
            ],
        )
        self.assertEqual(*([each for each in some if isinstance(each, Route)] for some in (changes, inner)))

    def test_routed(self) -> None:
        """What goes into the tunnel, of addresses: by "default" everything, else what lies in a network."""
        addresses = ["10.1.2.3", "192.168.5.1", "fd00::53"]
        self.assertEqual(routed(addresses, ["default"]), addresses)
        self.assertEqual(routed(addresses, ["10.0.0.0/8", "fd00::/8"]), ["10.1.2.3", "fd00::53"])
        self.assertEqual(routed(addresses, []), [])

    def test_around(self) -> None:
        """Networks that stay outside are thrown back, as far as they lie in what goes into the tunnel."""
        networks = [Network("192.168.5.0/24", "wan", True), Network("10.1.2.0/24", "br0", False)]
        networks.append(Network("fd00::/64", "wan", True))
        thrown = [Route(each.prefix, BASE, throw=True) for each in networks]
        self.assertEqual(around_tunnel(networks, ["default"], True), thrown)
        self.assertEqual(around_tunnel(networks, ["default"], False), thrown[:2])
        self.assertEqual(around_tunnel(networks, ["0.0.0.0/0"], True), thrown[:2])
        self.assertEqual(around_tunnel(networks, ["10.0.0.0/8"], True), thrown[1:2])
        self.assertEqual(around_tunnel(networks, ["10.1.2.3/32"], True), [])

    def test_has_ipv6(self) -> None:
        """IPv6 may be turned off for one device, or not be there at all."""
        kernel = FakeKernel()
        self.assertTrue(has_ipv6(kernel))
        kernel.values["net/ipv6/conf/morph0/disable_ipv6"] = "1"
        self.assertFalse(has_ipv6(kernel, "morph0"))
        kernel.values.clear()
        self.assertFalse(has_ipv6(kernel))


def provider(slot: int, uplink: Uplink, *routes: RouteFact) -> Provider:
    """With the routes by its device; without any, the default route that it speaks of."""
    ways = [
        RouteFact(uplink.index, family, gateway, 0, 3) for family, gateway in ways_of(uplink) if gateway is not None
    ]
    return Provider(slot, uplink, routes or tuple(ways))


def ways_of(uplink: Uplink) -> tuple[tuple[int, str | None], ...]:
    return (4, uplink.gateway4), (6, uplink.gateway6)


class ProviderTests(SynchronousTestCase):
    def changes(
        self, *providers: Provider, networks: Sequence[Network] = (), inner: Sequence[str] = ()
    ) -> list[Change]:
        return provider_changes(providers, networks, inner, True)

    def test_both_families(self) -> None:
        """Each family has its default route in the device's table; device, source and mark lead there."""
        changes = self.changes(provider(0, WAN))
        for family, prefix, gateway, source in (
            (4, "0.0.0.0/0", "192.168.5.1", "192.168.5.2"),
            (6, "::/0", "fe80::1", "2001:db8::2"),
        ):
            self.assertIn(Route(prefix, BASE + 1, "wan", gateway), changes)
            self.assertIn(Rule(family, BASE, MAIN, device="wan"), changes)
            self.assertIn(Rule(family, BASE + 1, BASE + 1, device="wan"), changes)
            self.assertIn(Rule(family, BASE + 3, BASE + 1, source=source), changes)
            self.assertIn(Rule(family, BASE + 2, BASE + 1, mark=BASE + 1), changes)

    def test_server(self) -> None:
        """No address is led past the tunnel because it is the server's: whoever lies about that draws nothing out."""
        self.assertFalse(
            [each for each in self.changes(provider(0, WAN)) if isinstance(each, Rule) and each.destination]
        )

    def test_on_link(self) -> None:
        """
        A default route without gateway is one in the device's table too; an uplink that was named leads somewhere by
        definition; a family without a default route has none.
        """
        self.assertIn(Route("0.0.0.0/0", BASE + 1, "lte"), self.changes(provider(0, LTE)))
        named = replace(WAN, gateway4=None, gateway6=None)
        self.assertIn(Route("::/0", BASE + 1, "wan"), self.changes(Provider(0, named)))
        four = replace(WAN, gateway6=None)
        self.assertFalse(
            [each for each in self.changes(provider(0, four)) if isinstance(each, Route) and "::/0" in str(each)]
        )

    def test_own_routes(self) -> None:
        """What the machine's tables say of the device is in its table; networks elsewhere are thrown back."""
        here = RouteFact(2, 4, "", 0, 2, "192.168.5.2", "192.168.5.0/24")
        behind = RouteFact(2, 4, "192.168.5.9", 0, 4, "", "10.8.0.0/16")
        out = RouteFact(2, 4, "192.168.5.1", 0, 3, "192.168.5.7")
        networks = [Network("192.168.5.0/24", "wan", True), Network("172.17.0.0/16", "docker0", False)]
        changes = self.changes(provider(0, WAN, out, behind, here), networks=networks)
        self.assertEqual(
            [each for each in changes if isinstance(each, Route) and ":" not in each.prefix],
            [
                Route("172.17.0.0/16", BASE + 1, throw=True),
                Route("192.168.5.0/24", BASE + 1, "wan", "", "192.168.5.2"),
                Route("10.8.0.0/16", BASE + 1, "wan", "192.168.5.9"),
                Route("0.0.0.0/0", BASE + 1, "wan", "192.168.5.1", "192.168.5.7"),
            ],
        )

    def test_tables(self) -> None:
        """A default route in main is the one; another table's, with what is there, only where main has none."""
        main, other = RouteFact(2, 4, "192.168.5.1", 9, 3), RouteFact(2, 4, "192.168.5.3", 1, 3, table=100)
        near, ours = RouteFact(2, 4, "", 0, 2, "", "192.168.5.0/24"), RouteFact(2, 4, "", 0, 73, table=7301)
        self.assertEqual(self.routes(main, other, near, ours), (main, near))
        self.assertEqual(self.routes(other, near, ours), (other, near))

    def test_best_default(self) -> None:
        """Of several default routes by one device the one with the lowest metric is copied, on-link or not."""
        via, direct = RouteFact(2, 4, "192.168.5.1", 100, 3), RouteFact(2, 4, "", 900, 3)
        for routes in ((via, direct), (direct, via)):
            self.assertIn(Route("0.0.0.0/0", BASE + 1, "wan", "192.168.5.1"), self.changes(provider(0, WAN, *routes)))

    def routes(self, *facts: RouteFact) -> tuple[RouteFact, ...]:
        (found,) = providers_at([(0, WAN)], Facts(routes=facts))
        return found.routes

    def test_inner_address(self) -> None:
        """An address that we have inside as well says nothing of where a packet belongs."""
        changes = self.changes(provider(0, WAN), inner=["192.168.5.2"])
        self.assertFalse([each for each in changes if isinstance(each, Rule) and each.source == "192.168.5.2"])

    def test_nothing(self) -> None:
        """Without uplinks, or with one that is down, or without IPv6, there is nothing of it."""
        self.assertEqual(self.changes(), [])
        self.assertEqual(self.changes(provider(0, replace(WAN, up=False))), [])
        self.assertFalse([each for each in provider_changes([provider(0, WAN)], [], [], False) if "::" in str(each)])

    def test_slots(self) -> None:
        """An uplink keeps its table while it is there; a table that is free again is used again."""
        slots = Slots()
        self.assertEqual(slots.assign([WAN, LTE]), [(0, WAN), (1, LTE)])
        self.assertEqual(slots.assign([LTE]), [(1, LTE)])
        new = replace(WAN, name="eth9")
        self.assertEqual(slots.assign([new, LTE]), [(0, new), (1, LTE)])
        slots.keep({WAN.name: 1, "gone": 0})
        self.assertEqual(slots.assign([LTE, WAN]), [(0, LTE), (1, WAN)])

    def test_too_many(self) -> None:
        """There are UPLINK_LIMIT tables; uplinks beyond are left out."""
        many = [replace(WAN, name=f"u{n}", index=n) for n in range(UPLINK_LIMIT + 3)]
        self.assertEqual(len(Slots().assign(many)), UPLINK_LIMIT)
