"""UDP at a coordinator: homes, and whoever asks for its address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from morphnet.legacy.homechannel.datagrams import is_from_server
from morphnet.net.legacy_udp import FragmentingDoor
from morphnet.net.listen import dispensable, opens
from morphnet.net.udp import UdpDoor
from morphnet.rendezvous.home.registry import Registry
from morphnet.roles.coordinator.homechannel import HomeChannel
from morphnet.wire import stun
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.messages.home.datagrams import is_ours

_ANY = ("", "0.0.0.0", "::")  # all addresses of the machine; which one was meant the kernel tells


class HomeDoors:
    """One door for each address that is served. What is answered leaves by the door that was asked."""

    def __init__(
        self, reactor: Any, hosts: Sequence[str], port: int, registry: Registry, old: HomeChannel | None = None
    ) -> None:
        """
        :param old: takes what servers of the original HomeChannel send.
        :raises HostError: the machine refuses an address or the port.
        """
        self._registry, self._old = registry, old
        self._doors: dict[int, UdpDoor] = {}
        self._bound: dict[str, int] = {}  # doors of one address, by that
        self._hosts: dict[int, str] = {}  # and the other way round
        self._ways: dict[bool, int] = {}  # by which door IPv6 goes out, and IPv4, where it is no such address
        self.counts: Counter[str] = Counter()
        registry.send = self._send
        if old is not None:
            old.servers.send = self._send
        make = UdpDoor if old is None else FragmentingDoor  # an offer of theirs is longer than a packet
        for number, host in enumerate(hosts):
            door = make(reactor, number, partial(self._received, number), host=host, port=port)
            if opens(door, optional=dispensable(host, hosts)):
                self._doors[number] = door
                self._ways.setdefault(":" in host, number)
                if host not in _ANY:
                    self._bound[host], self._hosts[number] = number, host

    def _received(self, number: int, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            for at in range(0, len(arrival.data), arrival.size):
                self._take(number, arrival.source, bytes(arrival.data[at : at + arrival.size]))

    def _take(self, number: int, source: Endpoint, datagram: bytes) -> None:
        place = source._replace(local=self._hosts.get(number, source.local))
        if is_ours(datagram):
            self._registry.received(place, datagram)
        elif (answer := stun.answer(datagram, source.host, source.port)) is not None:
            self.counts["stun_answers"] += 1
            self._doors[number].send([Departure(number, source, answer, len(answer))])
        elif self._old is not None and is_from_server(datagram):
            self._old.received(place, datagram)
        else:
            self.counts["stranger"] += 1

    def _send(self, where: Endpoint, datagram: bytes) -> None:
        number = self._bound.get(where.local, self._ways.get(":" in where.host))
        if number is not None:
            self._doors[number].send([Departure(number, where, datagram, len(datagram))])

    def counters(self) -> dict[str, int]:
        """All of them."""
        total = self.counts.copy()
        for door in self._doors.values():
            total.update(door.counters())
        return total

    def close(self) -> None:
        """No more of it."""
        for door in self._doors.values():
            door.close()
