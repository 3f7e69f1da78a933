"""
The server's name, looked up past the tunnel.

The machine's resolver may have been pointed into the tunnel, which waits for this very lookup. So /etc/hosts is read,
and then the DNS servers are asked that the machine has without us, by each uplink. Only when none of them knows the
name is the machine's own resolver asked.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList
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
from twisted.names import dns
from twisted.names.error import DNSQueryTimeoutError
from twisted.names.hosts import searchFileForAll
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from zope.interface import implementer

from morphnet.net.ondevice import OnDevice, Source
from morphnet.wire.fields import is_address4

HOSTS = "/etc/hosts"
PATIENCE = (1.0, 2.0)  # seconds for the first question, and for the second when an answer is missing
MOST_SERVERS, MOST_SOURCES = 4, 4
_KINDS = {dns.A: IPv4Address, dns.AAAA: IPv6Address}


class UdpNet(Protocol):
    """The reactor, as far as questions need it: IReactorTime and IReactorUDP."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> IDelayedCall: ...
    def listenUDP(self, port: int, protocol: DatagramProtocol, interface: str = "") -> IListeningPort: ...


class _Nobody:
    """Who is told of answers that nobody waits for."""

    def messageReceived(self, *_: object) -> None:
        """Too late, or not for us."""


@implementer(IHostResolution)
class _Underway:
    """One lookup; it ends by itself after PATIENCE."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It is let run."""


@implementer(IHostnameResolver)
class UplinkResolver:
    """
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
        self._machine, self._hosts = machine, hosts

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Tell the receiver each address of the name (IHostnameResolver)."""
        underway = _Underway(hostName)
        types = [kind for kind, address in _KINDS.items() if addressTypes is None or address in addressTypes]

        def found(hosts: list[str]) -> None:
            resolutionReceiver.resolutionBegan(underway)
            for host in hosts:
                kind = IPv4Address if is_address4(host) else IPv6Address
                resolutionReceiver.addressResolved(kind("TCP", host, portNumber))
            resolutionReceiver.resolutionComplete()

        def nothing(_: Failure) -> None:
            self._machine.resolveHostName(resolutionReceiver, hostName, portNumber, addressTypes, transportSemantics)

        Deferred.fromCoroutine(self._find(hostName, types)).addCallbacks(found, nothing)
        return underway

    async def _find(self, name: str, types: Sequence[int]) -> list[str]:
        """:raises DNSLookupError: nobody knows an address."""
        try:
            wire_name = name.encode("idna")
        except UnicodeError:
            raise DNSLookupError(name) from None
        kinds = [is_four for is_four, kind in ((True, dns.A), (False, dns.AAAA)) if kind in types]
        written = [host for host in searchFileForAll(FilePath(self._hosts), wire_name) if is_address4(host) in kinds]
        if written:
            return written
        asked = [
            Deferred.fromCoroutine(self._ask(server, source, wire_name, types)) for server, source in self._pairs()
        ]
        if not asked:
            raise DNSLookupError(name)
        answer = await DeferredList(asked, fireOnOneCallback=True, consumeErrors=True)
        for each in asked:
            each.cancel()
        if not isinstance(answer, tuple):  # a list of failures
            raise DNSLookupError(name)
        return answer[0]

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
    found: list[str] = []
    for record in message.answers:
        if record.type in types and isinstance(record.payload, dns.Record_A):
            found.append(record.payload.dottedQuad())
        elif record.type in types and isinstance(record.payload, dns.Record_AAAA):
            found.append(socket.inet_ntop(socket.AF_INET6, record.payload.address))
    return found
