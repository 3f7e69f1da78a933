"""The door to a webhook, over a wire of memory."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.net.webhook import MOST, WITHIN, Webhook


class WebhookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def post(self, url: str = "http://127.0.0.1:8080/a/", token: str = "secret") -> Deferred[int]:
        """Begin one."""
        return Deferred.fromCoroutine(Webhook(self.reactor, url, token).post("/traffic", b'{"id": 1}', "k1"))

    def connect(self) -> StringTransport:
        """The connection comes about."""
        host, port, factory, *_ = self.reactor.tcpClients[-1]
        self.assertEqual((host, port), ("127.0.0.1", 8080))
        self.wire = StringTransport()
        self.protocol = cast(Protocol, factory.buildProtocol(cast(IAddress, None)))
        self.protocol.makeConnection(self.wire)
        return self.wire

    def test_sent(self) -> None:
        """Path, headers and body; the status comes back, whatever the body is."""
        for status in (200, 503):
            posted = self.post()
            said = self.connect().value()
            self.assertTrue(said.startswith(b"POST /a/traffic HTTP/1.1\r\n"), said)
            for header in (b"Idempotency-Key: k1", b"Authorization: secret", b"Content-Type: application/json"):
                self.assertIn(header, said)
            self.assertTrue(said.endswith(b'\r\n\r\n{"id": 1}'), said)
            self.protocol.dataReceived(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status)
            self.assertEqual(self.successResultOf(posted), status)

    def test_no_token(self) -> None:
        """Without a token nothing is said of it."""
        self.post(token="")
        self.assertNotIn(b"Authorization", self.connect().value())

    def test_endless(self) -> None:
        """An answer without an end is read as far as that, and hung up on."""
        self.post()
        self.connect()
        self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + bytes(MOST + 1))
        self.assertTrue(self.wire.disconnecting or self.wire.disconnected)

    def test_hangs(self) -> None:
        """A body without an end takes nothing from the status, and no connection is left, however it ends."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        for said in (head, head + b"half", head + b"whole: ok", b"", b"HTTP/1.1 2"):
            posted = self.post()
            wire = self.connect()
            if said:
                self.protocol.dataReceived(said)
            self.reactor.advance(WITHIN + 1)
            if head in said:
                self.assertEqual(self.successResultOf(posted), 200)
            else:
                self.failureResultOf(posted, HostError)
            self.assertTrue(wire.disconnected, said)
        posted = self.post()
        wire = self.connect()
        self.protocol.dataReceived(head)
        posted.cancel()
        self.failureResultOf(posted, HostError)
        self.assertTrue(wire.disconnected)

    def test_troubles(self) -> None:
        """No connection, no answer, half an answer, rubbish: one short phrase."""
        posted = self.post()
        self.reactor.tcpClients[-1][2].clientConnectionFailed(cast(IConnector, None), Failure(ConnectionRefusedError()))
        self.reactor.advance(1)
        self.assertIn("refused", str(self.failureResultOf(posted, HostError).value))
        posted = self.post()
        self.connect()
        self.reactor.advance(WITHIN + 1)
        self.assertIn("no answer", str(self.failureResultOf(posted, HostError).value))
        for said in (b"", b"HTTP/1.1 200 O", b"\0\0\0\r\n\r\n"):
            posted = self.post()
            self.connect()
            if said:
                self.protocol.dataReceived(said)
            self.protocol.connectionLost(Failure(ConnectionRefusedError()))
            self.assertLess(len(str(self.failureResultOf(posted, HostError).value)), 120)
