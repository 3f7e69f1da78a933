"""Who calls without end, sends what is no call, or sends it byte by byte: others do not notice, and nothing stays."""

from __future__ import annotations

import json
import os

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from morphnet.net.http import LINGER, HttpFactory
from morphnet.roles.coordinator.calls import BURST, Calls
from morphnet.roles.coordinator.desk import BODY_WITHIN, LONGEST, Desk
from morphnet.wire.messages.home.calls import Call
from tests.rendezvous.home.case import HomeTestCase

HONEST, FLOODS = "198.51.100.1", "203.0.113.66"
IDLE = 60.0


class Caller:
    """One connection."""

    def __init__(self, factory: HttpFactory, host: str) -> None:
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", host, 4000))
        self.channel = factory.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """So many bytes."""
        self.channel.dataReceived(data)

    @property
    def status(self) -> int:
        """Of the answer; 0 when there is none."""
        answer = self.transport.value()
        return int(answer.split()[1]) if answer else 0


class FloodTests(HomeTestCase):
    """A coordinator with all that is behind its door, and a home that answers."""

    def setUp(self) -> None:
        super().setUp()
        self.waiting = Calls(self.clock, os.urandom, self.registry)
        self.factory = HttpFactory(Desk({}, self.waiting, 3478, proxied=False).answer, self.clock, IDLE)
        self.register()
        self.home._called = self.answer

    def answer(self, call: Call) -> None:
        self.home.reply(call.call, "answer")

    def call(self, host: str, home: str = "", length: int = 0, head: str = "") -> Caller:
        """A call; with `length`, only its head, which promises so many bytes."""
        body = json.dumps({"home": home or self.key, "body": "offer"}).encode()
        caller = Caller(self.factory, host)
        lines = ["POST /api/call HTTP/1.1", "Host: x", "Content-Type: application/json", *head.splitlines()]
        lines += [f"Content-Length: {length or len(body)}"] if "chunked" not in head else []
        caller.send("\r\n".join([*lines, "", ""]).encode() + (b"" if length or head else body))
        return caller

    def test_flood(self) -> None:
        """
        A thousand offers of one address in a minute, to a home and to none: it is told to wait. Another one's thirty
        are all answered; nothing waits in the end.
        """
        refused, answered = list[Caller](), list[Caller]()
        for turn in range(30):
            flood = [self.call(FLOODS, "k" * 43 if turn % 2 else "") for _ in range(34)]
            honest = self.call(HONEST)
            self.wait(0.5)
            refused += [each for each in flood if each.status == 429]
            answered += [honest] if honest.status == 200 else []
            self.wait(1.5)
        self.assertEqual(len(answered), 30)
        self.assertGreaterEqual(len(refused), 30 * 34 - BURST - 31)
        self.assertIn(b"Retry-After", refused[0].transport.value())
        self.assertEqual((self.waiting._waiting, self.waiting._of), ({}, {}))

    def test_no_calls(self) -> None:
        """What is too long, of no length or of no kind is refused before its body is read, and costs nothing else."""
        for caller, status in (
            (self.call(FLOODS, length=LONGEST + 1), 413),
            (self.call(FLOODS, head="Transfer-Encoding: chunked"), 413),
            (self.call(FLOODS, length=1 << 62), 413),
        ):
            self.assertEqual(caller.status, status)
        for line in (
            b"GET / HTTP/1.1 x y\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01" * 9 + b"\r\n\r\n",
            b"A: " + bytes(70000),
        ):
            caller = Caller(self.factory, FLOODS)
            caller.send(line)
            self.assertTrue(caller.transport.disconnecting or caller.status in (400, 404, 405), line[:20])
        self.assertEqual((self.waiting.counts, self.factory._running), ({}, set()))

    def test_slow(self) -> None:
        """A body that comes byte by byte has so many seconds, a connection that says nothing as well."""
        slow, silent = self.call(FLOODS, length=1000), Caller(self.factory, FLOODS)
        for _ in range(int(BODY_WITHIN) + 1):
            slow.send(b"{")
            self.clock.advance(1.0)
        self.assertEqual(slow.status, 408)
        self.clock.advance(LINGER + 0.1)
        slow.channel.connectionLost(Failure(ConnectionDone()))
        self.clock.advance(IDLE)
        self.assertEqual((slow.transport.disconnecting, silent.transport.disconnecting), (True, True))
        self.assertEqual(self.factory._running, set())
        honest = self.call(HONEST)
        self.wait(0.5)
        self.assertEqual(honest.status, 200)
