"""
One end of a WebSocket: texts and binaries, never more unread than a bound, and a sign of life now and then.

Autobahn speaks the protocol; TLS, if any, is around it (`morphnet.net.tls`). Source: RFC 6455.
"""

from __future__ import annotations

import os
import socket
import typing
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.protocol import TrafficStats, WebSocketProtocol
from autobahn.websocket.types import ConnectionDeny
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import PeerError, Refused
from morphnet.net.sockaddr import host_of
from morphnet.net.turns import Turns
from morphnet.wire.messages.relay import MOST_ENVELOPE
from morphnet.wire.websocket import BINARY, CLOSE, PONG, TEXT, head, masked

BACKLOG = 256 << 10  # bytes that the other end may leave unread before binaries are dropped
MOST_BACKLOG = 1 << 20  # and before it is hung up on
UNSENT = 128 << 10  # bytes in the kernel that TCP has not sent
TCP_NOTSENT_LOWAT = 25  # linux/tcp.h
BEAT, SILENCE = 20, 15  # seconds between signs of life, and for the answer to one
HANDSHAKE = 10  # seconds for TLS and HTTP together
GOODBYE = 5  # seconds from the other end's goodbye, or our "no", until it is hung up on
SUBPROTOCOL = "morphnet.relay.1"
_DONE_WITH = frozenset(  # Autobahn's, some KB for each who is there: of HTTP, and for frames that it no longer reads
    {"http_request_data", "http_response_data", "http_headers", "http_request_params", "utf8validator"}
)
_COUNTED_TOGETHER = TrafficStats()  # by Autobahn; nobody asks


class Owner(typing.Protocol):
    """Who uses a socket."""

    def connected(self, socket: Socket) -> None:
        """TCP is up, and nothing more."""
        ...

    def opened(self, socket: Socket) -> None:
        """Both handshakes are done. `end` it if the other side is not to be talked to; `headers` are for now."""
        ...

    def text(self, socket: Socket, text: bytes) -> None:
        """
        A text came.

        :raises PeerError: it has no place here: the socket is dropped.
        """
        ...

    def binary(self, socket: Socket, content: bytes) -> None:
        """
        A binary came.

        :raises PeerError: as above.
        """
        ...

    def spent(self, socket: Socket, cost: int) -> None:
        """What came cost us so much: bytes, those of small frames rounded up. It may be given a rest."""
        ...

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """It is gone. Exactly once, also for one that was never opened."""
        ...


