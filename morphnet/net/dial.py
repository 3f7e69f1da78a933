"""
Reaching a server by name: looked up anew each time, every address of it tried from every one of ours, the first that
proves to be the server wins.

To connect proves nothing: what answers may be a captive portal, and the address a lie of its resolver. So a call lasts
until the other end has proved who it is, and addresses that one uplink told of never stand in the way of what another
told. Source: RFC 8305, "happy eyeballs", without its sorting: the resolver has sorted already.
"""

from __future__ import annotations

import os
import typing
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionRefusedError,
    DNSLookupError,
    NoRouteError,
    TCPTimedOutError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IDelayedCall,
    IHostnameResolver,
    IProtocol,
    IProtocolFactory,
)
from twisted.python.failure import Failure

from morphnet.net.lookup import MachineNames, Names
from morphnet.net.ondevice import OnDevice, Source
from morphnet.net.proof import NotProven
from morphnet.wire.fields import is_address, is_address4

STAGGER = 0.25  # seconds between the starts of two attempts, RFC 8305 section 5
PATIENCE = 0.25  # seconds for the lookup before the address that worked last is tried
_MOST_ADDRESSES = 8
_MOST_LOOKUPS = 3  # each holds a thread until the resolver gives up

_PHRASES: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (TCPTimedOutError, "no answer"),
    (TimeoutError, "no answer"),
    (NoRouteError, "no route"),
    (ConnectBindError, "the address to call from is not ours"),
    (DNSLookupError, "name has no address"),
)


class Net(typing.Protocol):
    """The reactor, as far as a call needs it: IReactorTime, IReactorTCP, IReactorPluggableNameResolver."""

    nameResolver: IHostnameResolver

    def seconds(self) -> float: ...
    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> IDelayedCall: ...


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom to call, and from where."""

    host: str  # name or numeric address
    port: int
    sources: Callable[[], Sequence[Source]] = tuple  # where to call from; none: the kernel chooses
    names: Names | None = None  # None: what the reactor's resolver knows
    on_device: Callable[[typing.Any, str], typing.Any] = OnDevice  # the reactor's TCP on one device
    # Told by which device somebody has answered: whether with proof, or one who has nothing to do with our network.
    answered: Callable[[str, bool], None] = lambda device, proven: None


Proof = Callable[[IProtocol], Deferred[IProtocol]]
"""What makes sure of a connection."""


def phrase_of(failure: Failure) -> str:
    """Why a call failed, in a few words."""
    for kind, words in _PHRASES:
        if failure.check(kind):
            return words
    if isinstance(failure.value, ConnectError) and failure.value.osError:
        return os.strerror(failure.value.osError).lower()
    return failure.getErrorMessage().strip(".")


class _Way:
    """What is to be called from one of our addresses."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.own, self.others = deque[str](), deque[str]()  # addresses told by this uplink, and by others alone
        self._seen: dict[str, bool] = {}  # whether it was told by this uplink

    def add(self, host: str, device: str) -> bool:
        """Try this as well, which `device` has told; False if it cannot be called from here."""
        if self.source.address and is_address4(self.source.address) != is_address4(host):
            return False
        own = device in ("", self.source.device)
        if host not in self._seen and list(self._seen.values()).count(own) < _MOST_ADDRESSES:
            self._seen[host] = own
            (self.own if own else self.others).append(host)
        elif own and host in self.others:
            self.others.remove(host)
            self.own.append(host)
            self._seen[host] = True
        return True


class _Race:
    """
    One attempt: several addresses on both sides, the first that proves to be the server wins.

    An uplink that swallows everything costs a STAGGER and no more; figure A5.
    """

    def __init__(self, net: Net, sources: Sequence[Source], call: Callable[[str, Source], Deferred[IProtocol]]) -> None:
        """:param call: called with an address of the server, and where to call it from."""
        self._net, self._call, self.sources = net, call, tuple(sources)
        self._ways = deque(_Way(source) for source in sources or (Source("", ""),))
        self._running: list[Deferred[IProtocol]] = []
        self._timer: IDelayedCall | None = None
        self._last = Failure(DNSLookupError())
        self._more_may_come = True
        self.winner = ""
        self.result: Deferred[IProtocol] = Deferred(lambda _: self._stop())

    def add(self, hosts: Sequence[str], device: str) -> None:
        """Try these as well, which `device` has told; "" stands for all."""
        for host in hosts:
            if not [way for way in self._ways if way.add(host, device)]:
                self._last = Failure(NoRouteError())
        if self._timer is None:
            self._next()

    def complete(self) -> None:
        """No others follow."""
        self._more_may_come = False
        if self._timer is None:
            self._next()

    def _next(self) -> None:
        self._timer = None
        if self.result.called:
            return
        waiting = [way for way in self._ways if way.own] or [way for way in self._ways if way.others]
        if waiting:
            way = waiting[0]
            self._ways.remove(way)
            self._ways.append(way)  # the others have their turns first
            host = (way.own or way.others).popleft()
            self._timer = self._net.callLater(STAGGER, self._next)
            calling = self._call(host, way.source)
            self._running.append(calling)
            calling.addBoth(self._answered, host, calling)
        elif not self._running and not self._more_may_come:
            self.result.errback(self._last)

    def _answered(self, answer: IProtocol | Failure, host: str, calling: Deferred[IProtocol]) -> None:
        self._running.remove(calling)
        if self.result.called:
            return
        if isinstance(answer, Failure):
            self._last = answer
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            self._next()
            return
        self.winner = host
        self._stop()
        self.result.callback(answer)

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for way in self._ways:
            way.own.clear()
            way.others.clear()
        self._more_may_come = True  # nothing more is told by `_next`
        for calling in list(self._running):
            calling.cancel()


