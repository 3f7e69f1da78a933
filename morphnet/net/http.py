"""
HTTP/1.1 whose bodies arrive as they come: Twisted's own server keeps a body until it is whole, and a cut one to
itself.

A request is an Exchange; what answers it is a coroutine. Nothing of a body is read before that asks for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine, Mapping
from io import BytesIO
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from morphnet.net.bulk import LEAST, BulkServer, Slices, bulk_of
from morphnet.net.giving import FileGiving
from morphnet.net.http_channel import SHORT, Channel, LongBody
from morphnet.net.http_head import Head

LINGER = 2.0  # seconds that a client who still sends has to read our answer
LONGEST_BODY = 1 << 26  # of what is kept in memory, bytes
Piece = bytes | memoryview


class BodyCut(Exception):
    """The connection is gone, or another request has taken over; all that came was handed over."""


class BodySlow(Exception):
    """It was not whole in time."""


class Exchange(Head):
    """One request and its answer."""

    _log = Logger()

    def __init__(self, channel: Any, *arguments: Any, **more: Any) -> None:
        super().__init__(channel, *arguments, **more)
        self.content = BytesIO()
        self.length: int | None = None  # of the body, bytes; None while it comes in chunks
        self.promised = False  # a 104 was sent: what fails from now on ends the connection
        self.begun = False  # its head is read
        self.answered = False
        self.place: int | None = None  # among all that have come, as who answers counts them
        self.caller = ""  # the client's address, as who answers has found it
        self.patience: float | None = None  # seconds, see FileGiving; None: as long as it may be silent
        self._early: list[bytes] = []  # of the body, not handed over yet
        self._trouble: Exception = BodyCut()  # what the last `take` has raised
        self._take: Callable[[Any], None] | None = None
        self._file: FileGiving | None = None  # that is being given out
        self._whole = self._lost = self._streams = self._asked = False
        self._waiting: Deferred[None] | None = None
        self._lingering: Any = None

    # -- what Twisted calls ----------------------------------------------------------------------------------------

    def gotLength(self, length: int | None) -> None:
        chunked = self.requestHeaders.hasHeader(b"transfer-encoding")
        self.length = None if chunked else length or 0
        self.method, self.uri = self.channel._command, self.channel._path
        self.clientproto = self.channel._version
        self.begun = True
        channel: Any = self.channel
        channel.head_read()
        self._hold()
        self.channel.factory.begin(self)

    def handleContentChunk(self, data: Piece) -> None:
        if self.answered:
            return
        if isinstance(data, memoryview) and self._take is not None and not self._early:
            self._give(data)  # a part of a buffer that is used again
        else:
            self._early.append(bytes(data))  # the channel has it flushed

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self.flush()
        self._whole = True
        if self._lingering is not None:
            self._end_lingering()
        elif self._take is not None and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        self._lost = True
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._file is not None:
            self._file.close()
        super().connectionLost(reason)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(Failure(BodyCut()))

    # -- the body --------------------------------------------------------------------------------------------------

    async def body(self, take: Callable[[bytes], None]) -> None:
        """
        Hand over the body, piece by piece, until its end. What comes after `take` has raised waits for another call.

        :raises BodyCut: it ended too early.
        :raises OSError: as `take` does.
        """
        self._take = take
        self.flush()
        if self._take is None:
            raise self._trouble
        if self._lost:
            raise BodyCut
        if self._whole:
            return
        self._waiting = Deferred()
        self._ask_for_it()
        self._go_on()
        await self._waiting

    def _ask_for_it(self) -> None:
        """Only now: who is refused hears that instead, and sends nothing."""
        transport: Any = self.channel.transport if self.channel is not None else None
        if transport is not None and not self._asked and self.expects:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._asked = True

    async def stream(self, take: Callable[[Piece], None]) -> None:
        """
        The same for who is done with each piece when `take` returns: it may be a part of a buffer that is used again.

        :raises BodyCut: it ended too early.
        :raises OSError: as `take` does.
        """
        transport = self.channel.transport if self.channel is not None else None
        if isinstance(transport, BulkServer) and self.length is not None and self.length > SHORT and not self._whole:
            transport.take_by(LongBody(self.channel, self.handleContentChunk))
        self._streams = True
        await self.body(take)

    def last_bytes(self) -> None:
        """Hand over what the kernel has of a body that is streamed: the connection is about to be ended."""
        made = bulk_of(self.channel.transport) if self.channel is not None and self._streams else None
        if made is not None:
            made.drain(lambda: not (self._lost or self._whole or self._take is None or self._waiting is None))

    async def short_body(self, within: float | None = None) -> bytes:
        """
        The whole of it, which is not long: LONGEST_BODY at most, see `length`.

        :param within: seconds.
        :raises BodyCut: it ended too early.
        :raises BodySlow: it was not whole in time.
        """
        pieces: list[bytes] = []
        timer: Any = None
        if within is not None and self.channel is not None:
            timer = self.channel.callLater(within, self.give_up)
        try:
            await self.body(pieces.append)
        finally:
            if timer is not None and timer.active():
                timer.cancel()
        return b"".join(pieces)

    def give_up(self) -> None:
        """Whoever waits for the end of the body hears that it took too long: BodySlow."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(Failure(BodySlow()))

    def flush(self) -> None:
        """Hand over what has come, in one piece however small its chunks were, if somebody wants it."""
        if self._take is None or not self._early:
            return
        data = self._early[0] if len(self._early) == 1 else b"".join(self._early)
        self._early.clear()
        self._give(data)

    def _give(self, data: Piece) -> None:
        assert self._take is not None  # asked by the caller
        try:
            self._take(data)
        except Exception as trouble:  # a full disk, or a turn that is over: the coroutine decides what to answer
            self._take, self._trouble = None, trouble
            self._hold()
            if self._waiting is not None:
                waiting, self._waiting = self._waiting, None
                waiting.errback(Failure(trouble))

    def _hold(self) -> None:
        if self.channel is not None and self.length != 0:
            self.channel._networkProducer.pauseProducing()

    def _go_on(self) -> None:
        if self.channel is not None and not self._lost:
            self.channel._networkProducer.resumeProducing()

    # -- the answer ------------------------------------------------------------------------------------------------

    def interim(self, headers: Mapping[str, str]) -> None:
        """Tell where the upload can be resumed: 104, to who is still there and knows of such answers."""
        if self._lost or not self.knows_interim:
            return
        self.promised = True
        lines = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        self.channel.writeHeaders(b"HTTP/1.1", b"104", b"Upload Resumption Supported", lines)

    def tell(self, name: str, value: str) -> None:
        """One more header of the final answer."""
        self.responseHeaders.setRawHeaders(name.encode(), [value.encode("utf-8", "replace")])

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """The final answer, with a body that is short."""
        if self.answered or self._lost:
            return
        self._begin_answer(status, headers, len(body))
        self.write(body if self.method != b"HEAD" else b"")
        self._finish_answer()

    def answer_json(self, status: int, headers: Mapping[str, str], value: object, kind: str) -> None:
        """The same, with a value for machines."""
        self.answer(status, {**headers, "Content-Type": kind}, json.dumps(value).encode())

    def answer_file(self, status: int, headers: Mapping[str, str], file: BinaryIO, length: int) -> None:
        """The same, with so many bytes of a file, from where it stands; it is closed in the end."""
        if self.answered or self._lost:
            file.close()
            return
        self._begin_answer(status, headers, length)
        if self.method == b"HEAD" or not length:
            file.close()
            self.write(b"")
            self._finish_answer()
            return
        self.write(b"")
        self._file = FileGiving(self, file, length, self.patience or self.channel.factory.idle)
        if not self._whole and self.length != 0:
            self.channel.setTimeout(None)  # of a body that was announced and does not come: the file has its own
        self._file.start()

    def _begin_answer(self, status: int, headers: Mapping[str, str], length: int) -> None:
        self.answered = True
        self.setResponseCode(status)
        for name, value in headers.items():
            self.responseHeaders.setRawHeaders(name.encode(), [value.encode("utf-8", "replace")])
        if status != 204 and status != 304:
            self.responseHeaders.setRawHeaders(b"content-length", [str(length).encode()])
        if not self._whole and self.length != 0:  # more of the body comes, and it is no request
            self.channel.persistent = False
            self.responseHeaders.setRawHeaders(b"connection", [b"close"])

    def _finish_answer(self) -> None:
        if self._whole or self.length == 0:
            self.finish_when_read()
            return
        self._lingering = self.channel.callLater(LINGER, self._end_lingering)
        self._go_on()

    def finish_when_read(self) -> None:
        """End the request; its last header may be what is read just now."""
        if self._whole:
            self.finish()
        else:
            self._lingering = self.channel.callLater(0, self._end_lingering)

    def _end_lingering(self) -> None:
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        self._lingering = None
        if not self._lost:
            self.finish()

    def hand_over(self, factory: IProtocolFactory) -> None:
        """The connection goes on with another protocol, which reads this request as its first: a WebSocket."""
        self.answered = True
        later: Any = self.channel.callLater
        later(0, self._handed_over, factory)  # what reads the head is to be done with it

    def _handed_over(self, factory: IProtocolFactory) -> None:
        channel: Any = self.channel
        if self._lost or channel is None:
            return
        transport = channel.transport
        channel.setTimeout(None)
        transport.unregisterProducer()
        protocol: Any = factory.buildProtocol(transport.getPeer())
        raw = self.requestHeaders.getAllRawHeaders()
        head = [b"%s %s HTTP/1.1" % (self.method, self.uri)]
        head += [name + b": " + value for name, values in raw for value in values]
        if isinstance(transport, ProtocolWrapper):  # of TLS
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(b"\r\n".join([*head, b"", b""]))
        transport.resumeProducing()

    def hang_up(self) -> None:
        """End the connection at once, without an answer."""
        transport: Any = self.channel.transport if self.channel is not None else None
        if transport is not None and not self._lost:
            transport.abortConnection()
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(Failure(BodyCut()))


