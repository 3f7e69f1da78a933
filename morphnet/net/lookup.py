"""
The server's name, looked up past the tunnel.

The machine's resolver may have been pointed into the tunnel, which waits for this very lookup. So /etc/hosts is read,
and then the DNS servers are asked that the machine has without us, by each uplink. Only when none of them knows the
name is the machine's own resolver asked.

No answer is better than another: each is told with the uplink that it came by, and who of them is right is found by
calling (`net/dial`).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.error import CannotListenError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IListeningPort,
    IResolutionReceiver,
)
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from zope.interface import implementer

from morphnet.net.ondevice import OnDevice, Source
from morphnet.wire.fields import is_address4

if TYPE_CHECKING:
    from twisted.names import dns  # loaded for who has a name to look up

HOSTS = "/etc/hosts"
PATIENCE = (1.0, 2.0)  # seconds for the first question, and for the second when an answer is missing
MOST_SERVERS, MOST_SOURCES = 4, 4
_A, _AAAA = 1, 28  # kinds of records
_KINDS = {_A: IPv4Address, _AAAA: IPv6Address}

Found = Callable[[list[str], str], None]
"""Hosts, and the device by which this was told; "" where that is not known. No hosts: by it nobody knows any."""


class UdpNet(Protocol):
    """The reactor, as far as questions need it: IReactorTime and IReactorUDP."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> IDelayedCall: ...
    def listenUDP(self, port: int, protocol: DatagramProtocol, interface: str = "") -> IListeningPort: ...


class Names(Protocol):
    """Who knows the addresses of a server's name."""

    def look_up(self, name: str, kinds: Sequence[type[IAddress]], found: Found, done: Callable[[], None]) -> None:
        """
        Ask; `found` is called as answers come, `done` once, after the last.

        :param kinds: IPv4Address, IPv6Address.
        """
        ...


class _Nobody:
    """Who is told of answers that nobody waits for."""

    def messageReceived(self, *_: object) -> None:
        """Too late, or not for us."""


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects what the machine's resolver knows."""

    def __init__(self, found: Found, done: Callable[[], None]) -> None:
        self._hosts: list[str] = []
        self._found, self._done = found, done

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to remember: a lookup in a thread cannot be cancelled."""

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address) and address.host not in self._hosts:
            self._hosts.append(address.host)

    def resolutionComplete(self) -> None:
        self._found(self._hosts, "")
        self._done()


class MachineNames:
    """What the machine's own resolver knows, whichever way it asks."""

    def __init__(self, resolver: IHostnameResolver) -> None:
        self._resolver = resolver

    def look_up(self, name: str, kinds: Sequence[type[IAddress]], found: Found, done: Callable[[], None]) -> None:
        receiver = cast(IResolutionReceiver, _Receiver(found, done))
        self._resolver.resolveHostName(receiver, name, 0, list(kinds), "TCP")


