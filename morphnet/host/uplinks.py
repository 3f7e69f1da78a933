"""
The uplinks of this machine: found by asking the kernel, followed by listening to it.

An uplink is a device with a default route in the main table, or one that the configuration names and that has an
address. The loopback, our own TUN, bridges of containers and tunnels that lead nowhere have neither. A device whose
default route is in a table of its own leads out too; who asked it is answered by it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from errno import ENOBUFS
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import HostError
from morphnet.host.facts import (
    IFF_LOOPBACK,
    MAIN,
    AddressFact,
    Facts,
    LinkFact,
    RouteFact,
    concerns_networks,
    concerns_uplinks,
    loses_routes,
    read_facts,
)
from morphnet.host.netlink import NETLINK_ROUTE, messages

QUIET = 0.03  # seconds without an event before a look
LONGEST_WAIT = 0.2  # seconds from the first event to a look
READS_AT_ONCE = 16  # datagrams before other descriptors have their turn
# Links; addresses, routes and rules of both families; RTNLGRP_IPV4_NETCONF and RTNLGRP_IPV6_NETCONF.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000 | 1 << 23 | 1 << 24


@dataclass(frozen=True, slots=True)
class Uplink:
    """One way out of this machine."""

    name: str
    index: int
    up: bool  # switched on, and with carrier
    addresses4: tuple[str, ...]  # the one that its default route is sent from first, as far as we know
    addresses6: tuple[str, ...]  # global and usable; likewise
    gateway4: str | None  # "" if its default route needs none; None if it has no default route
    gateway6: str | None
    mtu: int  # bytes
    metric: int  # of its default route, the lower of both families; less is better


def uplinks_of(facts: Facts, chosen: Sequence[str] = (), excluded: Collection[str] = ()) -> list[Uplink]:
    """
    Put the facts together.

    :param chosen: use these devices and no others, in this order, whatever table their default route is in; empty for
        every device with a default route in the main table, the one with the lowest metric first.
    :param excluded: never these.
    """
    best = _ways_out(facts.routes)
    main = {(each.index, each.family) for each in facts.routes if each.is_way_out and each.table == MAIN}
    found = []
    for link in facts.links:
        if link.name in excluded or (chosen and link.name not in chosen):
            continue
        if chosen or {(link.index, 4), (link.index, 6)} & main:
            found.append(link)
    named = list(chosen)
    uplinks = _uplinks(found, facts.addresses, best)
    return sorted(uplinks, key=lambda each: (named.index(each.name) if named else 0, each.metric, each.index))


def providers_of(facts: Facts, named: Collection[str], ours: Collection[str]) -> list[Uplink]:
    """
    Every device that leads out of this machine: by a default route in whatever table, or as an uplink of ours.

    :param named: the uplinks in use.
    :param ours: our own devices.
    """
    best = _ways_out(facts.routes)
    leading = {index for index, _ in best}
    links = [each for each in facts.links if each.name not in ours and (each.index in leading or each.name in named)]
    return _uplinks(links, facts.addresses, best)


def _ways_out(routes: Iterable[RouteFact]) -> dict[tuple[int, int], RouteFact]:
    """The best default route of each device and family: one in the main table first, then the lowest metric."""
    best = dict[tuple[int, int], RouteFact]()
    for route in sorted(routes, key=lambda each: (each.table != MAIN, each.metric, each.table), reverse=True):
        if route.is_way_out:
            best[route.index, route.family] = route
    return best


def _uplinks(
    links: Iterable[LinkFact], addresses: Iterable[AddressFact], best: Mapping[tuple[int, int], RouteFact]
) -> list[Uplink]:
    """Those of the devices that have an address to send from."""
    ranked = sorted(addresses, key=lambda each: _rank(each, best))
    uplinks = []
    for link in links:
        own = [each.address for each in ranked if each.index == link.index]
        if own and not link.flags & IFF_LOOPBACK:
            uplinks.append(_uplink(link, own, best.get((link.index, 4)), best.get((link.index, 6))))
    return uplinks


def _rank(address: AddressFact, routes: Mapping[tuple[int, int], RouteFact]) -> tuple[bool, int, bool]:
    """
    The order of what the kernel would send from: what the default route names; then the first address that is not
    secondary, of those in the router's own network if there is one. Source: inet_select_addr in net/ipv4/devinet.c.
    """
    route = routes.get((address.index, 6 if ":" in address.address else 4))
    if route is None:
        return True, address.rank, True
    network = ipaddress.ip_network(f"{address.address}/{address.length}", strict=False)
    beside = bool(route.gateway) and address.length > 0 and ipaddress.ip_address(route.gateway) in network
    return route.source != address.address, address.rank, not beside


def _uplink(link: LinkFact, own: Sequence[str], route4: RouteFact | None, route6: RouteFact | None) -> Uplink:
    return Uplink(
        name=link.name,
        index=link.index,
        up=link.up,
        addresses4=tuple(each for each in own if ":" not in each),
        addresses6=tuple(each for each in own if ":" in each),
        gateway4=route4.gateway if route4 else None,
        gateway6=route6.gateway if route6 else None,
        mtu=link.mtu,
        metric=min((each.metric for each in (route4, route6) if each), default=0),
    )


def is_there(device: str) -> bool:
    """Whether there is a device of that name."""
    try:
        socket.if_nametoindex(device)
    except OSError:
        return False
    return True


class UplinkScan:
    """
    Asks the kernel for the uplinks as they are now; 0.3 ms with a handful of devices.

    :param chosen: see `uplinks_of`; likewise `excluded`.
    """

    def __init__(self, chosen: Sequence[str] = (), excluded: Collection[str] = ()) -> None:
        self._chosen, self._excluded = tuple(chosen), frozenset(excluded)

    def __call__(self) -> list[Uplink]:
        """:raises HostError: the kernel does not answer."""
        try:
            return uplinks_of(read_facts(), self._chosen, self._excluded)
        except OSError as error:
            raise HostError(f"the kernel does not tell its network devices: {error.strerror}") from error


def served_addresses(scan: Callable[[], Sequence[Uplink]], bound: Sequence[str]) -> list[str]:
    """
    Our addresses that others may reach sockets at: for one that is bound to every address, those of the uplinks.

    :param bound: the numeric addresses that they are bound to.
    """
    found = [each for each in bound if each not in ("0.0.0.0", "::")]
    for uplink in scan() if len(found) < len(bound) else ():
        found += uplink.addresses4 if "0.0.0.0" in bound else ()
        found += uplink.addresses6 if "::" in bound else ()
    return list(dict.fromkeys(found))


class WatchReactor(Protocol):
    """What a watch needs of a reactor: parts of IReactorFDSet and IReactorTime."""

    def addReader(self, reader: IReadDescriptor) -> None:
        """Call its `doRead` when there is something to read."""
        ...

    def removeReader(self, reader: IReadDescriptor) -> None:
        """No longer."""
        ...

    def callLater(self, delay: float, callable: Callable[..., object]) -> IDelayedCall:
        """Call later."""
        ...

    def seconds(self) -> float:
        """The clock."""
        ...


class EventSocket(Protocol):
    """A socket that hears of network changes, without blocking."""

    def fileno(self) -> int:
        """Its file descriptor."""
        ...

    def recv(self, size: int) -> bytes:
        """One datagram of messages; OSError ENOBUFS when some were lost, BlockingIOError when there is none."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


