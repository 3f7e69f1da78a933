"""The sockets by which peers are reached directly: one for each address of each uplink, shared by all peers."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import Logger

from morphnet.errors import HostError
from morphnet.net.pump import Pump
from morphnet.net.udp import UdpDoor
from morphnet.net.uplinks import Uplink
from morphnet.tunnel.carrier import DIRECT, Carrier
from morphnet.tunnel.path import State
from morphnet.wire.batch import Departure
from morphnet.wire.places import LOCAL, Place, is_reachable

FIRST_DOOR = 1 << 17  # numbers of ours, apart from those of the way to a server and of relays


class PeerDoors:
    """
    Kept in step with what the machine has.

    :param port: UDP port of the first address of each family; 0 for any.
    :param changed: called when the set of sockets has changed.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorFDSet, pump: Pump, port: int, changed: Callable[[], None]) -> None:
        self._reactor, self._pump, self._port, self._changed = reactor, pump, port, changed
        self._doors: dict[tuple[str, str], UdpDoor] = {}  # by uplink and address
        self._next = FIRST_DOOR

    @property
    def families(self) -> dict[int, bool]:
        """Number of each socket, and whether it is IPv6."""
        return {door.number: ":" in door.host for door in self._doors.values()}

    @property
    def hosts(self) -> list[str]:
        """Their addresses, without the ports."""
        return list(dict.fromkeys(door.host for door in self._doors.values()))

    def places(self) -> list[Place]:
        """Their own addresses."""
        return [Place(LOCAL, *door.local[:2]) for door in self._doors.values()]

    def sockets(self) -> list[tuple[str, str, int]]:
        """Uplink, address and port of each."""
        return [(uplink, *door.local[:2]) for (uplink, _), door in self._doors.items()]

    def counters(self) -> Counter[str]:
        """Sums over the sockets."""
        total = Counter[str]()
        for door in self._doors.values():
            total.update(door.counters())
        return total

    def local_of(self, number: int) -> tuple[str, int] | None:
        """Address and port of one of them."""
        return next((door.local[:2] for door in self._doors.values() if door.number == number), None)

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
            self._close(key)
        for name, address in fresh:
            self._open(name, address)
        if gone or fresh:
            self._changed()

    def close(self) -> None:
        """Let every socket go."""
        for key in list(self._doors):
            self._close(key)

    def _open(self, name: str, address: str) -> None:
        taken = any(door.local[1] == self._port for door in self._doors.values())
        door = UdpDoor(
            self._reactor,
            self._next,
            self._pump.from_door,
            host=address,
            port=0 if taken else self._port,
            device=name,
        )
        try:
            door.open()
        except HostError as problem:
            self._log.warn("no direct ways over {uplink}: {problem}", uplink=name, problem=str(problem))
            return
        self._next += 1
        door.too_big = self._too_big
        self._doors[name, address] = door
        self._pump.doors[door.number] = door
        self._pump.tunnel.carriers[door.number] = Carrier(DIRECT, name)

    def _close(self, key: tuple[str, str]) -> None:
        door = self._doors.pop(key)
        self._pump.doors.pop(door.number, None)
        self._pump.tunnel.carriers.pop(door.number, None)
        door.close()

    def _too_big(self, departure: Departure) -> None:
        """The device takes no datagram of that size: the path must not be given another."""
        for session in self._pump.tunnel.sessions.values():
            for path in session.paths.values():
                if (path.door, path.remote) == (departure.door, departure.to) and path.state is not State.CLOSED:
                    path.mtu.refused(departure.size, self._pump.now())


def _global(addresses: Sequence[str]) -> list[str]:
    return [each for each in addresses if is_reachable(ipaddress.ip_address(each))]
