"""A way that is narrower than its device says, with routers that tell of it and with routers that do not."""

from __future__ import annotations

from morphnet.lab.topologies import SERVER6, two_uplinks
from tests.lab.case import DELAYS, RATES, LabCase, Plan

NARROW = 1280  # bytes of IP that fit


class NarrowWayTests(LabCase):
    """One of two uplinks becomes narrow; the server is called by IPv4."""

    rootless = False  # nothing of it depends on who one is

    fits = NARROW - 28  # bytes of UDP payload

    def test_told(self) -> None:
        """With ICMP a path finds the size that fits, large packets pass by it alone, and so they do without ICMP."""
        for told in (True, False):
            wire = self.box.wire("wan0")
            self.addCleanup(wire.both, mtu=None, mtu_told=False)
            wire.both(mtu=NARROW, mtu_told=told)
            self.open_anew()
            self.until("both ends know what fits", self.settled)
            with self.no_uplink_but("wan0"):
                final = self.ping("--count", "50", "--size", "1372").wait()
            self.assertEqual(final["lost"], 0, (told, final))
            self.assertEqual(self.client.paths()["wan0"]["mtu"], self.fits)
            counters = wire.counters()
            for way in ("there", "back"):
                self.assertGreater(counters[way]["dropped_mtu"], 0)
            if told:
                self.assertGreater(counters["there"]["told_mtu"], 0)
                self.assertGreater(counters["back"]["told_mtu"], 0)

    def settled(self) -> bool:
        """Whether the path by wan0 has the size that fits, seen from both ends."""
        here = self.client.paths()["wan0"]
        there = next(path for path in self.server.session()["paths"] if path["path"] == here["path"])
        return bool(here["mtu"] == self.fits == there["mtu"])


class NarrowWay6Tests(NarrowWayTests):
    """The same by IPv6, where no router ever cuts a packet."""

    plan = Plan(topology=lambda: two_uplinks(DELAYS, RATES, v6=True), address=SERVER6)
    fits = NARROW - 48
