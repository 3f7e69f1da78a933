"""A connection of HTTP/1.1 that nobody keeps by a byte now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web import http

SHORT = 1 << 14  # bytes of a body that are read as they come
_LONGEST_LENGTH = 19  # digits, of 63 bits; of more than 4300 Python makes no number
LEAST = 4096  # bytes that a body brings in the seconds in which a connection may be silent, or it is hung up on


class Channel(http.HTTPChannel):
    """
    One connection: a head is whole in the time in which it may be silent, and a body brings LEAST bytes.

    Its requests know whether their head is read (`begun`), and hand over what has come of their body (`flush`).
    """

    _came = 0  # bytes since the time began anew in which something has to come
    _head = False  # some of the head of a request has come, and not all
    _nonsense = False  # what comes is no HTTP, of a request that was answered: it ends the connection soon
    _over = False  # all is said; what still comes (in TLS it does) is part of no request

    def dataReceived(self, data: bytes) -> None:
        if self._over or self._nonsense:
            return
        self._came += len(data)
        super().dataReceived(data)
        for request in self.requests[-1:]:
            request.flush()

    def brought(self, count: int) -> None:
        """So many bytes of a body have come past this."""
        self._came += count
        self.resetTimeout()

    def resetTimeout(self) -> None:
        """Something has come."""
        if self.requests and self.requests[-1].begun:
            enough = self._came >= LEAST
        else:
            enough, self._head = not self._head, True
        if enough:
            self._came = 0
            super().resetTimeout()

    def loseConnection(self) -> None:
        """End it as soon as all is written."""
        self._over = True
        super().loseConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """What came is no HTTP: a chunk perhaps, of a request that was answered already, and is answered once."""
        request = self.requests[-1] if self.requests else None
        if request is None or not request.begun:
            super()._respondToBadRequestAndDisconnect()
        elif request.answered:
            self._nonsense = True
        else:
            request.answered = True
            super()._respondToBadRequestAndDisconnect()

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> Any:
        if header.lower() == b"content-length" and len(data) > _LONGEST_LENGTH:
            return self._failChooseTransferDecoder()
        return super()._maybeChooseTransferDecoder(header, data)

    def _send100Continue(self) -> None:
        """Nothing: Twisted says it after a refusal too. A request says it itself, when its body is wanted."""

    def lineLengthExceeded(self, line: bytes) -> None:
        """A head, or a line of it, is longer than any is."""
        transport: Any = self.transport
        transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        self.loseConnection()

    def head_read(self) -> None:
        """A body comes, if there is one, or the head of another request."""
        self._head, self._came = False, 0
        super().resetTimeout()


class LongBody:
    """The body of a request of known length, which comes past what looks for requests; its last bytes do not."""

    def __init__(self, channel: Any, take: Callable[[memoryview], None]) -> None:
        self._channel, self._take, self._decoder = channel, take, channel._transferDecoder

    def room(self) -> int:
        decoder = self._decoder
        if self._channel._transferDecoder is not decoder or decoder.contentLength <= SHORT:
            return 0
        return int(decoder.contentLength) - 1

    def came(self, data: memoryview) -> None:
        self._channel.brought(len(data))
        self._decoder.contentLength -= len(data)
        self._take(data)
