"""Answers leave where the questions came in."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.answers import AnswersTable, answer_chains, answer_changes
from morphnet.host.look import Look
from morphnet.host.routes import BASE, Provider
from morphnet.host.sysctl import Sysctl
from morphnet.host.uplinks import Uplink
from tests.host.fake_kernel import FakeKernel

WAN = Uplink("wan", 2, True, ("192.168.5.2",), ("2001:db8::2",), "192.168.5.1", "fe80::1", 1500, 100)
LTE = Uplink("lte", 3, True, ("10.64.0.7",), (), "", None, 1420, 200)
PROVIDERS = (Provider(0, WAN), Provider(4, LTE))
TABLE = AnswersTable("morph0", ("wan", "lte"), (BASE + 1, BASE + 5))


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel = FakeKernel()

    def test_forwarding(self) -> None:
        """Where the machine forwards, of either family, connections are marked by the device they came in by."""
        for name in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            self.assertEqual(answer_changes(self.kernel, "morph0", PROVIDERS, ()), [])
            self.kernel.values[name] = "1"
            self.assertEqual(answer_changes(self.kernel, "morph0", PROVIDERS, ()), [TABLE])
            self.kernel.values[name] = "0"

    def test_unclear(self) -> None:
        """So they are where an address says nothing of the device: two have it, or it is one of our inner ones too."""
        twins = (Provider(0, WAN), Provider(4, replace(LTE, addresses4=WAN.addresses4)))
        self.assertEqual(answer_changes(self.kernel, "morph0", twins, ()), [TABLE])
        self.assertEqual(answer_changes(self.kernel, "morph0", PROVIDERS, ["10.64.0.7"]), [TABLE])
        down = (Provider(0, replace(WAN, up=False)),)
        self.assertEqual(answer_changes(self.kernel, "morph0", down, ["192.168.5.2"]), [])

    def test_strict(self) -> None:
        """A strict reverse path filter is told to heed the mark of what arrives for our own address."""
        values = self.kernel.values
        values |= {"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "1", "net/ipv4/conf/lte/rp_filter": "2"}
        values["net/ipv4/conf/wan/rp_filter"] = "0"
        heed, table = answer_changes(self.kernel, "morph0", PROVIDERS, ())
        self.assertEqual(heed, Sysctl("net/ipv4/conf/wan/src_valid_mark", "1"))
        self.assertEqual(table, replace(TABLE, strict=("wan 192.168.5.2",)))

    def test_chains(self) -> None:
        """Two chains; for each device a connection is marked once, and an answer in either chain."""
        self.assertEqual(len(answer_chains(TABLE)), 2 + 3 * 2)
        self.assertEqual(len(answer_chains(replace(TABLE, strict=("wan 192.168.5.2",)))), 2 + 3 * 2 + 1)
        TABLE.apply(self.kernel)
        TABLE.undo(self.kernel)
        self.assertEqual(self.kernel.calls, ["nft", "nft"])

    def test_stands(self) -> None:
        """It stands as long as nobody touches it, see `tests.host.test_nat`."""
        TABLE.apply(self.kernel)
        self.assertTrue(TABLE.stands(Look(self.kernel)))
        self.assertFalse(replace(TABLE, marks=(1, 2)).stands(Look(self.kernel)))
