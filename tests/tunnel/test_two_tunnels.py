"""Two tunnels of different people through one bottleneck, simulated; shares are of the wire."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from tests.inner_tcp import IP_UDP, Bulk, bulk
from tests.simulation import CoDel, Link, World
from tests.tunnel.test_beside import OUTER, wire

STEP = 0.0005  # seconds that one world is ahead of the other at most
SETTLE, COUNTED = 5.0, 5.0  # seconds


def two(link: Link, later: float, seed: int = 1) -> tuple[float, float]:
    """
    One stream down in each: their shares in the last COUNTED seconds.

    :param later: seconds by which the second begins after the first.
    """
    narrow = replace(link, rate=link.rate * (OUTER - IP_UDP) / OUTER, jitter=0.0005)
    ways = [(narrow, replace(narrow, _law=CoDel()))]
    worlds, streams = [World(ways, Tuning(), seed + more) for more in (0, 100)], list[Bulk]()

    def run(seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            for world in worlds:
                world.run(STEP)

    run(0.5)
    streams += bulk(worlds[0], 1, up=False)
    run(later)
    streams += bulk(worlds[1], 1, up=False)
    run(SETTLE)
    before = [stream.arrived for stream in streams]
    run(COUNTED)
    first, second = ((s.arrived - b) * OUTER / COUNTED / link.rate for s, b in zip(streams, before, strict=True))
    return first, second


class TwoTunnelsTests(SynchronousTestCase):
    def test_together(self) -> None:
        """Of two that begin together each has a third, and nothing is wasted; who comes later has less."""
        first, second = two(wire(20, 0.04, 2.5), 0.0)
        self.assertGreaterEqual(min(first, second), 1 / 3)
        self.assertGreaterEqual(first + second, 0.95)
