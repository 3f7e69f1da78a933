"""The server's end: towards a service each program at the other end has a socket, so that it can tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from twisted.internet.interfaces import IReactorFDSet, IReactorTime
from twisted.internet.task import deferLater

from morphnet.config.carry import Place, carry_number
from morphnet.errors import HostError
from morphnet.net.inbox import Inboxes
from morphnet.net.localudp import LocalUdp, Received
from morphnet.net.pump import Pump
from morphnet.net.sockaddr import Address
from morphnet.roles.carry.recent import Recent
from morphnet.status import CarryStatus
from morphnet.wire.carried import Carried, CarriedRun, Which, alike

IDLE = 600.0  # seconds without a word either way, after which a socket is closed
OF_SESSION = 256  # most sockets of one client
OF_ALL = 4096
QUIET, LOOKS = 0.01, 10  # seconds without an answer after which none is waited for at the end; most such times


class _Service:
    """One that is listed."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.sockets = self.sent = self.received = self.sent_bytes = self.received_bytes = 0


class Services:
    """
    :param listed: what may be reached; nothing else is.
    :param most: sockets, for all clients together.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        pump: Pump,
        listed: Sequence[Place],
        most: int = OF_ALL,
        door: Callable[[IReactorFDSet, Received, Inboxes], LocalUdp] = LocalUdp,
    ) -> None:
        self._reactor, self._pump, self._most, self._make_door = reactor, pump, most, door
        self._services = {carry_number(each.service): _Service(each) for each in listed}
        self._clients: dict[str, Recent[Which, LocalUdp]] = {}
        self._counts, self._inboxes = Counter[str](), Inboxes()
        self._clock = cast(IReactorTime, reactor)  # any reactor is that too
        self._open = self._answers = 0

    def open(self) -> None:
        """Take what comes from now on."""
        self._pump.carry(self.take)

    async def last_answers(self) -> None:
        """At the end of this process: let leave what services say to that which they were just handed."""
        for _ in range(LOOKS if self._open else 0):
            before = self._answers
            await deferLater(self._clock, QUIET)
            if self._answers == before:
                break

    def close(self) -> None:
        """Close every socket."""
        for peer in list(self._clients):
            self._leave(peer)
        self._inboxes.close()

    def take(self, batch: Sequence[tuple[str, Carried | CarriedRun]]) -> None:
        """What clients send."""
        now = self._pump.now()
        for (peer, which), datagrams in alike(batch):
            service = self._services.get(which[0])
            if service is None:
                self._counts["carried_unlisted"] += len(datagrams)
                continue
            door = self._door(peer, service, which, len(datagrams), now)
            if door is not None:
                service.received += len(datagrams)
                service.received_bytes += sum(map(len, datagrams))
                door.send_all(datagrams)

    def _door(self, peer: str, service: _Service, which: Which, count: int, now: float) -> LocalUdp | None:
        """:param count: datagrams that want it."""
        doors = self._clients.get(peer)
        door = doors.get(which, now) if doors is not None else None
        if door is not None:
            return door
        if doors is None:
            doors = self._clients[peer] = Recent(OF_SESSION, IDLE, self._forget)
        if self._open >= self._most and len(doors):
            doors.drop(next(iter(doors)))  # its own, not another client's
        if self._open >= self._most:
            self._counts["carried_full"] += count
            return None
        door = self._make_door(self._reactor, partial(self._answered, peer, service, which), self._inboxes)
        try:
            door.connect(service.place.host, service.place.port)
        except HostError:
            self._counts["carried_full"] += count
            return None
        doors.add(which, door, now)
        service.sockets += 1
        self._open += 1
        return door

    def _answered(self, peer: str, service: _Service, which: Which, batch: Sequence[tuple[bytes, Address]]) -> None:
        if (doors := self._clients.get(peer)) is not None:
            doors.get(which, self._pump.now())  # it is in use
        self._answers += 1
        service.sent += len(batch)
        run = CarriedRun(*which, [data for data, _ in batch])
        service.sent_bytes += sum(map(len, run.datagrams))
        self._pump.from_local(peer, [run])

    def _forget(self, which: Which, door: LocalUdp) -> None:
        self._counts["carried_refused"] += door.refused
        self._services[which[0]].sockets -= 1
        self._open -= 1
        door.close()

    def _leave(self, peer: str) -> None:
        doors = self._clients.pop(peer)
        for which in doors:
            doors.drop(which)

    def sweep(self) -> None:
        """Close what is idle, and what is of clients that are gone; called now and then."""
        for peer, doors in list(self._clients.items()):
            doors.sweep(self._pump.now())
            if peer not in self._pump.tunnel.sessions or not len(doors):
                self._leave(peer)

    def counters(self) -> dict[str, int]:
        """By name, see `ops/counted`."""
        return {
            **self._counts,
            "carried_sent": sum(each.sent for each in self._services.values()),
            "carried_received": sum(each.received for each in self._services.values()),
        }

    def statuses(self) -> tuple[CarryStatus, ...]:
        """One for each service."""
        return tuple(
            CarryStatus(
                each.place.service,
                each.place.shown,
                each.sockets,
                each.sent_bytes,
                each.received_bytes,
            )
            for each in self._services.values()
        )
