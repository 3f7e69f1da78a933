"""The client's end: ports where programs hand in datagrams, each of them answered at its own address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.interfaces import IReactorFDSet

from morphnet.config.carry import Place, carry_number
from morphnet.net.inbox import Inboxes
from morphnet.net.localudp import LocalUdp, Received
from morphnet.net.pump import Pump
from morphnet.net.sockaddr import Address
from morphnet.roles.carry.recent import Recent
from morphnet.status import CarryStatus
from morphnet.wire.carried import Carried, CarriedRun, Which, alike

IDLE = 600.0  # seconds without a word of a program or for it, after which it is forgotten
PROGRAMS = 256  # most at one port that are remembered


class _Port:
    """One entry."""

    def __init__(self, place: Place, number: int) -> None:
        self.place, self.number = place, number
        self.door: LocalUdp | None = None
        self.addresses: dict[int, Address] = {}  # of programs, by the number that they have at the other end
        self.programs = Recent[Address, int](PROGRAMS, IDLE, self._forget)
        self.sent = self.received = self.sent_bytes = self.received_bytes = 0

    def _forget(self, address: Address, number: int) -> None:
        del self.addresses[number]


class Ports:
    """
    :param entries: where to listen, and for which service.
    :param server: the name of the session with the server, "" for none.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        pump: Pump,
        entries: Sequence[Place],
        server: Callable[[], str],
        door: Callable[[IReactorFDSet, Received, Inboxes], LocalUdp] = LocalUdp,
    ) -> None:
        self._reactor, self._pump, self._server, self._door = reactor, pump, server, door
        self._inboxes = Inboxes()
        self._ports = [_Port(each, carry_number(each.service)) for each in entries]
        self._counts = Counter[str]()

    def open(self) -> None:
        """:raises HostError: a port cannot be had."""
        self._pump.carry(self.take)
        for port in self._ports:
            door = self._door(self._reactor, partial(self._from_programs, port), self._inboxes)
            door.listen(port.place.host, port.place.port)
            port.door = door

    def close(self) -> None:
        """Nothing is taken in any more."""
        for port in self._ports:
            if port.door is not None:
                port.door.close()
        self._inboxes.close()

    def _from_programs(self, port: _Port, batch: Sequence[tuple[bytes, Address]]) -> None:
        now, server = self._pump.now(), self._server()
        if not server:  # before the first session: what it is for would be stale by then
            self._counts["carried_early"] += len(batch)
            return
        runs, last, run = list[CarriedRun](), None, list[bytes]()
        for data, address in batch:
            if address != last:
                local = port.programs.get(address, now)
                if local is None:
                    local = self._number(port, address, now)
                last, run = address, []
                runs.append(CarriedRun(port.number, local, run))
            run.append(data)
            port.sent_bytes += len(data)
        port.sent += len(batch)
        self._pump.from_local(server, runs)

    def _number(self, port: _Port, address: Address, now: float) -> int:
        """
        A number for a program: its port where that is free, so that it has the same one after we were restarted, and
        with it the same socket at the other end.
        """
        taken = {number for each in self._ports if each.number == port.number for number in each.addresses}
        local = int(address[1])
        while local in taken:
            local = (local + 1) & 0xFFFF
        port.programs.add(address, local, now)
        port.addresses[local] = address
        return local

    def take(self, batch: Sequence[tuple[str, Carried | CarriedRun]]) -> None:
        """What the server answers, for the programs that asked; nobody but the server has a say here."""
        now, server = self._pump.now(), self._server()
        for (peer, which), datagrams in alike(batch):
            port = self._asked_by(which) if peer == server else None
            if port is None or port.door is None:
                self._counts["carried_unlisted"] += len(datagrams)
                continue
            address = port.addresses[which[1]]
            port.programs.get(address, now)  # it is in use
            port.received += len(datagrams)
            port.received_bytes += sum(map(len, datagrams))
            port.door.send_all(datagrams, address)

    def _asked_by(self, which: Which) -> _Port | None:
        for port in self._ports:
            if port.number == which[0] and which[1] in port.addresses:
                return port
        return None

    def sweep(self) -> None:
        """Forget programs that are gone; called now and then."""
        for port in self._ports:
            port.programs.sweep(self._pump.now())

    def missing(self, known: Sequence[str]) -> tuple[str, ...]:
        """
        One sentence for each entry that leads nowhere.

        :param known: the services of the server.
        """
        return tuple(
            f"the server has no service '{each.place.service}' to carry to: it is set there below [carry.services]"
            for each in self._ports
            if each.place.service not in known
        )

    def counters(self) -> dict[str, int]:
        """By name, see `ops/counted`."""
        return {
            **self._counts,
            "carried_sent": sum(port.sent for port in self._ports),
            "carried_received": sum(port.received for port in self._ports),
            "carried_refused": sum(port.door.refused for port in self._ports if port.door is not None),
        }

    def statuses(self) -> tuple[CarryStatus, ...]:
        """One for each entry."""
        return tuple(
            CarryStatus(
                port.place.service,
                port.place.shown,
                len(port.programs),
                port.sent_bytes,
                port.received_bytes,
            )
            for port in self._ports
        )