class UplinkNames:
    """
    What is known by each uplink: one that lies, as a captive portal does until somebody has signed in, is one of
    several that are heard.

    :param servers: numeric addresses of the DNS servers to ask; more than MOST_SERVERS are not asked.
    :param sources: where to ask from, best first.
    :param machine: asked when all this brought nothing.
    :param on_device: makes the UDP of one device.
    """

    def __init__(
        self,
        net: UdpNet,
        servers: Callable[[], Sequence[str]],
        sources: Callable[[], Sequence[Source]],
        machine: IHostnameResolver,
        hosts: str = HOSTS,
        on_device: Callable[[Any, str], Any] = OnDevice,
    ) -> None:
        self._net, self._servers, self._sources, self._on_device = net, servers, sources, on_device
        self._machine, self._hosts = MachineNames(machine), hosts

    def look_up(self, name: str, kinds: Sequence[type[IAddress]], found: Found, done: Callable[[], None]) -> None:
        types = [kind for kind, address in _KINDS.items() if address in kinds]
        asking = Deferred.fromCoroutine(self._find(name, types, found))

        def nothing(failure: Failure) -> None:
            failure.trap(DNSLookupError)
            self._machine.look_up(name, kinds, found, done)

        asking.addCallbacks(lambda _: done(), nothing)

    async def _find(self, name: str, types: Sequence[int], found: Found) -> None:
        """:raises DNSLookupError: nobody knows an address."""
        from twisted.names.hosts import searchFileForAll

        try:
            wire_name = name.encode("idna")
        except UnicodeError:
            raise DNSLookupError(name) from None
        fours = [four for four, kind in ((True, _A), (False, _AAAA)) if kind in types]
        written = [host for host in searchFileForAll(FilePath(self._hosts), wire_name) if is_address4(host) in fours]
        if written:
            found(written, "")
            return
        by_device: dict[str, list[Deferred[object]]] = {}
        for server, source in self._pairs():
            asking = self._hear(server, source, wire_name, types, found)
            by_device.setdefault(source.device, []).append(Deferred.fromCoroutine(asking))
        told: list[Deferred[object]] = [
            Deferred.fromCoroutine(self._by(device, asked, found)) for device, asked in by_device.items()
        ]
        if not any(await gatherResults(told)):
            raise DNSLookupError(name)

    async def _by(self, device: str, asked: Sequence[Deferred[object]], found: Found) -> bool:
        """Whether anybody knew an address, of those who are asked by one uplink."""
        known = any(await gatherResults(asked))
        if not known:
            found([], device)
        return known

    async def _hear(self, server: str, source: Source, name: bytes, types: Sequence[int], found: Found) -> bool:
        """What one server says by one uplink; whether it knew an address."""
        try:
            hosts = await self._ask(server, source, name, types)
        except DNSLookupError:
            return False
        found(hosts, source.device)
        return True

    def _pairs(self) -> list[tuple[str, Source]]:
        """Whom to ask, and from where; the kernel chooses for a server on this machine."""
        sources = list(self._sources())[:MOST_SOURCES]
        pairs = []
        for server in list(self._servers())[:MOST_SERVERS]:
            local = ipaddress.ip_address(server).is_loopback
            fitting = [source for source in sources if is_address4(source.address) == is_address4(server)]
            pairs += [(server, source) for source in ([Source("", "")] if local else fitting)]
        return pairs

    async def _ask(self, server: str, source: Source, name: bytes, types: Sequence[int]) -> list[str]:
        """:raises DNSLookupError: it knows no address, or does not answer."""
        from twisted.names import dns
        from twisted.names.error import DNSQueryTimeoutError

        questions = dns.DNSDatagramProtocol(_Nobody(), reactor=self._net)
        questions.noisy = False
        try:
            net = self._on_device(self._net, source.device) if source.device else self._net
            port = net.listenUDP(0, questions, interface=source.address or ("::" if ":" in server else ""))
        except CannotListenError:
            raise DNSLookupError("the address to ask from is not ours") from None
        try:
            for patience in PATIENCE:
                asked = [questions.query((server, 53), [dns.Query(name, kind)], patience) for kind in types]
                answers = await DeferredList(asked, consumeErrors=True)
                hosts = [host for good, message in answers if good for host in _addresses(message, types)]
                if hosts:
                    return hosts
                if not any(isinstance(answer, Failure) and answer.check(DNSQueryTimeoutError) for _, answer in answers):
                    break  # all has been said, or somebody else was faster
            raise DNSLookupError("no address")
        finally:
            for _, timer in questions.liveMessages.values():
                timer.cancel()
            port.stopListening()


def _addresses(message: dns.Message, types: Sequence[int]) -> list[str]:
    """The addresses in an answer, whatever names lead to them."""
    from twisted.names import dns

    found: list[str] = []
    for record in message.answers:
        if record.type in types and isinstance(record.payload, dns.Record_A):
            found.append(record.payload.dottedQuad())
        elif record.type in types and isinstance(record.payload, dns.Record_AAAA):
            found.append(socket.inet_ntop(socket.AF_INET6, record.payload.address))
    return found
