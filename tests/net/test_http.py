"""Bodies as they come, and answers while they come."""

from __future__ import annotations

from io import BytesIO

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.http import BodyCut, Exchange
from tests.fakes_upload import Line, Service


class HttpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())
        self.pieces: list[bytes] = []
        self.ended: list[str] = []
        self.wait: Deferred[None] | None = None
        self.service.factory._answer = self.answer

    async def answer(self, exchange: Exchange) -> None:
        if self.wait is not None:
            await self.wait
        if exchange.target == "/refuse":
            exchange.answer(413, {}, b"no")
            return
        if exchange.target == "/fail":
            raise ZeroDivisionError
        try:
            await exchange.body(self.pieces.append)
        except BodyCut:
            self.ended.append("cut")
            raise
        exchange.answer(200, {"X": exchange.query.get("a", "")}, b"done")

    def test_streams(self) -> None:
        """Each piece is there before the next one comes, and what came before a cut."""
        line = Line(self.service)
        line.begin("PUT", "/", {"Content-Length": "10"}, b"abc")
        self.assertEqual(self.pieces, [b"abc"])
        line.send(b"def")
        line.cut()
        self.assertEqual((self.pieces, self.ended, line.answers()), ([b"abc", b"def"], ["cut"], []))

    def test_waits(self) -> None:
        """Nothing is read while it is being decided; then all of it is there, also if it was whole long before."""
        self.wait = Deferred()
        line = Line(self.service)
        line.begin("PUT", "/", {"Content-Length": "6"}, b"abc")
        self.assertEqual((line.transport.producerState, self.pieces), ("paused", []))
        line.send(b"def")
        self.wait.callback(None)
        self.assertEqual((b"".join(self.pieces), [each.status for each in line.answers()]), (b"abcdef", [200]))

    def test_chunks(self) -> None:
        """However small the chunks, what comes together is handed over together; a cut in one loses nothing."""
        line = Line(self.service)
        line.send(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 500 + b"2\r\nb")
        self.assertEqual(self.pieces, [b"a" * 500 + b"b"])
        line.send(b"b\r\n" + b"1\r\nc\r\n" * 10 + b"0\r\n\r\n")
        self.assertEqual(self.pieces[1:], [b"b" + b"c" * 10])
        self.assertEqual([each.status for each in line.answers()], [200])

    def test_taken_in_turns(self) -> None:
        """What comes after somebody could take no more waits for who asks next, and nothing is read meanwhile."""
        enough, wait = ZeroDivisionError(), Deferred[None]()

        def take(data: bytes) -> None:
            self.pieces.append(data)
            raise enough

        async def answer(exchange: Exchange) -> None:
            for _ in range(2):
                try:
                    await exchange.body(take)
                except ZeroDivisionError:
                    pass
                else:
                    self.fail("it was not raised")
            await wait
            await exchange.body(self.pieces.append)
            exchange.answer(200, {})

        self.service.factory._answer = answer
        line = Line(self.service)
        line.begin("PUT", "/", {"Content-Length": "6"}, b"a")
        line.send(b"b")
        self.assertEqual((self.pieces, line.transport.producerState), ([b"a", b"b"], "paused"))
        line.send(b"cd")
        self.assertEqual(self.pieces, [b"a", b"b"])
        wait.callback(None)
        self.assertEqual((self.pieces[2:], line.transport.producerState), ([b"cd"], "producing"))
        line.send(b"ef")
        self.assertEqual((b"".join(self.pieces), [each.status for each in line.answers()]), (b"abcdef", [200]))

    def test_keep_alive(self) -> None:
        """One connection takes one request after the other, with bodies and without."""
        line = Line(self.service)
        for number in range(3):
            line.begin("PUT", f"/?a={number}", {}, b"x" * number)
            self.service.clock.advance(0)
        self.assertEqual([each.headers["x"] for each in line.answers()], ["0", "1", "2"])

    def test_early_answer(self) -> None:
        """A refusal is there while the client still sends; the rest is no request, and the connection ends."""
        line = Line(self.service)
        line.begin("PUT", "/refuse", {"Content-Length": "1000"}, b"abc")
        (answer,) = line.answers()
        self.assertEqual((answer.status, answer.headers["connection"]), (413, "close"))
        line.send(b"GET /x HTTP/1.1\r\n\r\n")
        self.assertFalse(line.transport.disconnecting)
        self.service.clock.advance(3)
        self.assertTrue(line.transport.disconnecting)
        self.assertEqual(line.answers(), [])

    def test_expected(self) -> None:
        """Who waits with the body is told to go on when somebody wants it, once, and not when it is refused."""
        told = {"Content-Length": "6", "Expect": "100-continue"}
        line = Line(self.service)
        line.begin("PUT", "/refuse", told)
        self.service.clock.advance(3)
        self.assertEqual([each.status for each in line.answers()], [413])
        self.wait = Deferred()
        line = Line(self.service)
        line.begin("PUT", "/", told)
        self.assertEqual(line.answers(), [])
        self.wait.callback(None)
        self.assertEqual([each.status for each in line.answers()], [100])
        line.send(b"abcdef")
        self.assertEqual((b"".join(self.pieces), [each.status for each in line.answers()]), (b"abcdef", [200]))

    def test_gone(self) -> None:
        """Who has left before there was something to say to it is told nothing, and that is no fault of ours."""

        async def promise(exchange: Exchange) -> None:
            await wait
            exchange.interim({"Location": "/"})
            ended.append(exchange.promised)
            await exchange.body(self.pieces.append)

        async def whole(exchange: Exchange) -> None:
            await wait
            await exchange.short_body(5.0)

        ended: list[bool] = []
        for answer in (promise, whole):
            self.service.factory._answer, wait = answer, Deferred[None]()
            line = Line(self.service)
            line.begin("PUT", "/", {"Content-Length": "6"}, b"abc")
            line.cut()
            wait.callback(None)
            self.assertEqual((line.answers(), self.flushLoggedErrors()), ([], []))
        self.assertEqual((ended, self.service.clock.getDelayedCalls()), ([False], []))

    def test_fault(self) -> None:
        """A fault of ours is 500, and in the log."""
        line = Line(self.service)
        line.begin("PUT", "/fail", {}, b"abc")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.service.clock.advance(3)
        self.assertEqual([each.status for each in line.answers()], [500])

    def test_idle(self) -> None:
        """A connection that says nothing is closed."""
        line = Line(self.service)
        line.begin("PUT", "/", {"Content-Length": "10"}, b"abc")
        self.service.clock.advance(61)
        self.assertTrue(line.transport.disconnecting)

    def test_idle_after_a_file(self) -> None:
        """So is one that says nothing more after it was given a file, be that the first thing it asked for or not."""

        async def answer(exchange: Exchange) -> None:
            if exchange.target == "/file":
                exchange.answer_file(200, {}, BytesIO(b"content"), 7)
            else:
                exchange.answer(200, {})

        self.service.factory._answer = answer
        for targets in (["/file"], ["/file", "/"], ["/", "/file"], ["/file", "/file"]):
            line = Line(self.service)
            for target in targets:
                line.begin("GET", target, {}, b"")
                self.service.clock.advance(0)
            self.assertEqual([each.status for each in line.answers()], [200] * len(targets))
            self.service.clock.advance(59)
            self.assertFalse(line.transport.disconnecting)
            self.service.clock.advance(2)
            self.assertTrue(line.transport.disconnecting, targets)
