"""Routers that give a living mapping another port now and then (C5)."""

from __future__ import annotations

from morphnet.lab.topologies import Route
from morphnet.tunnel.timers import LINGER
from tests.lab.case import rest
from tests.lab.shortlived import ShortLived
from tests.lab.village import VillageCase

TIMES, EVERY = 3, 6.0  # remappings, and seconds between them
LIFE = 12.0  # seconds: a little more than traversal.lifespan.SHORTEST


class ForgetfulTests(VillageCase):
    """Two homes behind ordinary routers."""

    rootless = False  # nothing of it depends on who one is

    def test_remapped(self) -> None:
        """C5: whenever a router maps to other ports the relay fills in, a new direct way is found, and none is lost."""
        self.be_direct()
        rest(4.0)
        before, ping = self.forwarded(), self.ping("--interval", "0.01")
        for turn in range(TIMES):
            self.box.remap_nat(f"nat{turn % 2}")
            rest(EVERY)
            self.until("they are direct again", lambda: self.all_are("direct"))
        final = ping.end()
        self.none_lost(final)
        self.assertLess(final["longest_gap_ms"], 1000)
        echo = 84 + 40 + 10  # bytes of one, its header and tag, and the envelope around it
        share = (self.forwarded() - before) / (2 * final["sent"] * echo)
        self.assertLess(share * EVERY / 60, 0.02)  # as it would be once a minute


class LimitedTests(VillageCase):
    """Two homes behind ordinary routers, but that each mapping ends LIFE seconds after it began, however it is used."""

    rootless = False  # nothing of it depends on who one is

    def test_rotated(self) -> None:
        """C5: once both ends know, they change sockets in time: none is lost, and the relay carries no traffic."""
        self.be_direct()
        self.village.failed = True  # its routers have given out many ports
        routers, learning = ShortLived(self, LIFE), self.ping("--interval", "0.01")
        self.assertTrue(routers.run(4 * LIFE, until=routers.both_know))
        self.none_lost(learning.end())
        self.be_direct()
        routers.run(LINGER)
        before, ping = self.forwarded(), self.ping("--interval", "0.01")
        routers.run(2 * LIFE)
        self.none_lost(ping.end())
        self.assertEqual(self.forwarded(), before)


class OneRouterTests(VillageCase):
    """The same where only the public address of one home changes, as after a night's reconnect of its line."""

    rootless = False  # nothing of it depends on who one is

    def test_renumbered(self) -> None:
        """The line of a home gets another public address: the relay is called anew, and the direct way is found."""
        self.be_direct()
        self.village.failed = True  # the next one wants the old address
        ping = self.ping()
        self.box.address("nat0", "wan", add=["198.51.100.34/30"], remove=["198.51.100.2/30"])
        self.box.address("isp", "home0", add=["198.51.100.33/30"], remove=["198.51.100.1/30"])
        self.box.route("nat0", add=[Route("default", "198.51.100.33")])
        self.box.remap_nat("nat0")
        self.until("they are direct again", lambda: self.all_are("direct"), within=60.0)
        rest(1.0)
        final = ping.end()
        self.assertLess(final["longest_gap_ms"], 5000, final)
