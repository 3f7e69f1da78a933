"""
What asks machines at home for pages: all that comes before the body of an answer has an end. Twisted bounds each line
of it, not how many there are, and keeps them all.

Source: RFC 9110 section 5.4.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

MOST = 256 << 10  # bytes before the body
WITHIN = 10.0  # seconds for a connection


class _Counting(ProtocolWrapper):
    """One connection."""

    _came = 0  # bytes of a head

    def dataReceived(self, data: bytes) -> None:
        wrapped: Any = self.wrappedProtocol
        parser = wrapped._parser  # nothing else tells that a head has ended; None between two answers
        self._came = 0 if parser is None or parser.state not in ("STATUS", "HEADER") else self._came + len(data)
        if self._came > MOST:
            self.abortConnection()
        else:
            super().dataReceived(data)


class _Factory(WrappingFactory[Any]):
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return _Counting(self, self.wrappedFactory.buildProtocol(addr))


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """Connects to the one behind it, and counts."""

    def __init__(self, behind: IStreamClientEndpoint) -> None:
        self._behind = behind

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        connecting: Deferred[Any] = self._behind.connect(_Factory(factory))
        return connecting.addCallback(lambda made: made.wrappedProtocol)


@implementer(IAgentEndpointFactory)
class Endpoints:
    """Where the host and port of a URL are."""

    def __init__(self, reactor: Any) -> None:
        self._reactor, self._tls = reactor, BrowserLikePolicyForHTTPS()

    def endpointForURI(self, uri: URI) -> _Endpoint:
        plain = HostnameEndpoint(self._reactor, uri.host.decode("ascii"), uri.port, timeout=WITHIN)
        if uri.scheme == b"https":
            return _Endpoint(wrapClientTLS(self._tls.creatorForNetloc(uri.host, uri.port), plain))
        return _Endpoint(plain)


def agent_of(reactor: Any) -> IAgent:
    """What asks: keeps its connections for a while, and follows nothing."""
    agent: IAgent = Agent.usingEndpointFactory(reactor, Endpoints(reactor), HTTPConnectionPool(reactor))
    return agent
