"""
A node's line to one relay: called again for ever, and a door for the datagrams that go through it.

Source: docs/protocol section 11.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import MalformedFrame, Refused
from morphnet.net.dial import Destination, Dial, Net, phrase_of
from morphnet.net.limits import TokenBucket
from morphnet.net.proof import proof_of, proving
from morphnet.net.tls import ClientTls, Peer, established, handshake_trouble, is_certificate_alert
from morphnet.net.websocket import HANDSHAKE, Socket, client_factory
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.messages import control
from morphnet.wire.messages.relay import (
    CALL,
    DATAGRAMS,
    Absent,
    Asked,
    Drain,
    News,
    Notice,
    Present,
    Register,
    Registered,
    RelayMessage,
    Renew,
    Renewed,
    TurnedAway,
    Undelivered,
    address,
    bundle,
    decode,
    encode,
    number_of,
    opened,
    unbundle,
)
from morphnet.wire.messages.revocations import Listing, PartsWanted, Revocations, RevokedPart


class Listener(typing.Protocol):
    """Who wants to know what a relay says. After each `connect`: one of registered, refused, failed."""

    def register(self) -> Register:
        """What to say now."""
        ...

    def registered(self, relay: RelayClient, answer: Registered) -> None:
        """The line is up."""
        ...

    def refused(self, relay: RelayClient, reason: str, retry_after: float | None) -> None:
        """The relay said no."""
        ...

    def failed(self, relay: RelayClient, reason: str) -> None:
        """Nobody there, or not the one we wanted."""
        ...

    def lost(self, relay: RelayClient, reason: str) -> None:
        """A line that was up is not any more."""
        ...

    def present(self, relay: RelayClient, peer: Present) -> None:
        """A peer is there, or something about it has changed."""
        ...

    def absent(self, relay: RelayClient, name: str) -> None:
        """It is gone."""
        ...

    def said(self, relay: RelayClient, message: Drain | Renewed | Notice | Asked | Listing) -> None:
        """The relay has something to say."""
        ...

    def handshake(self, relay: RelayClient, name: str, content: bytes) -> None:
        """Bytes of a peer's handshake."""
        ...

    def called(self, relay: RelayClient, name: str) -> None:
        """A peer asks us to begin a handshake."""
        ...

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams of peers."""
        ...


TEXTS, TEXTS_AT_ONCE = 200.0, 20000  # a second that a relay may have us read: a large network is told of at once
TEXT_REST = 0.05  # seconds without reading for one that says more
MOST_PEERS = 256  # that one relay may tell of: what it tells takes nobody else's place


class RelayClient:
    """
    :param door: our number of it, among all doors.
    """

    _log = Logger()

    def __init__(self, net: Net, tls: ClientTls, to: Destination, door: int, listener: Listener) -> None:
        self.number, self.host, self.port = door, to.host, to.port
        self.peers: dict[str, Present] = {}  # who is there, by name
        self.answer: Registered | None = None  # while the line is up
        self.address = ""  # numeric, of the relay, while the line is up
        self.group = ""
        self.peer: Peer | None = None  # the relay's certificate, while the line is up
        self.sent = self.received = self.sent_bytes = self.received_bytes = 0  # envelopes of datagrams
        self.pq = "require"  # or "allow": a proxy in front of a relay may know no ML-KEM; peers require it all the same
        self.refused = 0  # that found the line full, or down
        self.unheeded = 0  # that it told of peers beyond MOST_PEERS
        self._names: dict[int, str] = {}
        self._texts = TokenBucket(TEXTS, TEXTS_AT_ONCE, now=cast(IReactorTime, net).seconds())
        self.tls = tls
        self._listener, self._clock = listener, cast(IReactorTime, net)
        self._dial = Dial(net, to, float(HANDSHAKE))
        shown = f"[{to.host}]" if ":" in to.host else to.host
        factory = client_factory(self, f"wss://{shown}:{to.port}/", net)
        self._factory = proving(tls, factory, self._clock, HANDSHAKE)
        self._calling: Deferred[None] | None = None
        self._socket: Socket | None = None

    # -- the line ------------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Call now; what comes of it the listener hears."""
        self.close()
        self._calling = Deferred.fromCoroutine(self._connect())
        self._calling.addErrback(lambda failure: self._log.failure("the call to a relay broke", failure))

    async def _connect(self) -> None:
        try:
            await self._dial.connect(self._factory, proof_of)
        except CancelledError:
            return
        except Exception as trouble:  # whatever the resolver or the kernel says
            self._listener.failed(self, phrase_of(Failure(trouble)))

    def close(self, reason: str = "") -> None:
        """Give up the call, or hang up. The listener hears nothing more of it."""
        calling, self._calling = self._calling, None
        if calling is not None:
            calling.cancel()
        socket, self._socket = self._socket, None
        self._forget()
        if socket is not None:
            socket.end(reason or "done")

    def counters(self) -> dict[str, int]:
        """What has gone by it, since the start."""
        return {
            "relayed_sent": self.sent,
            "relayed_sent_bytes": self.sent_bytes,
            "relayed_received": self.received,
            "relayed_received_bytes": self.received_bytes,
            "relayed_refused": self.refused,
        }

    def prove(self, within: float) -> None:
        """Drop the line unless the relay shows life within so many seconds."""
        if self._socket is not None and self.answer is not None:
            self._socket.prove(within)

    @property
    def local(self) -> str:
        """Our numeric address on the line."""
        return self._socket.local if self._socket is not None else ""

    def _forget(self) -> list[str]:
        """Nobody is there any more: who was."""
        gone = list(self.peers)
        self.peers.clear()
        self._names.clear()
        self.answer, self.address, self.peer = None, "", None
        return gone

    # -- what the socket tells -----------------------------------------------------------------------------------------

    def connected(self, socket: Socket) -> None:
        """TCP is up."""
        if self._socket is not None and self._socket is not socket:
            self._socket.drop("called anew")
        self._socket = socket

    def opened(self, socket: Socket) -> None:
        """TLS and HTTP have agreed."""
        connection = socket.connection()
        assert connection is not None  # the factory is behind TLS
        try:
            self.peer, self.group = established(connection, self.pq)
        except Refused as refused:
            socket.drop(refused.reason)
            return
        socket.send_text(encode(self._listener.register()))

    def text(self, socket: Socket, text: bytes) -> None:
        """:raises MalformedFrame: what it says has no place here."""
        if not self._texts.take(now=self._clock.seconds()):
            socket.pause_reading(TEXT_REST)
        message = decode(text)
        if socket is not self._socket:
            return
        if self.answer is None:
            self._answered(socket, message)
        else:
            self._told(message)

    def _answered(self, socket: Socket, message: RelayMessage) -> None:
        match message:
            case Registered():
                self.answer, self.address = message, socket.host
                self._listener.registered(self, message)
            case TurnedAway():
                self._socket = None
                socket.end(message.reason)
                self._listener.refused(self, message.reason, message.retry_after)
            case _:
                raise MalformedFrame(f"{message.type} out of place")

    def _told(self, message: RelayMessage) -> None:
        match message:
            case News():
                for gone in message.gone:
                    self._left(gone)
                for here in message.here:
                    self._came(here)
            case Present():
                self._came(message)
            case Absent():
                self._left(message)
            case Undelivered():
                self.refused += 1
            case Drain() | Renewed() | Notice() | Asked() | Revocations() | PartsWanted() | RevokedPart():
                self._listener.said(self, message)
            case _:
                raise MalformedFrame(f"{message.type} out of place")

    def _came(self, message: Present) -> None:
        known = self.peers.get(message.name)
        if known is None and len(self.peers) >= MOST_PEERS:
            self.unheeded += 1
            return
        if known is not None:
            self._names.pop(known.number, None)
        self.peers[message.name], self._names[message.number] = message, message.name
        self._listener.present(self, message)

    def _left(self, message: Absent) -> None:
        if self._names.pop(message.number, None) is not None:
            self.peers.pop(message.name, None)
            self._listener.absent(self, message.name)

    def binary(self, socket: Socket, content: bytes) -> None:
        """:raises MalformedFrame: it is no envelope."""
        name = self._names.get(number_of(content))
        kind, inside = opened(content)
        if name is None or socket is not self._socket:
            return  # it has just gone
        if kind == DATAGRAMS:
            data, size = unbundle(inside)
            self.received += 1
            self.received_bytes += len(content)
            self._listener.arrived([Arrival(self.number, Endpoint(name, 0), data, size)])
        elif kind == CALL:
            self._listener.called(self, name)
        else:
            self._listener.handshake(self, name, bytes(inside))

    def spent(self, socket: Socket, cost: int) -> None:
        """Who takes the relay's bandwidth is the relay's business."""

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """It is gone."""
        if socket is not self._socket:
            return
        self._socket = None
        why = reason or handshake_trouble(socket.connection(), failure)
        was_up = self.answer is not None
        for name in self._forget():
            self._listener.absent(self, name)
        if was_up:
            self._listener.lost(self, why)
        elif is_certificate_alert(failure):
            self._listener.refused(self, "the relay does not accept our certificate", None)
        else:
            self._listener.failed(self, why)

    def renew(self, request: control.Renew) -> None:
        """Ask the relay for our next certificate."""
        self.tell(Renew(request.csr, request.certificate))

    def drop(self, reason: str) -> None:
        """Hang up at once; the listener hears that the line is lost."""
        if self._socket is not None:
            self._socket.drop(reason)

    def tell(self, message: Listing | Renew) -> None:
        """Tell the relay something."""
        if self._socket is not None and self.answer is not None:
            self._socket.send_text(encode(message))

    # -- the door ------------------------------------------------------------------------------------------------------

    def send(self, departures: Sequence[Departure]) -> None:
        """Datagrams for peers, as the pump has them; those for nobody are counted."""
        for departure in departures:
            content = bundle(departure.data, departure.size)
            if self.post(departure.to.host, DATAGRAMS, content):
                self.sent += 1
                self.sent_bytes += len(content)
            else:
                self.refused += 1

    def post(self, name: str, kind: int, content: bytes) -> bool:
        """One envelope; False when the peer is not there, or the line is full."""
        peer, socket = self.peers.get(name), self._socket
        if peer is None or socket is None:
            return False
        return socket.send_binary(address(peer.number, kind, content))
