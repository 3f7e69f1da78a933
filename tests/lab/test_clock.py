"""A step of the wall clock, on any machine, costs nothing. Figure A14."""

from __future__ import annotations

from morphnet.lab.homes import Home
from morphnet.lab.topologies import two_uplinks
from tests.lab.case import LabCase, Ping, Plan, rest
from tests.lab.faketime import NO_FAKETIME, WallClock
from tests.lab.village import Place, VillageCase

HOUR = 3600


def stepped(clocks: list[WallClock], ping: Ping) -> int:
    """Set each clock back and forth while `ping` runs, a second apart; how many echoes were lost."""
    for hours in (-1, 1, 0):
        for clock in clocks:
            clock.set(hours * HOUR)
            rest(1.0)
    return int(ping.end()["lost"])


class GatewayTests(LabCase):
    rootless = False
    skip = LabCase.skip or NO_FAKETIME or None
    plan = Plan(topology=lambda: two_uplinks((0.01, 0.03)))

    def test_steps(self) -> None:
        """An hour back, and an hour forward, on client and server: no echo is lost, and both know their timers."""
        clocks = [WallClock(self.box.dir / f"{daemon.name}.clock") for daemon in (self.server, self.client)]
        for clock, daemon in zip(clocks, (self.server, self.client), strict=True):
            clock.restart(daemon)
        self.both_active()
        self.assertEqual(stepped(clocks, self.ping()), 0)

    def test_starts_late(self) -> None:
        """Who starts an hour late, with a certificate made just now, is let in."""
        clock = WallClock(self.box.dir / "late.clock")
        clock.set(-HOUR)
        self.addCleanup(clock.set, 0)
        for daemon in (self.server, self.client):
            clock.restart(daemon)
            self.both_active()
            self.assertEqual(self.client.session()["control"], "up")


class RelayTests(VillageCase):
    rootless = False
    skip = VillageCase.skip or NO_FAKETIME or None
    place = Place((Home("hard"), Home("hard")))

    def test_steps(self) -> None:
        """An hour back, and an hour forward, on the relay and on a machine: no echo of what goes through it is lost."""
        anna = self.machines["anna"]
        clocks = [WallClock(self.box.dir / f"{daemon.name}.clock") for daemon in (self.relay, anna)]
        for clock, daemon in zip(clocks, (self.relay, anna), strict=True):
            clock.restart(daemon)
        self.until("they have met", lambda: self.all_are("relay"))
        self.assertEqual(stepped(clocks, self.ping()), 0)
