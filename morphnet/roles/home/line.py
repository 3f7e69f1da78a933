"""The home's socket to its coordinator, for the address that the coordinator's name has now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

from morphnet.errors import HostError
from morphnet.net.lookup import MachineNames, Names
from morphnet.net.udp import UdpDoor
from morphnet.rendezvous.home.registering import Registering
from morphnet.wire.batch import Arrival, Departure, Endpoint


class Line:
    """
    Joins a registration and the network.

    :param host: name or address of the coordinator.
    :param names: who knows its addresses.
    """

    def __init__(
        self, reactor: Any, host: str, port: int, registering: Registering, names: Names | None = None
    ) -> None:
        self._reactor, self._host, self._port, self.registering = reactor, host, port, registering
        self._names = names or MachineNames(reactor.nameResolver)
        self._doors: dict[bool, UdpDoor] = {}  # for IPv6, and for IPv4
        self._to: Endpoint | None = None
        self._asking = self._closed = False
        registering.send = self._send

    def look_up(self) -> None:
        """Ask for the address, once at a time; who is registered stays where that was."""
        if not self._asking and not self._closed and self.registering.state != "registered":
            self._asking = True
            kinds: list[type[IAddress]] = [IPv4Address, IPv6Address]
            self._names.look_up(self._host, kinds, self._found, self._done)

    def _found(self, hosts: list[str], by: str) -> None:
        """Of several coordinators behind the name one that did not answer is left for the next."""
        if self._closed:
            return
        usable = [host for host in hosts if self._has_door(":" in host)]
        before = self._to.host if self._to is not None else ""
        after = usable.index(before) + 1 if before in usable else 0
        if usable:
            self._to = Endpoint(usable[after % len(usable)], self._port)
            if self._to.host != before:
                self.registering.look()

    def _done(self) -> None:
        self._asking = False

    def _has_door(self, six: bool) -> bool:
        if six not in self._doors:
            door = UdpDoor(self._reactor, int(six), self._received, host="::" if six else "0.0.0.0")
            try:
                door.open()
            except HostError:
                return False  # a machine without IPv6
            self._doors[six] = door
        return True

    def _received(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            if self._to is None or arrival.source[:2] != self._to[:2]:
                self.registering.counts["stranger"] += 1
                continue
            for at in range(0, len(arrival.data), arrival.size):
                self.registering.received(bytes(arrival.data[at : at + arrival.size]))

    def _send(self, datagram: bytes) -> None:
        if self._to is not None:
            door = self._doors[":" in self._to.host]
            door.send([Departure(door.number, self._to, datagram, len(datagram))])

    def close(self) -> None:
        """No more of it."""
        self._closed = True
        for door in self._doors.values():
            door.close()
