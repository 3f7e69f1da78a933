"""Uplinks that jitter and keep the order, as radio links do, in simulated networks: what one TCP stream gets there."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from tests.inner_tcp import IP_UDP, SEGMENT, bulk
from tests.simulation import CoDel, Link, World
from tests.tunnel.scenes import MBIT

OUTER = SEGMENT + 94  # bytes that a full inner packet takes on the wire
SECONDS, RAMP = 16.0, 6.0  # of a load, and of these not counted
RATE = 20  # Mbit/s of each uplink


def share(count: int, jitter: float, seed: int) -> float:
    """Of the wires of so many uplinks, both ways of which take up to `jitter` seconds longer."""
    way = Link(0.01, RATE * MBIT * (OUTER - IP_UDP) / OUTER, queue=0.1, jitter=jitter)
    world = World([(replace(way, _law=CoDel()), replace(way, _law=CoDel())) for _ in range(count)], Tuning(), seed)
    world.run(1.0)
    (stream,) = bulk(world, 1, up=False)
    world.run(RAMP)
    before = stream.arrived
    world.run(SECONDS - RAMP)
    return (stream.arrived - before) * OUTER / (SECONDS - RAMP) / (count * RATE * MBIT)


class JitteryTests(SynchronousTestCase):
    def test_one(self) -> None:
        """
        50 ms of jitter are no queue, and nobody else's: 95 % of the wire, which is 0.9 of what bare TCP gets.

        Packets that are dense wait for the late ones among them, so that the delay stands at most of the jitter.
        """
        for seed in (1, 3):
            self.assertGreaterEqual(share(1, 0.05, seed), 0.95, seed)

    def test_two(self) -> None:
        """Of two that jitter by 100 ms the one that gets what the other leaves is not thought to be slow for that."""
        self.assertGreaterEqual(share(2, 0.1, 2), 0.5)
