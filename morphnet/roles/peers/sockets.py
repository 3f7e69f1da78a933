"""The sockets by which peers are reached directly: one for each address of each uplink, shared by all peers."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import Logger

from morphnet.errors import HostError
from morphnet.host.uplinks import Uplink
from morphnet.net.ondevice import Source
from morphnet.net.pump import Pump
from morphnet.net.udp import UdpDoor
from morphnet.tunnel.carrier import DIRECT, Carrier
from morphnet.tunnel.path import State
from morphnet.wire.batch import Departure
from morphnet.wire.candidates import HOST, Candidate, is_reachable


class PeerSockets:
    """
    Kept in step with what the machine has.

    :param port: UDP port of the first address of each family; 0 for any.
    :param changed: called when the set of sockets has changed.
    :param door: makes a socket.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFDSet,
        pump: Pump,
        port: int,
        changed: Callable[[], None],
        door: type[UdpDoor] = UdpDoor,
    ) -> None:
        self._reactor, self._pump, self._port, self._changed, self._door = reactor, pump, port, changed, door
        self._doors: dict[tuple[str, str], UdpDoor] = {}  # by uplink and address
        self._leaving: dict[int, UdpDoor] = {}  # those that were replaced, by number

    @property
    def families(self) -> dict[int, bool]:
        """Number of each socket to search by, and whether it is IPv6."""
        return {door.number: ":" in door.host for door in self._doors.values()}

    def numbers(self) -> dict[tuple[str, str], int]:
        """The same by uplink and address."""
        return {key: door.number for key, door in self._doors.items()}

    def has(self, number: int) -> bool:
        """Whether it is one of ours, and open."""
        return any(door.number == number for door in self._open_ones())

    def is_leaving(self, number: int) -> bool:
        """Whether it was replaced, and is to be used no more than necessary."""
        return number in self._leaving

    def _open_ones(self) -> list[UdpDoor]:
        return [*self._doors.values(), *self._leaving.values()]

    @property
    def sources(self) -> list[Source]:
        """Their devices and addresses, without the ports."""
        return [Source(*key) for key in self._doors]

    def candidates(self) -> list[Candidate]:
        """Their own addresses."""
        return [Candidate(HOST, *door.local[:2]) for door in self._doors.values()]

    def sockets(self) -> list[tuple[str, str, int]]:
        """Uplink, address and port of each."""
        return [(uplink, *door.local[:2]) for (uplink, _), door in self._doors.items()]

    def local_of(self, number: int) -> tuple[str, int] | None:
        """Address and port of one of them."""
        return next((door.local[:2] for door in self._open_ones() if door.number == number), None)

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these uplinks now."""
        wanted = {
            (uplink.name, address)
            for uplink in uplinks
            if uplink.up
            for address in (*uplink.addresses4[:1], *_global(uplink.addresses6)[:1])
        }
        gone, fresh = self._doors.keys() - wanted, sorted(wanted - self._doors.keys())
        for key in gone:
            self._close(self._doors.pop(key))
        for number in [door.number for door in self._leaving.values() if (door.device, door.host) not in wanted]:
            self._close(self._leaving.pop(number))
        for name, address in fresh:
            self._open(name, address)
        if gone or fresh:
            self._changed()

    def replace(self, key: tuple[str, str]) -> int | None:
        """
        Open another one for that uplink and address.

        :returns: the number of the one before, open until `let_go`; None when the machine refuses another one.
        """
        before = self._doors[key]
        if not self._open(*key):
            return None
        self._leaving[before.number] = before
        self._changed()
        return before.number

    def let_go(self, number: int) -> None:
        """Close one that was replaced."""
        if number in self._leaving:
            self._close(self._leaving.pop(number))

    def close(self) -> None:
        """Let every socket go."""
        for door in self._open_ones():
            self._close(door)
        self._doors.clear()
        self._leaving.clear()

    def _open(self, name: str, address: str) -> bool:
        taken = any(door.local[1] == self._port for door in self._open_ones())
        door = self._door(
            self._reactor,
            self._pump.new_number(),
            self._pump.from_door,
            host=address,
            port=0 if taken else self._port,
            device=name,
        )
        try:
            door.open()
        except HostError as problem:
            self._log.warn("no direct ways over {uplink}: {problem}", uplink=name, problem=str(problem))
            return False
        door.too_big = self._too_big
        self._doors[name, address] = door
        self._pump.attach(door, Carrier(DIRECT, name))
        return True

    def _close(self, door: UdpDoor) -> None:
        self._pump.detach(door.number)
        door.close()

    def _too_big(self, departure: Departure) -> None:
        """The device takes no datagram of that size: the path must not be given another."""
        for session in self._pump.tunnel.sessions.values():
            for path in session.paths.values():
                if (path.door, path.remote) == (departure.door, departure.to) and path.state is not State.CLOSED:
                    path.mtu.refused(departure.size - path.overhead, self._pump.now())


def _global(addresses: Sequence[str]) -> list[str]:
    return [each for each in addresses if is_reachable(ipaddress.ip_address(each))]