def event_socket() -> EventSocket:
    """
    Links, addresses and routes of both families.

    :raises HostError: the kernel gives none.
    """
    try:
        hearing = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        hearing.setblocking(False)
        hearing.bind((0, _GROUPS))
    except OSError as error:
        raise HostError(f"cannot listen to network changes: {error.strerror}") from error
    return hearing


@implementer(IReadDescriptor)
class UplinkWatch:
    """
    Follows the uplinks: calls `changed` with all of them at the start, and whenever something about them differs.

    It is called as well when nothing differs but a link was down or an address gone for a moment: the kernel has
    dropped the routes by then, and `Host.set_uplinks` puts them back.

    :param reactor: IReactorFDSet and IReactorTime.
    :param scan: answers with the uplinks as they are now, see `UplinkScan`.
    """

    networks_changed: Callable[[], None] | None = None
    """Called when routes came or went that are no ways out, and nothing differs about the uplinks."""

    _log = Logger()

    def __init__(
        self,
        reactor: WatchReactor,
        changed: Callable[[list[Uplink]], None],
        scan: Callable[[], list[Uplink]],
        open_socket: Callable[[], EventSocket] = event_socket,
    ) -> None:
        self._reactor, self._changed, self._scan, self._open = reactor, changed, scan, open_socket
        self._socket: EventSocket | None = None
        self._pending: IDelayedCall | None = None
        self._deaf: IDelayedCall | None = None  # while there is no socket: when one is asked for again
        self._first_event_at = 0.0  # the reactor's clock, seconds
        self._routes_lost = self._networks_differ = False
        self.uplinks: list[Uplink] = []
        self.overruns = 0  # times the kernel had more to say than its buffer held

    def start(self) -> None:
        """
        Listen, then look; in this order nothing is missed.

        :raises HostError: the kernel gives no socket or no answer.
        """
        self._socket = self._open()
        self._reactor.addReader(self)
        self.uplinks = self._scan()
        self._changed(self.uplinks)

    def stop(self) -> None:
        """No call of `changed` after this."""
        for timer in (self._pending, self._deaf):
            if timer is not None:
                timer.cancel()
        self._pending = self._deaf = None
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._socket.close()
            self._socket = None

    def look(self) -> None:
        """Scan now, and tell if something differs."""
        self._pending = None
        try:
            found = self._scan()
        except HostError as error:
            self._log.warn("uplinks unknown: {reason}", reason=str(error))
            self._pending = self._reactor.callLater(LONGEST_WAIT, self.look)
            return
        differs, self._routes_lost = found != self.uplinks or self._routes_lost, False
        networks, self._networks_differ = self._networks_differ, False
        if differs:
            self.uplinks = found
            self._changed(found)
        elif networks and self.networks_changed is not None:
            self.networks_changed()

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        return "uplinks"

    def doRead(self) -> None:
        for _ in range(READS_AT_ONCE):
            if self._socket is None:
                return
            try:
                events = list(messages(self._socket.recv(1 << 16)))
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise
                self.overruns += 1
                self._routes_lost = True
                self._look_soon()
                continue
            for kind, _, payload in events:
                self._routes_lost |= loses_routes(kind, payload)
                networks = concerns_networks(kind, payload)
                self._networks_differ |= networks
                if networks or concerns_uplinks(kind, payload):
                    self._look_soon()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gave us up, for an error that waited on the socket: hear on another one, and look."""
        if self._socket is None:
            return
        self._socket.close()
        self._socket = None
        self._hear_again()

    def _hear_again(self, *, told: bool = False) -> None:
        self._deaf = None
        try:
            self._socket = self._open()
        except HostError as error:
            if not told:
                self._log.error("changes of the uplinks are not heard of for now: {reason}", reason=str(error))
            self._deaf = self._reactor.callLater(LONGEST_WAIT, lambda: self._hear_again(told=True))
            return
        self._reactor.addReader(self)
        self.overruns += 1
        self._routes_lost = True
        self._look_soon()

    def _look_soon(self) -> None:
        """A burst is one change: wait for its end, but not for ever."""
        now = self._reactor.seconds()
        if self._pending is None:
            self._first_event_at = now
            self._pending = self._reactor.callLater(QUIET, self.look)
        else:
            self._pending.reset(max(0.0, min(QUIET, self._first_event_at + LONGEST_WAIT - now)))
