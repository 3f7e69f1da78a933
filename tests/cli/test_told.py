"""What of a server's word goes into the configuration of a machine that joins."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli.told import local_networks, networks_told, relays_told

LOCAL = [ipaddress.ip_network(each) for each in ("192.168.1.0/24", "fd00:1::/64")]
ROUTE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wan0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
wan0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
wan0\t0000000A\t0101A8C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0
"""
INET6 = """00000000000000000000000000000001 01 80 10 80       lo
fd000001000000000000000000000005 02 40 00 80     wan0
fe800000000000000000000000000005 02 40 20 80     wan0
"""


class ToldTests(SynchronousTestCase):
    def test_taken(self) -> None:
        """Private networks that are nobody's here, as `init` makes them or others; and the product's own always."""
        for told in (("10.73.0.0/24", "fd73::/64"), ("10.80.0.0/16", "fd80::/48"), ("100.64.9.0/24",), ()):
            self.assertEqual(networks_told(told, LOCAL), (told, ()))
        own = [ipaddress.ip_network("10.73.0.0/24")]
        self.assertEqual(networks_told(("10.73.0.0/24",), own)[0], ("10.73.0.0/24",))

    def test_left_out(self) -> None:
        """The world, a part of it, and the local network are not, and each is a sentence."""
        for told, why in (
            ("0.0.0.0/0", "not private"),
            ("64.0.0.0/3", "not private"),
            ("192.168.0.0/15", "not private"),
            ("2000::/3", "not private"),
            ("::/0", "not private"),
            ("192.168.1.0/25", "on 192.168.1.0/24"),
            ("192.168.0.0/16", "on 192.168.1.0/24"),
            ("fd00::/16", "on fd00:1::/64"),
        ):
            taken, (sentence,) = networks_told((told,), LOCAL)
            self.assertEqual(taken, ())
            self.assertIn(why, sentence)

    def test_relays(self) -> None:
        """Only what can be called."""
        told = ("meet.example", "meet.example:443", "[2001:db8::1]:443", "192.0.2.1", "a:b:c", "10.1", "-x", "x:99999")
        self.assertEqual(relays_told(told), told[:4])

    def test_local(self) -> None:
        """Networks of this machine are those that it needs no router for."""
        proc = Path(self.mktemp())
        self.assertEqual(local_networks(proc), [])
        proc.mkdir()
        (proc / "route").write_text(ROUTE)
        (proc / "if_inet6").write_text(INET6)
        self.assertEqual([str(each) for each in local_networks(proc)], ["192.168.1.0/24", "fd00:1::/64"])
