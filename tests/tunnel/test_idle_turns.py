"""Turns of a session's timer that find nothing to do: each wakes a process, and others wait for its processor."""

from __future__ import annotations

import random
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.net.joining import joined
from morphnet.tunnel.events import Effects
from morphnet.tunnel.timers import REST_STEP, SELDOM
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Endpoint
from tests.inner_tcp import bulk
from tests.simulation import Link, World

WARM_UP, LOADED = 3.0, 6.0  # seconds
WAYS = ((60e3, 0.02), (125e3, 0.1), (2.5e6, 0.02), (12.5e6, 0.01))  # bytes a second, and seconds one way
GATEWAY = Endpoint("203.0.113.1", 8000)
CLIENTS, SETTLE, IDLE = 40, 90.0, 240.0  # clients of one server, and seconds
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


class Village:
    """A server and clients that say nothing, one path each, 1 ms away; what the server does is counted."""

    def __init__(self, count: int) -> None:
        chance = random.Random(1)
        self.now, self.turns, self.asked, self.heard, self.sent = 1000.0, 0, 0, 0, 0
        self._server = Tunnel(server=True, entropy=chance.randbytes)
        self._clients: list[Tunnel] = []
        for number in range(count):
            secrets, name = (chance.randbytes(32), chance.randbytes(32)), bytes([number]) * 16
            client = Tunnel(server=False, entropy=chance.randbytes)
            behind = self._server.add_session(f"c{number}", name, Tuning(), (bytes((10, 73, 0, number + 2)),))
            session = client.add_session("gateway", name, Tuning())
            ids = self._server.issue_ids(behind, 4)
            for end in (behind, session):
                end.install(*secrets, 64, self.now)
            client.learn_ids(session, ids)
            session.add_ids(ids)
            session.open_path(0, GATEWAY, "wan0", self.now, Effects())
            client.poke(session, self.now)
            self._clients.append(client)
            self.rest(chance.random() / 10)

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while True:
            ends = enumerate((*self._clients, self._server))
            due, at, end = min((each.next_timer() or until + 1, at, each) for at, each in ends)
            if due > until:
                break
            self.now = max(self.now, due)
            if end is self._server:
                self.turns += 1
                self._down(end.on_timer(self.now))
            else:
                self._up(at, end.on_timer(self.now))
        self.now = until

    def _up(self, at: int, effects: Effects) -> None:
        if effects.sends:
            self.now += 0.001
            self.heard += 1
            host = f"203.0.113.{at + 2}"
            arrivals = [
                Arrival(0, Endpoint(host, 1000, GATEWAY.host), memoryview(bytes(each.data)), each.size)
                for each in joined(effects.sends)
            ]
            self._down(self._server.from_path(arrivals, self.now))

    def _down(self, effects: Effects) -> None:
        for each in joined(effects.sends):
            self.now += 0.001
            self.sent += 1
            at = int(each.to.host.rpartition(".")[2]) - 2
            arrival = Arrival(0, GATEWAY, memoryview(bytes(each.data)), each.size)
            self._up(at, self._clients[at].from_path([arrival], self.now))


class ManyClientsTests(SynchronousTestCase):
    def test_idle(self) -> None:
        """
        A server hears a ping of each in 5 s and answers at once; it asks by itself once in a minute, and looks at
        those that rest together: some turns a second, however many they are.
        """
        village = Village(CLIENTS)
        village.rest(SETTLE)
        village.turns = village.heard = village.sent = 0
        village.rest(IDLE)
        pings = CLIENTS * IDLE / Tuning().heartbeat_s
        asked = CLIENTS * (IDLE / SELDOM + 1)
        self.assertLessEqual(village.heard, pings + asked + CLIENTS)
        self.assertLessEqual(village.sent, pings + asked + CLIENTS)
        self.assertLessEqual(village.turns, IDLE / REST_STEP)
