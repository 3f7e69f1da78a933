"""
Hosts behind NATs, and datagrams between them, simulated: no clock but its own, no chance but its seed.

Source: RFC 4787 sections 4 and 5 for what a NAT may do.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from morphnet.tunnel.events import Effects, Event
from morphnet.tunnel.tunnel import Extension
from morphnet.wire.batch import Arrival, Departure, Endpoint

DOOR = 1  # the number of every host's one socket
DELAY = 0.02  # seconds from one host to another; a tenth of it in one house


class Kind(Enum):
    """What stands between a host and the Internet."""

    NONE = "none"  # nothing: a public address
    ONE2ONE = "one2one"  # one mapping of a socket for all the world, and everybody may use it: full cone
    EASY_AF = "easy_af"  # one mapping, for the addresses that were written to: address restricted
    EASY = "easy"  # one mapping, for the addresses and ports that were written to: port restricted
    HARD = "hard"  # another mapping for each address and port: symmetric
    BLOCKED = "blocked"  # no UDP at all


class Nat:
    """One house's router."""

    def __init__(self, kind: Kind, host: str) -> None:
        self.kind, self.host = kind, host
        self.forget()
        self._next = 40000

    def forget(self) -> None:
        """It was restarted."""
        self._outer: dict[tuple[Endpoint, Endpoint | None], int] = {}
        self._inner: dict[int, Endpoint] = {}  # by outer port
        self._written: dict[int, set[Endpoint]] = {}

    def outward(self, inner: Endpoint, to: Endpoint) -> Endpoint | None:
        """As what a datagram from `inner` comes out; None when it does not."""
        if self.kind is Kind.BLOCKED:
            return None
        key = inner, to if self.kind is Kind.HARD else None
        port = self._outer.get(key)
        if port is None:
            self._next += 7
            port = self._outer[key] = self._next
            self._inner[port], self._written[port] = inner, set()
        self._written[port].add(to)
        return Endpoint(self.host, port)

    def inward(self, port: int, source: Endpoint) -> Endpoint | None:
        """Who gets a datagram that `source` has sent to `port`."""
        written = self._written.get(port, set())
        match self.kind:
            case Kind.ONE2ONE:
                passes = True
            case Kind.EASY_AF:
                passes = source.host in {each.host for each in written}
            case _:
                passes = source in written
        return self._inner.get(port) if passes else None


@dataclass
class Host:
    """One machine with one socket; in `house` are those behind the same NAT."""

    address: Endpoint
    nat: Nat | None
    extensions: dict[bytes, Extension] = field(default_factory=dict)
    serve: Callable[[bytes, Endpoint], bytes | None] = lambda datagram, source: None  # what it answers to the rest
    events: list[tuple[float, Event]] = field(default_factory=list)
    heard: list[tuple[float, Endpoint, bytes]] = field(default_factory=list)
    sent: list[tuple[float, Departure]] = field(default_factory=list)


class Street:
    """All hosts, and the time."""

    def __init__(self, seed: int = 1, loss: float = 0.0) -> None:
        self.now, self.loss = 100.0, loss
        self.random = random.Random(seed)
        self.hosts: dict[str, Host] = {}  # by name: their own address, where they have one socket only
        self.nats: dict[str, Nat] = {}
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def house(self, kind: Kind, host: str) -> Nat:
        """A router with that public address."""
        self.nats[host] = Nat(kind, host)
        return self.nats[host]

    def host(self, address: str, nat: Nat | None = None, port: int = 4500) -> Host:
        """A machine."""
        self.hosts[address] = Host(Endpoint(address, port), nat)
        return self.hosts[address]

    # -- datagrams ---------------------------------------------------------------------------------------------------

    def carry_out(self, host: Host, effects: Effects) -> None:
        """What a host's data plane wants."""
        host.events += [(self.now, event) for event in effects.events]
        for departure in effects.sends:
            host.sent.append((self.now, departure))
            self.send(host, Endpoint(departure.to.host, departure.to.port), bytes(departure.data))

    def send(self, host: Host, to: Endpoint, datagram: bytes) -> None:
        """One datagram, into the network."""
        if self.random.random() < self.loss:
            return
        neighbour = self.hosts.get(to.host)
        if neighbour is not None and neighbour.nat is host.nat is not None:
            self._later(DELAY / 10, neighbour, host.address, datagram)
            return
        source = host.address if host.nat is None else host.nat.outward(host.address, to)
        if source is not None:
            self.at(self.now + DELAY, lambda: self.arrive(to, source, datagram))

    def arrive(self, to: Endpoint, source: Endpoint, datagram: bytes) -> None:
        """It reaches the address that it was sent to, or nobody."""
        nat = self.nats.get(to.host)
        inner = to if nat is None else nat.inward(to.port, source)
        host = next((each for each in self.hosts.values() if each.address == inner), None)
        if host is not None and host.nat is nat:
            self.deliver(host, source, datagram)

    def _later(self, seconds: float, host: Host, source: Endpoint, datagram: bytes) -> None:
        self.at(self.now + seconds, lambda: self.deliver(host, source, datagram))

    def deliver(self, host: Host, source: Endpoint, datagram: bytes, door: int = DOOR) -> None:
        """A socket has it."""
        host.heard.append((self.now, source, datagram))
        extension = host.extensions.get(datagram[:8])
        if extension is not None:
            effects = Effects()
            extension.received(Arrival(door, source, memoryview(datagram), 0), datagram, self.now, effects)
            self.carry_out(host, effects)
        elif (answer := host.serve(datagram, source)) is not None:
            self.send(host, source, answer)

    # -- time --------------------------------------------------------------------------------------------------------

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do `action` at that time."""
        self._order += 1
        heapq.heappush(self._agenda, (when, self._order, action))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            extensions = [
                (extension.due_at(), host, extension)
                for host in self.hosts.values()
                for extension in host.extensions.values()
            ]
            due = min((each[0] for each in extensions), default=float("inf"))
            event = self._agenda[0][0] if self._agenda else float("inf")
            if min(due, event) > end:
                break
            self.now = max(self.now, min(due, event))
            if event <= due:
                heapq.heappop(self._agenda)[2]()
                continue
            for at, host, extension in extensions:
                if at <= self.now:
                    effects = Effects()
                    extension.tick(self.now, effects)
                    self.carry_out(host, effects)
        self.now = end
