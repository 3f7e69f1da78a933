"""What each uplink gets, and how that is shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.balance.standing import Standings
from tests.roles.balance.test_watching import WAN0, WAN1, World


class StandingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.world.watching.uplinks_are([WAN0, WAN1])
        self.world.run(2)

    def standings(self, weights: dict[str, int], *last: str) -> Standings:
        return Standings(self.world.watching, weights, last, self.world.clock.seconds)

    def test_configured(self) -> None:
        """As the configuration says, each family by itself."""
        standings = self.standings({"wan0": 3})
        self.assertEqual(standings.shares(), [{"wan0": 3, "wan1": 1}, {"wan0": 3}])
        first, second = standings.statuses()
        self.assertEqual((first.name, first.state, first.why), ("wan0", "up", ""))
        self.assertEqual(first.share, "IPv4 3 of 4, IPv6 3 of 3, 50 ms, seen at 203.0.113.9, seen at 203.0.113.9")
        self.assertIn("IPv4 1 of 4", second.share)

    def test_measured(self) -> None:
        """Without one, by what each has carried; only a look finds that it is another."""
        standings = self.standings({})
        self.assertEqual(standings.shares()[0], {"wan0": 1, "wan1": 1})
        for count in range(3):
            standings.measure({"wan0": 4_000_000 * count, "wan1": 1_000_000 * count, "lo": 5})
            self.world.run(1)
        self.assertTrue(standings.changed())
        self.assertEqual(standings.shares()[0], {"wan0": 8, "wan1": 2})
        self.assertFalse(standings.changed())

    def test_last(self) -> None:
        """The last one gets something when nobody else is up."""
        standings = self.standings({}, "wan1")
        self.assertEqual(standings.shares()[0], {"wan0": 1})
        self.assertIn("IPv4 as the last", standings.statuses()[1].share)
        self.world.dead |= {("wan0", 4)}
        self.world.run(5)
        self.assertEqual(standings.shares()[0], {"wan1": 1})
        self.assertIn("IPv4 no target answers", standings.statuses()[0].share)

    def test_lost(self) -> None:
        """One that leads out in no family is lost, and says why."""
        standings = self.standings({})
        self.world.watching.uplinks_are([WAN0])
        lost = standings.statuses()[1]
        self.assertEqual((lost.name, lost.state, lost.why), ("wan1", "lost", "there is no such device"))