@implementer(IPushProducer, IHandshakeListener)
class Socket(Turns):
    """What both ends are; mixed into Autobahn's protocols. Hashable by identity."""

    factory: Any
    autoPingPending: bytes | None

    owner: Owner
    clock: IReactorTime
    headers: Mapping[str, str] = {}  # of the request, names in lower case; at the end that was called
    host = local = ""  # numeric addresses, the peer's and ours
    port = local_port = 0  # the peer's and ours
    is_server = False

    def settle(self, owner: Owner, clock: IReactorTime) -> None:
        """Before the connection is made."""
        self.owner, self.clock = owner, clock
        self._paused, self._unread = False, 0
        self._ending, self._why = False, ""
        self._proof: IDelayedCall | None = None
        self._leaving: IDelayedCall | None = None
        self._pong: bytes | None = None  # the last that was asked for while the other end did not read
        self.drained: Callable[[], None] = lambda: None  # told when what was unread is read
        self.settle_turns()

    @property
    def _open(self) -> bool:
        """Whether Autobahn takes anything: not before both have agreed, nor after either has said goodbye."""
        return not self._ending and self.state == WebSocketProtocol.STATE_OPEN

    # for the owner

    def send_text(self, text: bytes) -> None:
        """Send; who reads nothing for too long is dropped."""
        if not self._open:
            return
        if self._counted(len(text)) > MOST_BACKLOG:
            self.drop("it does not read")
            return
        self._send_frame(TEXT, text)

    def send_binary(self, content: bytes) -> bool:
        """Send; False when too much is unread already, and nothing was sent."""
        if not self._open or (self._paused and self._unread + len(content) > BACKLOG):
            return False
        self._counted(len(content))
        self._send_frame(BINARY, content)
        return True

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        if self.is_server:
            self.transport.write(head(opcode, len(payload)) + payload)
        else:
            self.transport.write(masked(opcode, payload, os.urandom(4)))

    @property
    def reads(self) -> bool:
        """Whether the other end takes what we send, as far as the kernel tells."""
        return not self._paused

    @property
    def unread(self) -> int:
        """Bytes that wait because the other end does not read."""
        return self._unread

    def _counted(self, size: int) -> int:
        if self._paused:
            self._unread += size
        return self._unread

    def pause_reading(self, seconds: float) -> None:
        """Read nothing for so long; what comes meanwhile waits at the other end."""
        if not self._ending:
            self.rest(seconds)

    def stop_reading(self) -> None:
        """Read nothing until `read_on`."""
        if not self._ending:
            self.stop()

    def read_on(self) -> None:
        """Undo it; harmless without."""
        if not self._ending:
            self.go_on()

    def read(self, cost: int) -> None:
        self.owner.spent(self, cost)

    def prove(self, within: float) -> None:
        """Drop it unless anything comes within so many seconds."""
        if self._proof is None and self._open:
            self._proof = self.clock.callLater(within, self.drop, "no sign of life")
            self.sendPing(os.urandom(8))  # type: ignore[attr-defined]

    def end(self, reason: str) -> None:
        """Say goodbye and hang up."""
        if self._open:
            self._ending, self._why = True, self._why or reason
            self.sendClose(1000)  # type: ignore[attr-defined]
        elif not self._ending:
            self.drop(reason)

    def drop(self, reason: str) -> None:
        """Hang up at once."""
        self._ending, self._why = True, self._why or reason
        self.transport.abortConnection()

    def connection(self) -> SSL.Connection | None:
        """Of TLS, where there is any."""
        return self.transport.getHandle() if isinstance(self.transport, TLSMemoryBIOProtocol) else None

    # what Autobahn and Twisted call

    def connectionMade(self) -> None:
        peer = self.transport.getPeer()
        self.host, self.local = host_of(peer), host_of(self.transport.getHost())
        self.port, self.local_port = (getattr(each, "port", 0) for each in (peer, self.transport.getHost()))
        self._keep_short()
        self.transport.registerProducer(self, True)
        self.owner.connected(self)
        super().connectionMade()  # type: ignore[misc]

    def _keep_short(self) -> None:
        """
        No more than UNSENT waits in the kernel: what is sent next shall not stand behind a megabyte. And nothing waits
        for an acknowledgement: Autobahn means to turn that off, but asks before it knows its own options, and through a
        relay it cost 90 ms for each round trip.
        """
        below = getattr(self.transport, "transport", self.transport)
        if isinstance(opened := getattr(below, "socket", None), socket.socket):
            opened.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for timer in (self._proof, self._leaving):
            if timer is not None and timer.active():
                timer.cancel()
        self.end_turns()
        self._ending = True
        self._connectionLost(reason)  # type: ignore[attr-defined]  # not super's: it logs what strangers do
        self.owner.ended(self, self._why, reason)

    def dataReceived(self, data: bytes) -> None:
        if self._proof is not None:
            self._proof.cancel()
            self._proof = None
        self.take(data)

    def handshakeCompleted(self) -> None:
        """TLS is up; `opened` comes when HTTP has agreed too."""

    def onOpen(self) -> None:
        self.owner.opened(self)
        if self.is_server:
            for name in _DONE_WITH & self.__dict__.keys():
                self.__dict__[name] = None
            self.trafficStats = _COUNTED_TOGETHER

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self._ending:
            return
        try:
            (self.owner.binary if isBinary else self.owner.text)(self, payload)
        except PeerError as trouble:
            self.drop(str(trouble))

    def onPing(self, payload: bytes) -> None:
        """Of pings that came while the other end did not read, the last is answered. Source: RFC 6455 section 5.5.3."""
        if self._paused:
            self._pong = payload
        else:
            self.sendPong(payload)  # type: ignore[attr-defined]

    def processControlFrame(self) -> bool:
        """Autobahn's, without its complaint in the log for each pong that nobody asked for."""
        if self.current_frame.opcode == CLOSE:
            self._leave_soon()
        pong: bool = self.current_frame.opcode == PONG
        if pong and b"".join(self.control_frame_data) != self.autoPingPending:
            self.control_frame_data = None
            return True
        done: bool = super().processControlFrame()  # type: ignore[misc]
        return done

    def _closeConnection(self, abort: bool = False) -> None:
        if not abort:
            self._leave_soon()
        super()._closeConnection(abort)  # type: ignore[misc]

    def _leave_soon(self) -> None:
        """Nothing more is said; who does not read what was, or does not end TLS, would stay for ever, with its name."""
        if self._leaving is None:
            self._leaving = self.clock.callLater(GOODBYE, self.drop, "it says goodbye and stays")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """`connectionLost` tells."""

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused, self._unread = False, 0
        pong, self._pong = self._pong, None
        if pong is not None:
            self.sendPong(pong)  # type: ignore[attr-defined]
        self.drained()

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost tells."""


class ServerSocket(Socket, WebSocketServerProtocol):  # type: ignore[misc]
    """The end that was called."""

    def onConnect(self, request: Any) -> str:
        """Speak our subprotocol; who does not ask for it is no node, and a stranger finds nothing here."""
        ours: str = self.factory.protocols[0]
        if ours not in request.protocols:
            raise ConnectionDeny(ConnectionDeny.BAD_REQUEST)
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            self.factory.admit(self)
        except Refused as refused:
            self._why = self._why or refused.reason
            raise ConnectionDeny(ConnectionDeny.NOT_FOUND) from None
        return ours


class ClientSocket(Socket, WebSocketClientProtocol):  # type: ignore[misc]
    """The end that called."""


_SHARED = {
    "maxFramePayloadSize": MOST_ENVELOPE,
    "maxMessagePayloadSize": MOST_ENVELOPE,
    "openHandshakeTimeout": HANDSHAKE,
    "autoPingInterval": BEAT,
    "autoPingTimeout": SILENCE,
    "tcpNoDelay": True,
}


class _Servers(WebSocketServerFactory):  # type: ignore[misc, unused-ignore]
    noisy = False

    def __init__(self, owner: Owner, reactor: Any, speaks: str, admit: Callable[[Socket], object]) -> None:
        super().__init__(protocols=[speaks], server="", reactor=reactor)
        self.admit = admit
        self.setProtocolOptions(webStatus=False, **_SHARED)
        self._settled = owner, reactor

    def buildProtocol(self, addr: object) -> ServerSocket:
        socket = ServerSocket()
        socket.settle(*self._settled)
        socket.factory, socket.is_server = self, True
        return socket


class _Clients(WebSocketClientFactory):  # type: ignore[misc, unused-ignore]
    noisy = False

    def __init__(self, owner: Owner, url: str, reactor: Any, speaks: str, headers: Mapping[str, str]) -> None:
        super().__init__(url, protocols=[speaks], useragent="", headers=dict(headers), reactor=reactor)
        self.setProtocolOptions(**_SHARED)
        self._settled = owner, reactor

    def buildProtocol(self, addr: object) -> ClientSocket:
        socket = ClientSocket()
        socket.settle(*self._settled)
        socket.factory, socket.is_server = self, False
        return socket


def server_factory(
    owner: Owner, reactor: Any, speaks: str = SUBPROTOCOL, admit: Callable[[Socket], object] = id
) -> IProtocolFactory:
    """
    Builds a ServerSocket for each connection.

    :param speaks: the subprotocol.
    :param admit: judges by what HTTP says, before it is answered; raises Refused: then it is answered that there is
        nothing of that name.
    """
    return cast(IProtocolFactory, _Servers(owner, reactor, speaks, admit))


def client_factory(
    owner: Owner, url: str, reactor: Any, speaks: str = SUBPROTOCOL, headers: Mapping[str, str] = MappingProxyType({})
) -> IProtocolFactory:
    """
    Builds a ClientSocket.

    :param url: "ws://HOST:PORT/", or "wss://..." where TLS is around it: what HTTP says that it wants.
    :param speaks: the subprotocol.
    :param headers: more of the request.
    """
    return cast(IProtocolFactory, _Clients(owner, url, reactor, speaks, headers))
