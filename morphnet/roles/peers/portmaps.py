"""
Ports at the routers at home that lead to the sockets by which peers reach us: asked for by PCP or NAT-PMP, one for each
IPv4 socket on an uplink with a gateway, given back at the end.

A network where nobody answers costs a dozen small datagrams in the first two minutes, and as many every ten minutes.
"""

from __future__ import annotations

import hmac
import random
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from morphnet.errors import HostError
from morphnet.host.uplinks import Uplink
from morphnet.net.pcp import RouterDoor
from morphnet.rendezvous.mappedport import MappedPort
from morphnet.rendezvous.portmapping import Wish
from morphnet.wire.candidates import MAPPED, Candidate, is_reachable

GIVING_BACK = 2.0  # seconds at most; rendezvous/portmapping gives up after 1.9
NONCE = 12  # bytes


class Inside(NamedTuple):
    """A socket of ours, and the router that it is behind."""

    uplink: str
    host: str
    port: int
    gateway: str


class Sockets(Protocol):
    """`PeerSockets`, as far as it matters here."""

    def sockets(self) -> list[tuple[str, str, int]]:
        """Uplink, address and port of each."""
        ...


class PortMap:
    """One socket's port at its router: a `Router` and a `Listener` of rendezvous/portmapping."""

    def __init__(
        self, reactor: Any, inside: Inside, nonce: bytes, door: type[RouterDoor], changed: Callable[[str], None]
    ) -> None:
        """:param changed: called with a sentence when `outside` has changed."""
        self.inside = inside
        self.outside: tuple[str, int] | None = None  # where what comes is led to us
        self.ended: Deferred[None] = Deferred()
        self._changed = changed
        host, device, gateway = inside.host, inside.uplink, inside.gateway
        self._door = door(reactor, self._received, host=host, device=device, gateway=gateway)
        self._port = MappedPort(self, self, reactor, random.random, Wish(inside.host, inside.port, nonce))

    def start(self) -> None:
        """
        Ask for it.

        :raises HostError: the machine refuses the socket.
        """
        self._door.open()
        self._port.start()

    def network_changed(self) -> None:
        """The router may be another one, or have forgotten us."""
        self._port.network_changed()

    def leave(self) -> None:
        """Give it back; `ended` fires when that is done, or was tried for long enough."""
        self._changed = lambda text: None
        self._port.stop()

    def hush(self) -> None:
        """Say nothing more to the router."""
        self._door.done()

    def _received(self, datagram: bytes) -> None:
        self._port.received(datagram)

    # -- the way to the router -----------------------------------------------------------------------------------------

    def ask(self, request: bytes) -> None:
        """Send it."""
        self._door.ask(request)

    def done(self) -> None:
        """There is nothing more to ask."""
        self._door.done()
        if not self.ended.called:
            self.ended.callback(None)

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def mapped(self, host: str, port: int) -> None:
        """That address outside leads to us now."""
        self.outside = (host, port)
        self._changed(f"the router at {self.inside.gateway} leads its port {port} to us")

    def unmapped(self, reason: str) -> None:
        """None does; most routers never gave any, and that is no news."""
        if self.outside is not None:
            self.outside = None
            self._changed(f"the router at {self.inside.gateway} leads no port to us any more: {reason}")


class PortMaps:
    """
    Kept in step with the sockets and the uplinks.

    :param secret: what only we know, the same after a restart; what a router gave before a crash is ours again then.
    :param changed: called with a sentence when `candidates` has changed.
    """

    _log = Logger()
    door = RouterDoor  # to a router

    def __init__(self, reactor: Any, doors: Sockets, secret: bytes, changed: Callable[[str], None]) -> None:
        self._reactor, self._doors, self._secret, self._changed = reactor, doors, secret, changed
        self._mapped: dict[Inside, PortMap] = {}
        self._leaving: list[PortMap] = []
        self._uplinks: dict[str, Uplink] = {}

    def candidates(self) -> list[Candidate]:
        """Where the sockets that there are now can be reached from outside."""
        there = set(self._doors.sockets())
        return [
            Candidate(MAPPED, *mapped.outside)
            for inside, mapped in self._mapped.items()
            if mapped.outside and inside[:3] in there and is_elsewhere(mapped.outside[0], inside.host)
        ]

    def outside_of(self, host: str, port: int) -> int | None:
        """The router's port that leads to our socket of that address and port; None for none."""
        found = (mapped.outside for inside, mapped in self._mapped.items() if inside[1:3] == (host, port))
        return next((outside[1] for outside in found if outside), None)

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """The machine has these uplinks now, and `PeerSockets` knows it."""
        before, self._uplinks = self._uplinks, {uplink.name: uplink for uplink in uplinks}
        gateways = {uplink.name: uplink.gateway4 for uplink in uplinks if uplink.up}
        wanted = {
            Inside(uplink, host, port, gateway)
            for uplink, host, port in self._doors.sockets()
            if ":" not in host and (gateway := gateways.get(uplink))
        }
        for inside in self._mapped.keys() - wanted:
            self._leave(inside)
        for inside, mapped in self._mapped.items():
            # We are told of uplinks that are as they were when one was away for so short a time that nobody saw it.
            if before == self._uplinks or before.get(inside.uplink) != self._uplinks[inside.uplink]:
                mapped.network_changed()
        for inside in sorted(wanted - self._mapped.keys()):
            self._ask_for(inside)

    def close(self) -> Deferred[None]:
        """Give all of them back; fires when the routers have said yes, or after GIVING_BACK."""
        for inside in list(self._mapped):
            self._leave(inside)
        all_ended = DeferredList([mapped.ended for mapped in self._leaving], consumeErrors=True)
        all_ended.addTimeout(GIVING_BACK, self._reactor, lambda result, timeout: None)
        return all_ended.addCallback(lambda _: None)

    def _ask_for(self, inside: Inside) -> None:
        for leaving in self._leaving:
            if leaving.inside == inside:
                leaving.hush()  # else its giving back would take from us what we ask for now
        nonce = hmac.digest(self._secret, f"mapped {' '.join(map(str, inside))}".encode(), "sha256")[:NONCE]
        mapped = PortMap(self._reactor, inside, nonce, self.door, self._changed)
        try:
            mapped.start()
        except HostError as problem:
            self._log.warn("no port is asked for on {uplink}: {problem}", uplink=inside.uplink, problem=str(problem))
            return
        self._mapped[inside] = mapped

    def _leave(self, inside: Inside) -> None:
        mapped = self._mapped.pop(inside)
        self._leaving.append(mapped)
        mapped.ended.addBoth(lambda _: self._leaving.remove(mapped))
        mapped.leave()


def is_elsewhere(outside: str, inside: str) -> bool:
    """
    Whether the address outside that a router told can be of use to anybody.

    A private one belongs to a router behind another NAT. It is kept all the same: who sits behind that other NAT as
    well, a neighbour at the same carrier or the next flat, gets to us by it and maybe by nothing else, and everybody
    else asks one more address that does not answer. Only one in the very network that we are in is of no use: who is
    there reaches our own address. How long that network's prefix is we do not know here; homes have 24 bits.

    :param outside: IPv4, likewise `inside`, our own.
    """
    address = ip_address(outside)
    if not is_reachable(address):
        return False
    return address.is_global or address not in ip_network(f"{inside}/24", strict=False)
