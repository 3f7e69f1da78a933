"""Answers with heads of any length, over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from twisted.web.client import URI, HTTPConnectionPool, ResponseFailed, readBody

from morphnet.roles.home.services import heads
from morphnet.roles.home.services.heads import MOST, Endpoints, agent_of

SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Machine(Protocol):
    """Answers each request with the same."""

    answer: Callable[[], bytes]
    made = 0

    def connectionMade(self) -> None:
        Machine.made += 1

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(type(self).answer())


class HeadTests(TestCase):
    def setUp(self) -> None:
        Machine.made = 0
        pools = list[HTTPConnectionPool]()

        def pool(reactor: Any) -> HTTPConnectionPool:
            pools.append(HTTPConnectionPool(reactor))
            return pools[-1]

        self.patch(heads, "HTTPConnectionPool", pool)
        where: Any = reactor
        port = where.listenTCP(0, Factory.forProtocol(Machine), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/".encode()
        self.agent = agent_of(reactor)
        self.addCleanup(pools[0].closeCachedConnections)

    def ask(self, answer: bytes) -> Deferred[bytes]:
        Machine.answer = staticmethod(lambda: answer)
        return self.agent.request(b"GET", self.url).addCallback(readBody)

    async def test_as_it_should_be(self) -> None:
        """A long head, and a body longer than any head, come; the connection is used again."""
        head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"A%d: %s\r\n" % (each, b"x" * 8000) for each in range(20))
        body = bytes(2 * MOST)
        self.assertEqual(await self.ask(head + b"Content-Length: %d\r\n\r\n" % len(body) + body), body)
        self.assertEqual((await self.ask(SHORT), Machine.made), (b"ok", 1))

    async def test_too_long(self) -> None:
        """One that does not end is cut: many fields, one of many lines, or answers before the answer."""
        begin = b"HTTP/1.1 200 OK\r\n"
        for endless in (
            begin + b"A: b\r\n" * (MOST // 6 + 1),
            begin + b"A: b\r\n" + b" more of it\r\n" * (MOST // 13 + 1),
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * (MOST // 37 + 1),
        ):
            answered = self.ask(endless)  # the machine leaves it open: who waits for more of it waits for long
            answered.addTimeout(5.0, cast("IReactorTime", reactor))
            trouble: Any = await self.assertFailure(answered, ResponseFailed)
            self.assertIsNotNone(trouble.reasons[0].check(ConnectionAborted), trouble.reasons)  # by us


class EndpointTests(TestCase):
    def test_where(self) -> None:
        """A host by name or address, with its port; TLS where the URL says so."""
        endpoints = Endpoints(Clock())
        plain: Any = endpoints.endpointForURI(URI.fromBytes(b"http://[fd00::9]/"))
        self.assertEqual((plain._behind._hostText, plain._behind._port), ("fd00::9", 80))
        tls: Any = endpoints.endpointForURI(URI.fromBytes(b"https://nas.lan:8443/"))
        self.assertEqual(tls._behind._wrapperFactory(None).__class__.__name__, "TLSMemoryBIOFactory")
