"""
WebSockets in TLS between peers: they carry datagrams where UDP does not pass.

Source: docs/protocol section 12.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocolFactory
from twisted.python.failure import Failure

from morphnet.errors import MalformedFrame, Refused
from morphnet.net.admission import Admission
from morphnet.net.gate import Gate
from morphnet.net.limits import Limits
from morphnet.net.passage import relay_of
from morphnet.net.tls import Peer, PeersTls, established, handshake_trouble
from morphnet.net.tlstransport import TlsFactory
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.messages.relay import bundle, unbundle

if TYPE_CHECKING:
    from morphnet.net.websocket import Socket

SUBPROTOCOL = "morphnet.peer.1"
LIMITS = Limits(connections=512, half_open=128, half_open_per_source=16)
OPEN_WITHIN = 5.0  # seconds from TCP to the end of both handshakes


class Listener(typing.Protocol):
    """Who wants streams."""

    def opened(self, stream: PeerStream) -> None:
        """Both ends have shown who they are. `end` it if it is one too many."""
        ...

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams of peers."""
        ...

    def lost(self, stream: PeerStream, reason: str) -> None:
        """One that was opened is gone."""
        ...


class PeerStream:
    """
    One stream, as a door.

    :param number: ours of it, among all doors.
    :param peer: whose certificate was shown.
    :param source: where what comes by it is from, as the data plane is told.
    """

    def __init__(self, number: int, peer: str, socket: Socket, source: Endpoint) -> None:
        self.number, self.peer, self.source = number, peer, source
        self.local = Endpoint(socket.local, socket.local_port)
        self.remote = source if source.port else Endpoint(socket.host, socket.port)
        self.relay = relay_of(socket.transport)  # that it goes through, if any
        self.sent = self.received = self.refused = 0  # bundles; those that found it full
        self._socket = socket

    def __str__(self) -> str:
        if self.relay:
            return f"relay {self.relay}"
        host = f"[{self.remote.host}]" if ":" in self.remote.host else self.remote.host
        return f"tcp {host}:{self.remote.port}"

    def send(self, departures: Sequence[Departure]) -> None:
        """Datagrams for the peer, as the pump has them."""
        for departure in departures:
            if self._socket.send_binary(bundle(departure.data, departure.size)):
                self.sent += 1
            else:
                self.refused += 1

    def counters(self) -> dict[str, int]:
        """What has gone by it."""
        return {"stream_sent": self.sent, "stream_received": self.received, "stream_refused": self.refused}

    def prove(self, within: float) -> None:
        """Drop it unless anything comes within so many seconds."""
        self._socket.prove(within)

    def end(self, reason: str) -> None:
        """Hang up; the listener is told when it is gone."""
        self._socket.end(reason)

    def drop(self, reason: str) -> None:
        """Hang up at once."""
        self._socket.drop(reason)


def by_certificate(socket: Socket, pq: str = "allow") -> Peer:
    """
    Whose certificate a socket has shown in its handshake.

    :param pq: "allow" where keys that were agreed on elsewhere seal what it carries, see tls.established.
    :raises Refused: nobody's that may come in.
    """
    connection = socket.connection()
    assert connection is not None  # every factory is behind TLS
    return established(connection, pq)[0]


