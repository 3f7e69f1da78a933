"""Processes that wait for a processor, in virtual time: what is theirs is not taken for the path's fault."""

from __future__ import annotations

from statistics import fmean

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import PathChanged
from tests.busy_world import BusyWorld
from tests.inner_tcp import bulk
from tests.simulation import Link

RATE, DELAY = 2.5e6, 0.005  # bytes a second, and seconds one way
WARM_UP, LOADED = 1.5, 3.0  # seconds
SLOW, QUICK = 0.05, 0.0005  # seconds that a process waits for its turn
NARROW, OUTER = 1.25e6, 1494  # bytes a second; bytes of a full inner packet on the wire


class BusyTests(SynchronousTestCase):
    def silences(self, pauses: tuple[float, float], *, up: bool) -> tuple[list[float], int]:
        """When the only path was thought to be silent, seconds after the load began; segments that arrived."""
        world = BusyWorld([(Link(DELAY, RATE), Link(DELAY, RATE))], pauses)
        (stream,) = bulk(world, 1, up=up)
        world.run(WARM_UP)
        world.load()
        before = stream.arrived
        world.run(LOADED)
        changes = [(at, each) for at, _, each in world.events if isinstance(each, PathChanged)]
        return [at - world.busy_from for at, each in changes if each.now == "silent"], stream.arrived - before

    def test_no_silence(self) -> None:
        """The only path does not fall silent when the client, the server or both run every 50 ms alone."""
        for pauses in ((SLOW, QUICK), (QUICK, SLOW), (SLOW, SLOW)):
            for up in (True, False):
                silent, arrived = self.silences(pauses, up=up)
                self.assertEqual(silent, [], f"{pauses}, up {up}")
                self.assertGreater(arrived, 0, f"{pauses}, up {up}")

    def test_carries_on(self) -> None:
        """A stream from a server that runs every 50 ms alone keeps 0.3 of a wire of 10 Mbit/s, mean of four seeds."""
        shares = []
        for seed in (1, 2, 3, 4):
            world = BusyWorld([(Link(DELAY, NARROW), Link(DELAY, NARROW))], (QUICK, SLOW), seed)
            (stream,) = bulk(world, 1, up=False)
            world.run(1.0)
            world.load()
            before = stream.arrived
            world.run(4.0)
            shares.append((stream.arrived - before) * OUTER / 4.0 / NARROW)
        self.assertGreater(fmean(shares), 0.3, shares)
