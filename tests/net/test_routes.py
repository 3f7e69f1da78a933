"""Which routes and rules there shall be."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.routes import (
    BASE,
    MAIN,
    UPLINK_LIMIT,
    Address,
    LinkUp,
    Route,
    Rule,
    Slots,
    has_ipv6,
    into_tunnel,
    tun_changes,
    uplink_changes,
    with_length,
)
from morphnet.net.sysctl import Sysctl
from morphnet.net.uplinks import Uplink
from tests.net.fake_kernel import FakeKernel

WAN = Uplink("wan", 2, True, ("192.168.5.2",), ("2001:db8::2",), "192.168.5.1", "fe80::1", 1500, 100)
LTE = Uplink("lte", 3, True, ("10.64.0.7",), (), "", None, 1420, 200)


class TunnelTests(SynchronousTestCase):
    def test_tun(self) -> None:
        """An address without prefix length stands for itself alone."""
        changes = tun_changes("morph0", 1400, ["10.73.0.2", "fd73::2/64"], False)
        addresses = [Address("morph0", "10.73.0.2/32"), Address("morph0", "fd73::2/64")]
        self.assertEqual(changes, [LinkUp("morph0", 1400, BASE), *addresses])
        quiet = tun_changes("morph0", 1400, [], True)[:-1]
        self.assertEqual(quiet, [Sysctl("net/ipv6/conf/morph0/accept_ra", "0")])
        self.assertEqual(with_length("fd73::2"), "fd73::2/128")

    def test_everything(self) -> None:
        """With "default" both families enter by a table of our own, after what main knows better."""
        changes = into_tunnel("morph0", ["default"], {4, 6}, True)
        for family, prefix in ((4, "0.0.0.0/0"), (6, "::/0")):
            self.assertIn(Route(prefix, BASE, "morph0"), changes)
            self.assertIn(Rule(family, BASE + 98, MAIN, specific=True), changes)
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
        self.assertEqual(len(changes), 3)
        self.assertFalse([each for each in changes if isinstance(each, Rule) and each.family == 6])

    def test_split(self) -> None:
        """Chosen prefixes are in main, as networks, where the longest wins; those of an absent family are not."""
        changes = into_tunnel("morph0", ["10.1.2.3/16", "fd00::/8"], {4}, True)
        self.assertEqual(changes, [Route("10.1.0.0/16", MAIN, "morph0")])

    def test_has_ipv6(self) -> None:
        """IPv6 may be turned off for one device, or not be there at all."""
        kernel = FakeKernel()
        self.assertTrue(has_ipv6(kernel))
        kernel.values["net/ipv6/conf/morph0/disable_ipv6"] = "1"
        self.assertFalse(has_ipv6(kernel, "morph0"))
        kernel.values.clear()
        self.assertFalse(has_ipv6(kernel))


class UplinkRouteTests(SynchronousTestCase):
    def test_both_families(self) -> None:
        """Each family has its default route in the uplink's table, and rules for device and source that lead there."""
        changes = uplink_changes([(0, WAN)], [], True)
        for family, prefix, gateway, source in (
            (4, "0.0.0.0/0", "192.168.5.1", "192.168.5.2"),
            (6, "::/0", "fe80::1", "2001:db8::2"),
        ):
            self.assertIn(Rule(family, BASE, MAIN, specific=True, avoid=BASE), changes)
            self.assertIn(Route(prefix, BASE + 1, "wan", gateway), changes)
            self.assertIn(Rule(family, BASE + 1, BASE + 1, device="wan"), changes)
            self.assertIn(Rule(family, BASE + 2, BASE + 1, source=source), changes)

    def test_servers(self) -> None:
        """The server is reached by the first uplink, then by the next, in its own family only."""
        changes = uplink_changes([(0, WAN), (1, LTE)], ["203.0.113.1", "2001:db8::1"], True)
        rules = [each for each in changes if isinstance(each, Rule) and each.destination]
        self.assertEqual(
            rules,
            [
                Rule(4, BASE + 10, BASE + 1, destination="203.0.113.1"),
                Rule(4, BASE + 11, BASE + 2, destination="203.0.113.1"),
                Rule(6, BASE + 10, BASE + 1, destination="2001:db8::1"),
            ],
        )

    def test_on_link(self) -> None:
        """A default route without gateway is one in the uplink's table too."""
        self.assertIn(Route("0.0.0.0/0", BASE + 1, "lte"), uplink_changes([(0, LTE)], [], True))

    def test_nothing(self) -> None:
        """Without uplinks, or with one that is down, or without IPv6, there is nothing of it."""
        self.assertEqual(uplink_changes([], ["203.0.113.1"], True), [])
        down = uplink_changes([(0, replace(WAN, up=False))], [], True)
        self.assertTrue(all(isinstance(each, Rule) and each.avoid for each in down))
        self.assertFalse([each for each in uplink_changes([(0, WAN)], [], False) if "::" in str(each)])

    def test_slots(self) -> None:
        """An uplink keeps its table while it is there; a table that is free again is used again."""
        slots = Slots()
        self.assertEqual(slots.assign([WAN, LTE]), [(0, WAN), (1, LTE)])
        self.assertEqual(slots.assign([LTE]), [(1, LTE)])
        new = replace(WAN, name="eth9")
        self.assertEqual(slots.assign([new, LTE]), [(0, new), (1, LTE)])

    def test_too_many(self) -> None:
        """There are UPLINK_LIMIT tables; uplinks beyond are left out."""
        many = [replace(WAN, name=f"u{n}", index=n) for n in range(UPLINK_LIMIT + 3)]
        self.assertEqual(len(Slots().assign(many)), UPLINK_LIMIT)
