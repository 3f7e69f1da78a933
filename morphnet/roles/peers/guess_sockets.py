"""Many sockets for a moment: for a peer to hit one of them, where our router gives each destination another port."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import Logger

from morphnet.errors import HostError
from morphnet.host.uplinks import Uplink
from morphnet.net.pump import Pump
from morphnet.net.udp import UdpDoor
from morphnet.traversal.port_guess import SOCKETS
from morphnet.tunnel.carrier import DIRECT, Carrier


class GuessSockets:
    """
    The sockets that the searches under way share, and those of them that have become paths.

    :param in_use: numbers of the doors that paths need.
    :param door: makes a socket.
    """

    _log = Logger()

    def __init__(
        self, reactor: IReactorFDSet, pump: Pump, in_use: Callable[[], set[int]], door: type[UdpDoor] = UdpDoor
    ) -> None:
        self._reactor, self._pump, self._in_use, self._door = reactor, pump, in_use, door
        self._doors: dict[int, UdpDoor] = {}
        self._fresh: list[int] = []  # numbers of those that searches use now
        self._users: set[str] = set()

    def open(self, user: str, uplink: str, address: str) -> list[int]:
        """Numbers of as many sockets as a volley wants, on that address, until `user` releases them."""
        self._users.add(user)
        if not self._fresh:
            self._fresh = self._open(uplink, address)
        return self._fresh

    def _open(self, uplink: str, address: str) -> list[int]:
        opened: list[int] = []
        for _ in range(SOCKETS):
            door = self._door(self._reactor, self._pump.new_number(), self._pump.from_door, host=address, device=uplink)
            try:
                door.open()
            except HostError as problem:  # no more files, most likely: what there is may do
                self._log.warn("fewer sockets than wanted: {problem}", problem=str(problem))
                break
            opened.append(door.number)
            self._doors[door.number] = door
            self._pump.attach(door, Carrier(DIRECT, uplink))
        return opened

    def release(self, user: str) -> None:
        """That search is over: with the last one those are closed that no path needs."""
        self._users.discard(user)
        if self._users:
            return
        self._fresh, needed = [], self._in_use()
        for number in [number for number in self._doors if number not in needed]:
            self._close(number)

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """Close those whose address is gone."""
        here = {address for uplink in uplinks if uplink.up for address in uplink.addresses4}
        for number in [number for number, door in self._doors.items() if door.host not in here]:
            self._close(number)

    def close(self) -> None:
        """Close all."""
        for number in list(self._doors):
            self._close(number)

    def has(self, number: int) -> bool:
        """Whether it is one of these."""
        return number in self._doors

    def local_of(self, number: int) -> tuple[str, int] | None:
        """Address and port of one of them."""
        door = self._doors.get(number)
        return door.local[:2] if door is not None else None

    def _close(self, number: int) -> None:
        door = self._doors.pop(number)
        self._pump.detach(number)
        door.close()