class Dial:
    """Calls one destination, again and again."""

    def __init__(self, net: Net, destination: Destination, timeout: float = 10.0) -> None:
        self._net, self._to, self._timeout = net, destination, timeout
        self._race: _Race | None = None
        self._lookups = 0
        self._untold: set[str] = set()  # uplinks by which no resolver has spoken since the call began
        self._known: dict[str, list[str]] = {}  # what resolvers said last, by device; "" is any
        self._worked = ""  # the address that worked last

    def connect(self, factory: IProtocolFactory, proof: Proof = succeed) -> Deferred[IProtocol]:
        """
        Call now; may be cancelled. One call at a time.

        Fires with what `proof` makes of the connection that won; fails as the last address failed.

        :param proof: takes a protocol of `factory`, connected; the call is won when it fires. Cancelled, it hangs up.
        """
        sources = self._to.sources()

        def call(host: str, source: Source) -> Deferred[IProtocol]:
            calling = self._call(host, source, factory).addCallback(proof)
            return calling.addCallbacks(partial(self._proven, source.device), partial(self._failed, source.device))

        race = self._race = _Race(self._net, sources, call)
        if is_address(self._to.host):
            race.add([self._to.host], "")
            race.complete()
        else:
            patience = self._net.callLater(PATIENCE, self._patience_ended, race)
            race.result.addBoth(self._decided, race, patience)
            self._untold = {each.device for each in sources}
            self._look_up(race)
        return race.result

    def _proven(self, device: str, protocol: IProtocol) -> IProtocol:
        self._to.answered(device, True)
        return protocol

    def _failed(self, device: str, failure: Failure) -> Failure:
        if isinstance(failure.value, NotProven) and failure.value.stranger:
            self._to.answered(device, False)
        return failure

    def _decided(self, result: IProtocol | Failure, race: _Race, patience: IDelayedCall) -> IProtocol | Failure:
        if patience.active():
            patience.cancel()
        self._worked = race.winner or self._worked
        return result

    def _patience_ended(self, race: _Race) -> None:
        """
        The resolver of an uplink is slow: go on with what it said before, the address that worked last in front.

        It may only be reachable through the very tunnel that waits for this call. What the slow one says later is for
        the next call, unless nobody has said anything.
        """
        any_told = self._untold != {each.device for each in race.sources}
        self._add_known(race, self._untold)
        if any_told and self._known:
            race.complete()

    def _add_known(self, race: _Race, devices: Iterable[str]) -> None:
        """Try the address that worked last, and what was told by these devices before."""
        if self._worked:
            race.add([self._worked], "")
        for device in devices:
            race.add(self._known.get(device, ()), device)

    def _look_up(self, race: _Race) -> None:
        if self._lookups >= _MOST_LOOKUPS:  # one of those under way will tell, or has told what it will
            if self._known:
                self._add_known(race, self._known)
                race.complete()
            return
        self._lookups += 1
        fours = {is_address4(each.address) for each in race.sources if each.address} or {True, False}
        kinds = [kind for four, kind in ((True, IPv4Address), (False, IPv6Address)) if four in fours]
        names = self._to.names or MachineNames(self._net.nameResolver)
        heard = set[str]()

        def found(hosts: list[str], device: str) -> None:
            if hosts:
                before = self._known.get(device, []) if device in heard else []
                self._known[device] = list(dict.fromkeys([*before, *hosts]))
                heard.add(device)
            self._found(hosts, device)

        names.look_up(self._to.host, kinds, found, lambda: self._looked_up(race, heard))

    def _found(self, hosts: list[str], device: str) -> None:
        race = self._race
        if race is None or race.result.called:
            return
        race.add(hosts, device)
        self._untold.discard(device)
        if hosts and (not device or not self._untold):
            race.complete()

    def _looked_up(self, begun_for: _Race, heard: set[str]) -> None:
        """One lookup has ended; another may be under way for the call of now."""
        self._lookups -= 1
        race = self._race
        if race is None or race.result.called or (race is not begun_for and self._lookups):
            return
        if not heard:
            self._add_known(race, self._known)  # the resolvers are out of order
        race.complete()

    def _call(self, host: str, source: Source, factory: IProtocolFactory) -> Deferred[IProtocol]:
        net = self._to.on_device(self._net, source.device) if source.device else self._net
        bind = (source.address, 0) if source.address else None
        kind = TCP4ClientEndpoint if is_address4(host) else TCP6ClientEndpoint
        return cast(
            "Deferred[IProtocol]",
            kind(net, host, self._to.port, timeout=self._timeout, bindAddress=bind).connect(factory),
        )
