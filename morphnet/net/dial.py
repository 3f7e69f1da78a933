"""
Reaching a server by name: looked up anew each time, every address of it tried from every one of ours, the first that
answers wins.

Source: RFC 8305, "happy eyeballs", without its sorting: the resolver has sorted already.
"""

from __future__ import annotations

import os
import typing
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
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
    IAddress,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.net.ondevice import OnDevice, Source
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
    resolver: IHostnameResolver | None = None  # None is the reactor's
    on_device: Callable[[typing.Any, str], typing.Any] = OnDevice  # the reactor's TCP on one device


def phrase_of(failure: Failure) -> str:
    """Why a call failed, in a few words."""
    for kind, words in _PHRASES:
        if failure.check(kind):
            return words
    if isinstance(failure.value, ConnectError) and failure.value.osError:
        return os.strerror(failure.value.osError).lower()
    return failure.getErrorMessage().strip(".")


@implementer(IResolutionReceiver)
class _Lookup:
    """Collects addresses; tells them when there are no more."""

    def __init__(self, done: Callable[[list[str]], None]) -> None:
        self._hosts: list[str] = []
        self._done = done

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to remember: a lookup in a thread cannot be cancelled."""

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address) and address.host not in self._hosts:
            self._hosts.append(address.host)

    def resolutionComplete(self) -> None:
        self._done(self._hosts)


def _ways(host: str, sources: Sequence[Source]) -> list[tuple[str, Source]]:
    """Each way to call `host`: from a source of its family, or from anywhere if we have none at all."""
    if not sources:
        return [(host, Source("", ""))]
    return [(host, source) for source in sources if is_address4(source.address) == is_address4(host)]


class _Race:
    """
    One attempt: several addresses on both sides, the first TCP connection wins.

    An uplink that swallows everything costs a STAGGER and no more; figure A5.
    """

    def __init__(self, net: Net, sources: Sequence[Source], call: Callable[[str, Source], Deferred[IProtocol]]) -> None:
        """:param call: called with an address of the server, and where to call it from."""
        self._net, self._call = net, call
        self.sources = tuple(sources)
        self._waiting: deque[tuple[str, Source]] = deque()
        self._tried: set[str] = set()
        self._running: list[Deferred[IProtocol]] = []
        self._timer: IDelayedCall | None = None
        self._last = Failure(DNSLookupError())
        self._more_may_come = True
        self.winner = ""
        self.result: Deferred[IProtocol] = Deferred(lambda _: self._stop())

    def add(self, hosts: Sequence[str], *, more: bool) -> None:
        """Try these as well; `more` says whether others may follow."""
        self._more_may_come = more
        for host in hosts:
            if host not in self._tried and len(self._tried) < _MOST_ADDRESSES:
                self._tried.add(host)
                self._waiting.extend(ways := _ways(host, self.sources))
                if not ways:
                    self._last = Failure(NoRouteError())
        if self._timer is None:
            self._next()

    def _next(self) -> None:
        self._timer = None
        if self.result.called:
            return
        if self._waiting:
            host, source = self._waiting.popleft()
            self._timer = self._net.callLater(STAGGER, self._next)
            calling = self._call(host, source)
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
        self._waiting.clear()
        self._more_may_come = True  # nothing more is told by `_next`
        for calling in list(self._running):
            calling.cancel()


class Dial:
    """Calls one destination, again and again."""

    def __init__(self, net: Net, destination: Destination, timeout: float = 10.0) -> None:
        self._net, self._to, self._timeout = net, destination, timeout
        self._race: _Race | None = None
        self._lookups = 0
        self._known: list[str] = []  # what the last lookup found, the address that worked last in front

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Call now; may be cancelled. One call at a time.

        Fires with the protocol that `factory` built for the connection that won; fails as the last address failed.
        """
        race = self._race = _Race(self._net, self._to.sources(), lambda host, source: self._call(host, source, factory))
        if is_address(self._to.host):
            race.add([self._to.host], more=False)
        else:
            patience = self._net.callLater(PATIENCE, self._without_lookup, race)
            race.result.addBoth(self._decided, race, patience)
            self._look_up()
        return race.result

    def _decided(self, result: IProtocol | Failure, race: _Race, patience: IDelayedCall) -> IProtocol | Failure:
        if patience.active():
            patience.cancel()
        if race.winner:
            self._known = [race.winner, *(host for host in self._known if host != race.winner)]
        return result

    def _without_lookup(self, race: _Race) -> None:
        """
        The resolver is slow: go on with the address that worked last.

        It may only be reachable through the very tunnel that waits for this call.
        """
        if self._known:
            race.add(self._known[:1], more=True)

    def _look_up(self) -> None:
        if self._lookups >= _MOST_LOOKUPS:
            return  # one of those under way will tell
        self._lookups += 1
        kinds = None
        if self._race is not None and self._race.sources:
            fours = {is_address4(each.address) for each in self._race.sources}
            kinds = [kind for four, kind in ((True, IPv4Address), (False, IPv6Address)) if four in fours]
        resolver = self._to.resolver or self._net.nameResolver
        resolver.resolveHostName(
            cast(IResolutionReceiver, _Lookup(self._found)), self._to.host, self._to.port, kinds, "TCP"
        )

    def _found(self, hosts: list[str]) -> None:
        self._lookups -= 1
        race = self._race
        if hosts:
            worked = [host for host in self._known[:1] if host in hosts]
            self._known = [*worked, *(host for host in hosts if host not in worked)]
        if race is not None and not race.result.called:
            race.add(hosts or self._known, more=False)  # no hosts: the resolver is out of order

    def _call(self, host: str, source: Source, factory: IProtocolFactory) -> Deferred[IProtocol]:
        net = self._to.on_device(self._net, source.device) if source.device else self._net
        bind = (source.address, 0) if source.address else None
        kind = TCP4ClientEndpoint if is_address4(host) else TCP6ClientEndpoint
        return cast(
            "Deferred[IProtocol]",
            kind(net, host, self._to.port, timeout=self._timeout, bindAddress=bind).connect(factory),
        )