class Sockets:
    """
    WebSockets that carry datagrams: each is a door from when it is known whose it is.

    :param number: gives each stream its number, among all doors.
    """

    speaks = SUBPROTOCOL

    def __init__(
        self, listener: Listener, reactor: Any, number: Callable[[], int], admission: Admission[Socket]
    ) -> None:
        self.streams: dict[Socket, PeerStream] = {}  # those that are open
        self.admission = admission
        self._listener, self._reactor, self._number = listener, reactor, number
        self._failed = 0  # calls of ours that came to nothing after TCP

    def recognise(self, socket: Socket) -> tuple[str, Endpoint]:
        """
        Whose it is, and where what comes by it is from.

        :raises Refused: nobody's that may come in.
        """
        raise NotImplementedError

    def calling(self, tls: IOpenSSLClientConnectionCreator, to: Endpoint, path: str = "/") -> IProtocolFactory:
        """
        For one call.

        :param path: that HTTP asks for.
        """
        factory: IProtocolFactory = TlsFactory(tls, True, self.inside(to, path), self._reactor)
        return factory

    def inside(self, to: Endpoint, path: str) -> IProtocolFactory:
        """The same, for what is within TLS."""
        shown = f"[{to.host}]" if ":" in to.host else to.host
        from morphnet.net.websocket import client_factory  # brings Autobahn

        return client_factory(self, f"wss://{shown}:{to.port}{path}", self._reactor, self.speaks)

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {
            "streams": len(self.streams),
            "streams_failed": self._failed,
            **self.admission.counters(),
        }

    def close(self, reason: str) -> Deferred[None]:
        """Hang up on everybody, and let nobody in any more; fires when all are gone, soon."""
        done = self.admission.close()
        for socket in self.admission:
            socket.drop(reason)
        return done

    # what sockets tell

    def connected(self, socket: Socket) -> None:
        """Somebody is there, unknown."""
        self.admission.entered(socket, called=socket.is_server)

    def opened(self, socket: Socket) -> None:
        """It has shown a good certificate, and so have we."""
        self.admission.proven(socket)
        try:
            peer, source = self.recognise(socket)
        except Refused as refused:
            socket.drop(refused.reason)
            return
        stream = self.streams[socket] = PeerStream(self._number(), peer, socket, source)
        self._listener.opened(stream)

    def text(self, socket: Socket, text: bytes) -> None:
        """:raises MalformedFrame: always: nobody has anything to say here but datagrams."""
        raise MalformedFrame("text on a stream")

    def binary(self, socket: Socket, content: bytes) -> None:
        """:raises MalformedFrame: it is no bundle."""
        stream = self.streams.get(socket)
        if stream is None:
            raise MalformedFrame("datagrams on no open stream")
        try:
            data, size = unbundle(memoryview(content))
        except MalformedFrame as trouble:
            self.admission.complaints.add(str(trouble))
            raise
        stream.received += 1
        self._listener.arrived([Arrival(stream.number, stream.source, data, size)])

    def spent(self, socket: Socket, cost: int) -> None:
        """It has its turns, and nothing is forwarded."""

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """It is gone."""
        stream = self.streams.pop(socket, None)
        why = reason or handshake_trouble(socket.connection(), failure)
        if stream is not None:
            self._listener.lost(stream, why)
        elif not socket.is_server:
            self._failed += 1
        else:
            self.admission.refused(why)
        self.admission.left(socket)


class StreamPort(Sockets):
    """
    All streams of peers, those that they open and our own.

    :param tls: knows who may call.
    :param number: gives each stream its number, among all doors.
    """

    def __init__(
        self,
        tls: PeersTls,
        listener: Listener,
        reactor: Any,
        number: Callable[[], int],
        limits: Limits = LIMITS,
        pq: str = "require",
    ) -> None:
        self._pq = pq
        self.gate = Gate(reactor)  # for whoever calls us
        super().__init__(listener, reactor, number, Admission(self.gate, "streams", limits, OPEN_WITHIN))
        from morphnet.net.websocket import server_factory  # brings Autobahn

        inner = server_factory(self, reactor, self.speaks)
        self.factory = self.admission.doorway(tls, inner)
        self.met: IProtocolFactory = TlsFactory(tls, False, inner, reactor)  # for whom we went to meet

    def recognise(self, socket: Socket) -> tuple[str, Endpoint]:
        """:raises Refused: nobody's that may come in."""
        name = by_certificate(socket, self._pq).name
        return name, Endpoint(name, 0)

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {**super().counters(), **self.gate.counters()}