class HttpFactory(Factory):
    """
    Serves with one coroutine for each request.

    :param answer: answers an exchange; what it raises is a fault of ours.
    :param reactor: its clock.
    :param idle: seconds after which a silent connection is closed.
    """

    _log = Logger()

    def __init__(self, answer: Callable[[Exchange], Coroutine[Any, Any, None]], reactor: Any, idle: float) -> None:
        self._answer, self._reactor, self.idle = answer, reactor, idle
        self._running: set[Deferred[None]] = set()
        self._slices = Slices(reactor)

    def buildProtocol(self, addr: Any) -> Any:
        channel: Any = Channel()
        channel.requestFactory = Exchange
        channel.callLater = self._reactor.callLater
        channel.timeOut = self.idle
        channel.factory = self
        return channel

    def adopt(self, descriptor: int, family: int, in_tls: IProtocolFactory | None = None) -> None:
        """
        Talk to a connection that was accepted, as one on which long bodies come and files go past most layers.

        :param in_tls: this factory in TLS, which talks to it: it has its turns as the others do, and no more.
        """
        if in_tls is None:
            BulkServer.adopt(descriptor, family, self, self._slices)
        else:
            BulkServer.adopt(descriptor, family, in_tls, self._slices, LEAST)

    def log(self, request: object) -> None:
        """Twisted tells it each request that is done; none is written down."""

    def begin(self, exchange: Exchange) -> None:
        """Answer this one."""
        running: Deferred[None] = Deferred.fromCoroutine(self._answered(exchange))
        self._running.add(running)
        running.addBoth(lambda _: self._running.discard(running))

    async def _answered(self, exchange: Exchange) -> None:
        try:
            await self._answer(exchange)
        except BodyCut:
            pass  # its bytes are kept by who took them
        except Exception:
            self._log.failure("a request failed")
            if exchange.promised:
                exchange.hang_up()  # a 500 would end the upload of a phone for good
            else:
                exchange.answer(500, {}, b"something went wrong here\n")


def http_date(at: float) -> str:
    """A time as HTTP writes it."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(at))
