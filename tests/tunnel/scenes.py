"""What happens to the simulated world in more than one test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

from morphnet.config.roles import Tuning
from morphnet.tunnel.events import Effects, Event, PathChanged
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Endpoint
from tests.simulation import SERVER_END, Link, World, numbers, packet, read, used_format

MBIT = 125_000.0  # bytes a second
INNER = 1400  # bytes of a full inner packet


def inner_share() -> float:
    """Of the UDP payload that is inner packet."""
    return INNER / (INNER + used_format().overhead)


def way(rtt: float = 0.02, mbit: float = 0.0, **more: float) -> tuple[Link, Link]:
    """An uplink that is alike in both directions; `more` are fields of `Link`."""
    up, down = (Link(delay=rtt / 2, rate=mbit * MBIT, **more) for _ in range(2))  # type: ignore[arg-type]
    return up, down


class Elsewhen:
    """A server's tunnel whose clock is `ahead` seconds ahead of the world's."""

    def __init__(self, ahead: float, chance: Callable[[int], bytes]) -> None:
        self.tunnel, self.ahead = Tunnel(server=True, entropy=chance), ahead

    def __getattr__(self, name: str) -> object:
        return getattr(self.tunnel, name)

    def from_tun(self, batch: Sequence[memoryview], now: float) -> Effects:
        return self.tunnel.from_tun(batch, now + self.ahead)

    def from_path(self, arrivals: Sequence[Arrival], now: float) -> Effects:
        return self.tunnel.from_path(arrivals, now + self.ahead)

    def on_timer(self, now: float) -> Effects:
        return self.tunnel.on_timer(now + self.ahead + 1e-6)  # never before it is due, whatever is rounded

    def next_timer(self) -> float | None:
        due = self.tunnel.next_timer()
        return None if due is None else due - self.ahead


class Watched:
    """A tunnel of which a test wants to know, or to say, when it has its turns."""

    def __init__(self, tunnel: Tunnel, turn: Callable[[float], None]) -> None:
        """
        :param turn: told the time of each, before it.
        """
        self.tunnel, self.turn, self.asleep = tunnel, turn, False

    def __getattr__(self, name: str) -> object:
        return getattr(self.tunnel, name)

    def next_timer(self) -> float | None:
        return None if self.asleep else self.tunnel.next_timer()

    def on_timer(self, now: float) -> Effects:
        self.turn(now)
        return self.tunnel.on_timer(now)


class Scene(World):
    """A world in which uplinks die, move and come back."""

    def __init__(self, links: list[tuple[Link, Link]], settle: float = 2.0, seed: int = 1, **tuning: object) -> None:
        super().__init__(links, Tuning(**tuning), seed)  # type: ignore[arg-type]
        self.run(settle)

    def cut(self, uplink: int, *, heal: bool = False, directions: tuple[int, ...] = (0, 1)) -> None:
        """From now on nothing passes (0 up, 1 down), and what is under way is lost."""
        for direction in directions:
            self.links[uplink][direction].dead = not heal

    def rebind(self, uplink: int) -> None:
        """A NAT on the way forgets: the server sees another port from now on, and nothing reaches the old one."""
        host, port, _ = self.addresses[uplink]
        self.addresses[uplink] = Endpoint(host, port + 1)

    def move(self, uplink: int) -> None:
        """The client gets another address on that uplink, and knows it."""
        _, port, _ = self.addresses[uplink]
        self.addresses[uplink] = Endpoint(f"192.0.2.{port % 250}", port + 7)
        effects = Effects()
        self.client_session.move_path(uplink, uplink, SERVER_END, self.now, effects)
        self._carry(effects, at_client=True)
        self.client.poke(self.client_session, self.now)

    def stop_server(self) -> None:
        """The server is told to end."""
        self._carry(self.server.take_leave(self.now), at_client=False)

    def restart_server(self, ahead: float = 0.0) -> None:
        """The server is another process, with another clock, and knows nothing; the control link is not there yet."""
        self.server = cast(Tunnel, Elsewhen(ahead, self.random.randbytes))

    def watch(self, turn: Callable[[float], None]) -> tuple[Watched, Watched]:
        """Be told of every turn that the client and the server have."""
        watched = Watched(self.client, turn), Watched(self.server, turn)
        self.client, self.server = cast(Tunnel, watched[0]), cast(Tunnel, watched[1])
        return watched

    def load(self, seconds: float, rate: float, *, up: bool = True, flows: int = 4) -> None:
        """Full packets, `rate` bytes a second of them, spread over some flows, from now on."""
        began, every = self.now, INNER / rate

        def step(number: int) -> None:
            self.send(packet(number, INNER, 1 + number % flows, up=up), up=up)
            if (number + 1) * every < seconds:
                self.at(began + (number + 1) * every, lambda: step(number + 1))

        self.at(began, lambda: step(0))

    def arrived(self, *, up: bool = True) -> list[int]:
        """The numbers of the packets that came out, in that order."""
        return numbers([plain for _, plain in (self.at_server if up else self.at_client)])

    def run_until_held(self, session: Session) -> int:
        """Let time pass, 0.3 s at most, until packets wait at that end for one that is missing: how many do."""
        for _ in range(30):
            self.run(0.01)
            if session.inbound.reorder.packets:
                break
        return session.inbound.reorder.packets

    def lost(self, count: int, *, up: bool = True) -> int:
        """How many of the numbers 0 .. `count` - 1 never came out."""
        return len(set(range(count)) - set(self.arrived(up=up)))

    def doubled(self, *, up: bool = True) -> int:
        """How many came out more than once."""
        return sum(times - 1 for times in Counter(self.arrived(up=up)).values())

    def longest_gap(self, *, up: bool = True) -> float:
        """Seconds without any packet coming out, between the first and the last."""
        times = [at for at, _ in (self.at_server if up else self.at_client)]
        return max((after - before for before, after in pairwise(times)), default=0.0)

    def changes(self, end: str = "", since: float = 0.0) -> list[tuple[float, PathChanged]]:
        """Every time that a path began another part of its life, at "client" or "server" or both."""
        return [(at, event) for at, who, event in self.events
                if isinstance(event, PathChanged) and at >= since and end in ("", who)]  # fmt: skip

    def told(self, kind: type[Event]) -> list[Event]:
        """Events of one kind, in order."""
        return [event for _, _, event in self.events if isinstance(event, kind)]

    def nonces(self) -> list[tuple[int, int, int, int]]:
        """Under what each datagram that was sent was sealed: direction, path, epoch, number (of two their low bits)."""
        read_all = [(direction, read(datagram)) for pair in self.links
                    for direction, link in enumerate(pair) for datagram in link.log]  # fmt: skip
        return [(direction, header.path, header.epoch, header.number) for direction, header in read_all]

    def states(self) -> set[str]:
        """The states that paths are in, at both ends."""
        return {str(path.state) for s in (self.client_session, self.server_session) for path in s.paths.values()}
