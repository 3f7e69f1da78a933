"""A client as the way to networks behind it."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import nft
from morphnet.host.behind import BACK, BehindTable, behind_changes
from morphnet.host.nat import Forwarding
from morphnet.host.routes import BASE
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl
from tests.host.fake_kernel import FakeKernel

INNER, LAN = ("10.73.0.2", "fd73::2"), ("192.168.7.0/24",)
MARK = BASE + BACK


class BehindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel = FakeKernel()
        self.kernel.values |= {"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0"}

    def test_changes(self) -> None:
        """A table, a way back for each family of ours, and forwarding for those of the networks alone."""
        ways = [Route("0.0.0.0/0", MARK, "morph0"), Rule(4, BASE + 2, MARK, mark=MARK)]
        ways += [Route("::/0", MARK, "morph0"), Rule(6, BASE + 2, MARK, mark=MARK)]
        found = behind_changes(self.kernel, BehindTable("morph0", MARK, LAN), INNER)
        self.assertEqual(found, [BehindTable("morph0", MARK, LAN), *ways, Forwarding(4)])
        called = behind_changes(self.kernel, BehindTable("morph0", MARK), INNER)
        self.assertEqual(called, [BehindTable("morph0", MARK), *ways])

    def test_strict_filter(self) -> None:
        """Where packets out of the tunnel would be taken for strays, the filter of the TUN is made a loose one."""
        self.kernel.values |= {"net/ipv4/conf/all/rp_filter": "1", "net/ipv4/conf/morph0/rp_filter": "0"}
        loose = Sysctl("net/ipv4/conf/morph0/rp_filter", "2")
        self.assertIn(loose, behind_changes(self.kernel, BehindTable("morph0", MARK), INNER))

    def test_chains(self) -> None:
        """One that is only called marks; a routed network is not masqueraded, nor kept from calling itself."""
        table = BehindTable("morph0", MARK, LAN)
        names = lambda each: sorted({part[1] for part in each.outline() if part[0] == "chain"})  # noqa: E731
        self.assertEqual(names(replace(table, networks=())), ["arrive", "leave"])
        self.assertEqual(names(table), ["arrive", "leave", "nat", "through"])
        exits = replace(table, networks=(), exits=("10.73.0.5",)).made()
        out = nft.device(nft.IIFNAME, "morph0") + nft.source("10.73.0.5") + nft.accept()
        self.assertEqual(sum(out in each for each in exits), 1)
        self.assertGreater(len(table.made()), len(replace(table, routed=True).made()) + 1)
        table.apply(self.kernel)
        table.undo(self.kernel)
        self.assertEqual(self.kernel.calls, ["nft", "nft"])
