"""Uplinks that jitter, as radio links do, in simulated networks: what one TCP stream gets there."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from tests.inner_tcp import IP_UDP, SEGMENT, Bulk, bulk, rival
from tests.simulation import CoDel, Link, World
from tests.tunnel.scenes import MBIT

OUTER = SEGMENT + 94  # bytes that a full inner packet takes on the wire
SECONDS, RAMP = 16.0, 6.0  # of a load, and of these not counted
RATE = 20.0  # Mbit/s of each uplink


def jittery(count: int, jitter: float, seed: int, *, rate: float = RATE, keeps_order: bool = True) -> World:
    """So many uplinks, both ways of which take up to `jitter` seconds longer; settled."""
    whole = rate * MBIT * (OUTER - IP_UDP) / OUTER
    way = Link(0.01, whole, queue=0.1, jitter=jitter, keeps_order=keeps_order)
    world = World([(replace(way, _law=CoDel()), replace(way, _law=CoDel())) for _ in range(count)], Tuning(), seed)
    world.run(1.0)
    return world


def got(world: World, stream: Bulk) -> float:
    """Mbit/s on the wire of a stream that has just begun, once its first seconds are over."""
    world.run(RAMP)
    before = stream.arrived
    world.run(SECONDS - RAMP)
    return (stream.arrived - before) * OUTER / (SECONDS - RAMP) / MBIT


def share(count: int, jitter: float, seed: int, *, keeps_order: bool = True) -> float:
    """Of the wires of so many uplinks."""
    world = jittery(count, jitter, seed, keeps_order=keeps_order)
    (stream,) = bulk(world, 1, up=False)
    return got(world, stream) / (count * RATE)


def bare(rate: float, jitter: float, seed: int, *, keeps_order: bool = True) -> float:
    """Of one wire of that rate (Mbit/s) without a tunnel."""
    world = jittery(1, jitter, seed, rate=rate, keeps_order=keeps_order)
    return got(world, rival(world, 0, up=False)) / rate


class JitteryTests(SynchronousTestCase):
    def test_one(self) -> None:
        """
        50 ms of jitter are no queue, and nobody else's: 95 % of the wire, which is 0.9 of what bare TCP gets.

        Packets that are dense wait for the late ones among them, so that the delay stands at most of the jitter.
        """
        for seed in (1, 3):
            self.assertGreaterEqual(share(1, 0.05, seed), 0.95, seed)

    def test_two(self) -> None:
        """Two that jitter by 50 ms add up, and two by 100 carry most of what TCP does on one wire of both rates."""
        for jitter, seed, enough in ((0.05, 1, 0.85), (0.1, 2, 0.6)):
            self.assertGreaterEqual(share(2, jitter, seed), enough, jitter)

    def test_two_loose(self) -> None:
        """So do two on which packets overtake each other."""
        self.assertGreaterEqual(share(2, 0.05, 1, keeps_order=False), 0.9)
