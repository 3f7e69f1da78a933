"""A world whose two processes wait for a processor: each runs only at times, and does then what has gathered."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from morphnet.tunnel.events import Effects
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Endpoint
from tests.simulation import Link, World

BATCH = 64  # packets from inside that are handed in together


class BusyWorld(World):
    """
    :param pauses: seconds that a process waits for its turn, for the client and for the server; from `busy_from` on.

    In a turn it takes what came, from inside and outside, and does what is due. What it sends leaves at once or, by
    chance, only with the next turn, since the processor was taken from it in between.
    """

    def __init__(self, links: list[tuple[Link, Link]], pauses: tuple[float, float], seed: int = 1) -> None:
        self.pauses = {True: pauses[0], False: pauses[1]}
        self.busy_from = float("inf")
        self._inbox: dict[bool, list[tuple[float, Arrival]]] = {True: [], False: []}
        self._inside: dict[bool, list[memoryview]] = {True: [], False: []}
        self._fate = random.Random(seed + 1)
        self._waits: set[bool] = set()
        super().__init__(links, seed=seed)

    def load(self) -> None:
        """From now on others want the processor."""
        self.busy_from = self.now

    def _of(self, *, client: bool) -> Tunnel:
        return self.client if client else self.server

    def _pause(self, client: bool) -> float:
        """Until it runs again: 0.5 to 1.5 of what it waits on average."""
        return self.pauses[client] * (0.5 + self._fate.random())

    def _in_turn(self, client: bool) -> None:
        """Have it run when it is its turn."""
        if client not in self._waits:
            self._waits.add(client)
            self.at(self.now + self._pause(client), lambda: self._turn(client))

    def _turn(self, client: bool) -> None:
        self._waits.discard(client)
        tunnel, began = self._of(client=client), self.now
        gathered, self._inbox[client] = self._inbox[client], []
        inside, self._inside[client] = self._inside[client], []
        made: list[Effects] = []
        made += [tunnel.from_tun(inside[at : at + BATCH], began) for at in range(0, len(inside), BATCH)]
        if gathered:
            made.append(tunnel.from_path([each._replace(late=began - at) for at, each in gathered], began))
        due = tunnel.next_timer()
        if due is not None and due <= began:
            made.append(tunnel.on_timer(began))
        if self._fate.random() < 0.3:  # the processor is taken from it before it has sent
            self._waits.add(client)
            self.at(began + self._pause(client), lambda: self._leave(client, made, began))
        else:
            self._leave(client, made, began)

    def _leave(self, client: bool, made: list[Effects], began: float) -> None:
        """What a turn sends goes out now, and what came meanwhile has its turn."""
        for effects in made:
            self._carry(effects, at_client=client)
        self._of(client=client).lateness.turned(began, self.now)
        self._waits.discard(client)
        if self._inbox[client] or self._inside[client]:
            self._in_turn(client)

    def arrive(self, datagram: bytes, door: int, source: Endpoint, *, up: bool, link: Link | None = None) -> None:
        """Have it arrive; a process that is busy reads it in its turn."""
        if self.now < self.busy_from:
            super().arrive(datagram, door, source, up=up, link=link)
        elif link is None or not link.dead:
            self._inbox[not up].append((self.now, Arrival(door, source, memoryview(datagram), len(datagram))))
            self._in_turn(not up)

    def send(self, plain: bytes, *, up: bool = True) -> None:
        """Hand it in from inside; a process that is busy takes it in its turn."""
        if self.now < self.busy_from:
            super().send(plain, up=up)
        else:
            self._inside[up].append(memoryview(plain))
            self._in_turn(up)

    def run(self, seconds: float) -> None:
        """Let time go by; timers of a busy process fire in its turn."""
        end = self.now + seconds
        while True:
            event = self._agenda[0][0] if self._agenda else float("inf")
            due = {client: self._of(client=client).next_timer() for client in (True, False)}
            awake = [when for client, when in due.items() if when is not None and client not in self._waits]
            moment = max(self.now, min([event, *awake]))
            if moment > end:
                break
            self.now = moment
            if event <= moment:
                self._next_event()()
                continue
            for client, when in due.items():
                if when is None or when > self.now or client in self._waits:
                    continue
                if self.now < self.busy_from:
                    self._carry(self._of(client=client).on_timer(self.now), at_client=client)
                else:
                    self._in_turn(client)
        self.now = end

    def _next_event(self) -> Callable[[], None]:

        return heapq.heappop(self._agenda)[2]
