"""Connections that bring a byte now and then."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.http import Exchange
from tests.fakes_upload import Line, Service


class ChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())
        self.pieces: list[bytes] = []
        self.service.factory._answer = self.answer

    async def answer(self, exchange: Exchange) -> None:
        await exchange.body(self.pieces.append)
        exchange.answer(200, {})

    def drip(self, line: Line, data: bytes, every: float, most: int = 1000) -> int:
        """Send it piece by piece until the server has had enough: how many seconds that took."""
        for number in range(most):
            if line.transport.disconnecting:
                return int(number * every)
            line.send(data)
            self.service.clock.advance(every)
        return -1

    def test_slow_head(self) -> None:
        """A head that comes byte by byte is hung up on in the time in which one that says nothing is."""
        for before in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            line = Line(self.service)
            self.service.clock.advance(50.0)
            line.send(before)
            self.service.clock.advance(0)
            line.send(b"GET / HTTP/1.1\r\n")
            self.assertEqual(self.drip(line, b"X", 5.0), 60)

    def test_slow_body(self) -> None:
        """A body that brings too little in that time is hung up on, and its bytes are kept; a slow phone is not."""
        for piece, took in ((b"x" * 300, 60), (b"x" * 400, -1)):
            line = Line(self.service)
            line.send(b"PUT / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n")
            self.assertEqual(self.drip(line, piece, 5.0), took)
        self.assertEqual(len(b"".join(self.pieces)), 12 * 300 + 1000 * 400)

    def test_answered(self) -> None:
        """What comes after the end, as it does in TLS until the other side has heard of that, is no trouble."""
        for head in (
            b"PUT /a HTTP/1.1\r\nContent-Length: 5000\r\n\r\n",
            b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000,
            b"nonsense\r\n",
        ):
            self.service.factory._answer = self.refuse
            line = Line(self.service)
            line.send(head)
            self.service.clock.advance(3.0)
            self.assertEqual(
                ([each.status // 100 for each in line.answers()], line.transport.disconnecting), ([4], True)
            )
            for _ in range(2):
                line.send(b"x" * 5000 + b"\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            self.service.clock.advance(3.0)
            self.assertEqual(line.answers(), [])

    def test_bad_chunk(self) -> None:
        """What is no chunk is 400, once: who was answered before, or is answered later, has one answer."""
        head, waiting = b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Deferred[None]()

        async def later(exchange: Exchange) -> None:
            await waiting
            exchange.answer(413, {}, b"no")

        for answer, status in ((self.refuse, 413), (later, 400), (self.answer, 400)):
            self.service.factory._answer = answer
            line = Line(self.service)
            line.send(head)
            line.send(b"no chunk\r\n")
            if answer is later:
                waiting.callback(None)
            self.service.clock.advance(3.0)
            self.assertEqual(([each.status for each in line.answers()], line.transport.disconnecting), ([status], True))

    async def refuse(self, exchange: Exchange) -> None:
        exchange.answer(413, {}, b"no")

    def test_long_head(self) -> None:
        """A header without an end is 400."""
        line = Line(self.service)
        line.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
        self.assertEqual(([each.status for each in line.answers()], line.transport.disconnecting), ([400], True))

    def test_long_length(self) -> None:
        """A length of more digits than any has is 400, also where it is too long for a number."""
        for digits in (20, 4000, 5000):
            line = Line(self.service)
            line.send(b"PUT / HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % (b"9" * digits))
            self.assertEqual(([each.status for each in line.answers()], line.transport.disconnecting), ([400], True))
