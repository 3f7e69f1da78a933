"""
A connection through a relay: what looks like TCP to whoever uses it, and is a WebSocket to the relay.

Its two ends are a client and its server, that both call. What goes through is their TLS, as by TCP to the server's
port; the relay hands it on unread, and can only stop it.

Source: docs/protocol section 11.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IProtocol, IProtocolFactory, IReactorTime, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.net.dial import Destination, Dial, Net, Proof
from morphnet.net.proof import proof_of, proving
from morphnet.net.tls import ClientTls, established, handshake_trouble
from morphnet.wire.messages.relay import Joined, Meet, Reach, TurnedAway, decode, encode

if TYPE_CHECKING:
    from morphnet.net.websocket import Socket

PIECE = 32 << 10  # bytes of one binary
MOST_UNSENT = 2 << 20  # bytes that wait because the relay does not read, before we hang up
JOINED_WITHIN = 8.0  # seconds from the open line to the other end


class NoPassage(PeerError):
    """The relay does not let us through; the message says why, in a few words."""


@implementer(ITransport, IConsumer)
class PassageTransport:
    """
    One end, as a protocol's transport.

    :param relay: the host that is called.
    """

    def __init__(self, socket: Socket, relay: str = "") -> None:
        self.relay = relay
        self.disconnecting = False
        self._socket = socket
        self._unsent: deque[bytes] = deque()
        self._size = 0  # bytes of these
        self._producer: Any = None
        self._streaming = self._waits = False
        socket.drained = self._drained
        kind = IPv6Address if ":" in socket.host else IPv4Address
        self._peer = kind("TCP", socket.host, socket.port)
        self._host = kind("TCP", socket.local, socket.local_port)

    # what a protocol asks of its transport

    def write(self, data: bytes) -> None:
        """Send, or keep it until the relay reads again."""
        if self.disconnecting or not data:
            return
        self._unsent.extend(data[at : at + PIECE] for at in range(0, len(data), PIECE))
        self._size += len(data)
        self._flush()
        if self._size > MOST_UNSENT:
            self.abortConnection()
        elif not self._socket.reads and self._producer is not None and not self._waits:
            self._waits = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        """Send all of them."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Hang up when all is sent."""
        self.disconnecting = True
        if not self._unsent:
            self._socket.end("done")

    def abortConnection(self) -> None:
        """Hang up at once."""
        self.disconnecting = True
        self._unsent.clear()
        self._size = 0
        self._socket.drop("done")

    def getPeer(self) -> IPv4Address | IPv6Address:
        """Where the relay is."""
        return self._peer

    def getHost(self) -> IPv4Address | IPv6Address:
        """Where we have called it from."""
        return self._host

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Who writes, and is to wait when the relay does not read."""
        self._producer, self._streaming, self._waits = producer, streaming, not self._socket.reads
        if not streaming:
            producer.resumeProducing()
        elif self._waits:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Nobody is to be told any more."""
        self._producer = None

    def pauseProducing(self) -> None:
        """Our protocol wants no more for now."""
        self._socket.stop_reading()

    def resumeProducing(self) -> None:
        """It does again."""
        self._socket.read_on()

    def stopProducing(self) -> None:
        """It never will."""
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """The WebSocket waits for nothing in any case."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """It has signs of life of its own."""

    # within

    def _flush(self) -> None:
        while self._unsent and self._socket.reads and self._socket.send_binary(self._unsent[0]):
            self._size -= len(self._unsent.popleft())

    def _drained(self) -> None:
        self._flush()
        if not self._socket.reads or self._unsent:
            return
        if self.disconnecting:
            self._socket.end("done")
        elif self._producer is not None and (self._waits or not self._streaming):
            self._waits = False
            self._producer.resumeProducing()


def relay_of(transport: object) -> str:
    """Through which relay a connection with TLS goes; "" where it goes through none."""
    below = getattr(transport, "transport", None)
    return below.relay if isinstance(below, PassageTransport) else ""


def is_through(transport: object) -> bool:
    """Whether the other end of a connection with TLS is not where its TCP ends: a relay is there, or a web server."""
    return isinstance(getattr(transport, "transport", None), PassageTransport)


class _End:
    """Our socket at the relay, from the call to the end of the passage."""

    def __init__(self, dial: PassageDial, inner: IProtocolFactory, clock: IReactorTime, handshake: float) -> None:
        self._first, self._pq, self._relay = dial.first, dial.pq, dial.to.host
        self._inner, self._clock, self._handshake = inner, clock, handshake
        self._socket: Socket | None = None
        self._protocol: IProtocol | None = None
        self._transport: PassageTransport | None = None
        self._why = ""
        self.joined: Deferred[IProtocol] = Deferred(lambda _: self._hang_up("given up"))

    def _hang_up(self, why: str) -> None:
        self._why = self._why or why
        if self._socket is not None:
            self._socket.drop(why)

    # what the socket tells

    def connected(self, socket: Socket) -> None:
        """TLS with the relay is up."""
        self._socket = socket
        self._timer = self._clock.callLater(
            self._handshake + JOINED_WITHIN, self._hang_up, "the other end does not come"
        )

    def opened(self, socket: Socket) -> None:
        """HTTP has agreed."""
        connection = socket.connection()
        assert connection is not None  # the factory is behind TLS
        try:
            established(connection, self._pq)
        except Refused as refused:
            self._hang_up(refused.reason)
            return
        socket.send_text(encode(self._first))

    def text(self, socket: Socket, text: bytes) -> None:
        """:raises MalformedFrame: what it says has no place here."""
        message = decode(text)
        if isinstance(message, TurnedAway):
            self._why = message.reason
            socket.end(message.reason)
        elif isinstance(message, Joined) and self._protocol is None:
            self._begin(socket)
        else:
            raise MalformedFrame(f"{message.type} out of place")

    def _begin(self, socket: Socket) -> None:
        self._timer.cancel()
        self._transport = transport = PassageTransport(socket, self._relay)
        self._protocol = protocol = self._inner.buildProtocol(transport.getPeer())
        if protocol is None:
            self._hang_up("there are too many")
            return
        protocol.makeConnection(transport)
        self.joined.callback(protocol)

    def binary(self, socket: Socket, content: bytes) -> None:
        """:raises MalformedFrame: nobody is there yet."""
        if self._protocol is None:
            raise MalformedFrame("bytes of nobody")
        self._protocol.dataReceived(content)

    def spent(self, socket: Socket, cost: int) -> None:
        """What the relay brings is for the protocol to judge."""

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """It is gone."""
        if self._timer.active():
            self._timer.cancel()
        if self._protocol is not None:
            aborted = self._transport is not None and self._transport.disconnecting
            clean = failure.check(ConnectionDone) is not None
            lost = ConnectionDone() if clean else ConnectionAborted() if aborted else ConnectionLost()
            self._protocol.connectionLost(Failure(lost))
        if not self.joined.called:
            why = self._why or reason or handshake_trouble(socket.connection(), failure)
            self.joined.errback(Failure(NoPassage(why)))


class PassageDial:
    """
    Like a Dial, through a relay.

    :param tls: our end of TLS with the relay.
    :param first: what to say to it.
    :param pq: for the line to the relay, see tls.established; what goes through has TLS of its own.
    """

    def __init__(
        self, net: Net, tls: ClientTls, to: Destination, first: Reach | Meet, pq: str = "allow", timeout: float = 10.0
    ) -> None:
        self.to, self.first, self.pq = to, first, pq
        self._net, self._tls = net, tls
        self._dial = Dial(net, to, timeout)

    def connect(self, factory: IProtocolFactory, proof: Proof = succeed) -> Deferred[IProtocol]:
        """
        Call now; may be cancelled. One call at a time.

        Fires with what `proof` makes of the connection; fails with NoPassage, or as the call to the relay did.
        """
        return Deferred.fromCoroutine(self._connect(factory, proof))

    async def _connect(self, factory: IProtocolFactory, proof: Proof) -> IProtocol:
        from morphnet.net.websocket import HANDSHAKE, client_factory  # brings Autobahn

        clock = cast(IReactorTime, self._net)
        end = _End(self, factory, clock, HANDSHAKE)
        shown = f"[{self.to.host}]" if ":" in self.to.host else self.to.host
        outer = client_factory(end, f"wss://{shown}:{self.to.port}/", self._net)
        await self._dial.connect(proving(self._tls, outer, clock, HANDSHAKE), proof_of)
        return await proof(await end.joined)
