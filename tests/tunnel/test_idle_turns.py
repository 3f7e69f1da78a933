"""Turns of a session's timer that find nothing to do: each wakes a process, and others wait for its processor."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.events import Effects
from morphnet.tunnel.tunnel import Tunnel
from tests.inner_tcp import bulk
from tests.simulation import Link, World

WARM_UP, LOADED = 3.0, 6.0  # seconds
WAYS = ((60e3, 0.02), (125e3, 0.1), (2.5e6, 0.02), (12.5e6, 0.01))  # bytes a second, and seconds one way
IN_VAIN, TURNS = 2.0, 650.0  # a second at most: those without work, and all: room is worth one every 2 ms


class Counting:
    """A tunnel whose turns are counted."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel, self.turns, self.in_vain = tunnel, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tunnel, name)

    def on_timer(self, now: float) -> Effects:
        """Have the tunnel take it; count it, and whether it was in vain."""
        effects = self._tunnel.on_timer(now)
        self.turns += 1
        self.in_vain += not (effects.sends or effects.delivers or effects.events)
        return effects


class IdleTurnsTests(SynchronousTestCase):
    def test_while_something_waits(self) -> None:
        """While a full path keeps packets waiting, the timer fires when there is room for one, and not before."""
        for rate, delay in WAYS:
            world = World([(Link(delay, rate), Link(delay, rate))])
            (stream,) = bulk(world, 1, up=True)
            world.run(WARM_UP)
            counting = Counting(world.client)
            world.client, before = cast(Tunnel, counting), stream.arrived
            world.run(LOADED)
            case = f"{8e-6 * rate} Mbit/s, {delay} s"
            self.assertGreater(stream.arrived - before, 0.7 * LOADED * rate / 1500, case)
            self.assertLessEqual(counting.in_vain, IN_VAIN * LOADED, case)
            self.assertLessEqual(counting.turns, TURNS * LOADED, case)
