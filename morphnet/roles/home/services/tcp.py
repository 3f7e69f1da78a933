"""
Streams joined to sockets at home: a VNC server, or whatever else speaks TCP. Where they go is in the settings alone; a
browser only says one of the names that stand there.

Source: docs/home, Services.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionRefusedError, DNSLookupError
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import Refused
from morphnet.pki.names import split_address
from morphnet.rendezvous.home.streams import Stream

MOST = 16  # connections at once
WITHIN = 10.0  # seconds for a connection
Dial = Callable[[str], IStreamClientEndpoint]


def dial_of(reactor: Any) -> Dial:
    """How HOST:PORT is reached, or the path of a socket."""

    def dial(place: str) -> IStreamClientEndpoint:
        if place.startswith("/"):
            return UNIXClientEndpoint(reactor, place, timeout=WITHIN)
        host, port = split_address(place, 0)
        return HostnameEndpoint(reactor, host, port, timeout=WITHIN)

    return dial


def why_not(failure: Failure) -> str:
    """Why there is no connection, in a word or three."""
    if failure.check(ConnectionRefusedError):
        return "it refuses"
    if failure.check(DNSLookupError):
        return "its name has no address"
    return "it does not answer"


@implementer(IPushProducer, IHalfCloseableProtocol)
class Joined(Protocol):
    """One stream and one socket: an outlet, and a protocol. Neither side gets ahead of the other."""

    def __init__(self, stream: Stream, over: Callable[[Joined], None]) -> None:
        self._stream, self._over = stream, over
        self._up: deque[bytes] = deque()  # for the socket, while there is none
        self._down: deque[bytes] = deque()  # for the browser, while it has no room
        self._owed = 0  # bytes of the browser's that the socket has not dealt with
        self._full = False  # the socket takes no more now
        self._last = False  # the browser says no more
        self._silent = False  # and neither does the socket

    # -- the browser -----------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """For the socket."""
        self._owed += len(data)
        if self.transport is None:
            self._up.append(data)
            return
        self.transport.write(data)
        self._grant()

    def said(self, what: dict[str, Any]) -> None:
        """Nothing is said here."""

    def room(self) -> None:
        """The browser has read."""
        while self._down and self._stream.window and self._stream.open:
            data = self._down.popleft()
            if len(data) > self._stream.window:
                self._down.appendleft(data[self._stream.window :])
                data = data[: self._stream.window]
            self._stream.write(data)
        if not self._down:
            if self._silent:
                self._stream.end()
                if self.transport is not None:  # our half is open still, and nobody reads from it any more
                    cast("ITCPTransport", self.transport).loseConnection()
            elif self.transport is not None:
                cast("Any", self.transport).resumeProducing()

    def ended(self) -> None:
        """The browser says no more; it may still listen."""
        self._last = True
        if self.transport is not None:
            cast("ITCPTransport", self.transport).loseWriteConnection()

    def gone(self) -> None:
        """The stream is over."""
        self._down.clear()
        if self.transport is not None:
            cast("ITCPTransport", self.transport).abortConnection()
        self._over(self)

    def _grant(self) -> None:
        if not self._full:
            self._stream.took(self._owed)
            self._owed = 0

    # -- the socket ------------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        assert self.transport is not None  # it is made
        if not self._stream.open:  # meanwhile
            cast("ITCPTransport", self.transport).abortConnection()
            return
        cast("Any", self.transport).registerProducer(self, True)
        self._stream.say({"open": True})
        while self._up:
            self.transport.write(self._up.popleft())
        self._grant()
        if self._last:
            self.ended()

    def dataReceived(self, data: bytes) -> None:
        self._down.append(data)
        self.room()
        if self._down:
            cast("Any", self.transport).pauseProducing()

    def readConnectionLost(self) -> None:
        self._silent = True
        self.room()

    def writeConnectionLost(self) -> None:
        """It takes no more, and may still say something."""

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  # as Twisted has it
        self._silent = True
        self.room()
        self._over(self)

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        self._grant()

    def stopProducing(self) -> None:
        """The socket is gone, of which we hear."""


class Tcp:
    """
    A service of sockets.

    :param name: of the service.
    :param places: HOST:PORT or the path of a socket, by its name.
    """

    _log = Logger()

    def __init__(self, name: str, places: Mapping[str, str], dial: Dial) -> None:
        self.name, self._places, self._dial = name, places, dial
        self._joined: dict[Joined, Deferred[Any]] = {}

    def __len__(self) -> int:
        return len(self._joined)

    def opened(self, stream: Stream, asked: dict[str, Any]) -> str:
        """
        Join it to the place of that name, or tell which there are; what was done, in words.

        :raises Refused: there is no such place, or there are too many connections.
        """
        if asked.get("do") == "list":
            stream.say({"names": list(self._places)})
            stream.end()
            return f"asks for {self.name}"
        name = asked.get("name", "")
        place = self._places.get(name) if isinstance(name, str) else None
        if place is None:
            raise Refused("there is none of that name")
        if len(self._joined) >= MOST:
            raise Refused("there are as many connections as there may be")
        stream.outlet = joined = Joined(stream, self._over)
        connecting = self._dial(place).connect(Factory.forProtocol(lambda: joined))
        self._joined[joined] = connecting
        connecting.addErrback(self._failed, joined, stream)
        connecting.addErrback(lambda failure: self._log.failure("a connection was not made", failure))
        return f"opens {self.name}{' ' + name if name else ''} at {place}"

    def _failed(self, failure: Failure, joined: Joined, stream: Stream) -> None:
        self._over(joined)
        if not failure.check(CancelledError):
            stream.refuse(f"it cannot be reached: {why_not(failure)}")

    def _over(self, joined: Joined) -> None:
        connecting = self._joined.pop(joined, None)
        if connecting is not None and joined.transport is None:
            connecting.cancel()

    def close(self) -> None:
        """End every connection."""
        for joined in list(self._joined):
            joined.gone()
