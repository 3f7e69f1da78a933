"""The relay's port: who may come in, and the lines of those who did. What passes between them is the registry's."""

from __future__ import annotations

import os
import typing
from collections.abc import Callable

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import MalformedFrame, Refused
from morphnet.net.admission import Admission
from morphnet.net.gate import Gate
from morphnet.net.limits import LIMITS, Limits, SourceLimiter
from morphnet.net.subject import carries
from morphnet.net.tls import Peer, ServerTls, established, handshake_trouble
from morphnet.net.websocket import BACKLOG, Socket, server_factory
from morphnet.rendezvous.relay.registry import COME_AGAIN, Registry
from morphnet.roles.certificates.proxied import Proxied
from morphnet.roles.relay.passing import Passing
from morphnet.wire.candidates import LINE, Candidate
from morphnet.wire.messages.codec import phrase
from morphnet.wire.messages.relay import (
    Meet,
    Reach,
    Register,
    Registered,
    RelayMessage,
    Renew,
    TurnedAway,
    Watch,
    decode,
    encode,
    number_of,
)
from morphnet.wire.messages.revocations import Listing

REGISTERED_NOWHERE = 1  # the number of a server, which is no guest
REGISTER_WITHIN = 10.0  # seconds from an open socket to its first message
REGISTER_WITH = 256 << 10  # bytes until then
COMINGS, COMINGS_AT_ONCE = 0.5, 10  # times a second that one name may register: everybody is told each time
MOST_OF_A_SERVER = 16  # lines of one name: a server and a relay may have the same, and those of before may be dead
REVOCATIONS = 1 << 18  # bytes that a list of revoked certificates is charged for: it is read, and its signature checked


class RelayLine:
    """One node's connection, as the registry sees it."""

    def __init__(self, socket: Socket, peer: Peer, host: str) -> None:
        self.socket = socket
        self.peer = peer
        self.name, self.network, self.serial = peer.name, peer.issuer, peer.serial
        self.observed = Candidate(LINE, host, socket.port)
        self.registered = False
        self.spent = 0  # bytes, before it has registered
        self.is_guest = peer.kind == "client"  # a server only brings and fetches lists of what is revoked
        self._shares: dict[int, int] = {}  # bytes that wait, by number of the sender
        self.timer: IDelayedCall | None = None
        self._certificate: x509.Certificate | None = None  # read when it is asked about

    def carries(self, host: str) -> bool:
        """Whether its certificate carries this DNS name or IP address."""
        if self._certificate is None:
            self._certificate = x509.load_pem_x509_certificate(self.peer.pem.encode())
        return carries(self._certificate, host)

    @property
    def reads(self) -> bool:
        """Whether the other end takes what it is told, as far as the kernel tells."""
        return self.socket.reads

    def tell(self, message: RelayMessage) -> None:
        """Send a message."""
        self.say(encode(message))

    def say(self, text: bytes) -> None:
        """Send a message that is a text already."""
        self.socket.send_text(text)

    def hand(self, envelope: bytes) -> bool:
        """Send an envelope; False when the line is full, or half of what waits there is of the same sender."""
        if not self.socket.unread:
            self._shares.clear()
            return self.socket.send_binary(envelope)
        sender = number_of(envelope)
        share = self._shares.get(sender, 0) + len(envelope)
        if share > BACKLOG // 2 or not self.socket.send_binary(envelope):
            return False
        self._shares[sender] = share
        return True

    def pause(self, seconds: float) -> None:
        """Read nothing more for so long."""
        self.socket.pause_reading(seconds)

    def prove(self, within: float) -> None:
        """End it unless it shows life within so many seconds."""
        self.socket.prove(within)

    def end(self, reason: str) -> None:
        """Hang up."""
        self.socket.end(reason)


class Lists(typing.Protocol):
    """Who spreads lists of revoked certificates."""

    def joined(self, line: RelayLine, number: int) -> None:
        """A line is registered; the number of the list that it has."""
        ...

    def left(self, line: RelayLine) -> None:
        """It is gone; harmless when it was not registered."""
        ...

    def heard(self, line: RelayLine, message: Listing) -> None:
        """It has something to say."""
        ...


class RelayServer:
    """
    All lines. `factory` is what an endpoint listens with.

    :param door: our end of TLS; or, on a port that only a proxy on this machine reaches, who reads what that says.
    :param lists: who spreads what is revoked.
    """

    _log = Logger()

    def __init__(
        self,
        door: ServerTls | Proxied,
        registry: Registry,
        gate: Gate,
        lists: Lists,
        limits: Limits = LIMITS,
        pq: str = "require",
    ) -> None:
        self.registry, self.clock, self._lists = registry, gate.clock, lists
        self.asked_renewal: Callable[[RelayLine, Renew], None] = lambda line, message: None
        self.admission: Admission[Socket] = Admission(gate, "lines", limits)
        self._pq = pq
        self._passing = Passing(gate.clock, os.urandom, registry.terms.node_rate, limits.sources)
        self._comings = SourceLimiter(COMINGS, COMINGS_AT_ONCE, limits.sources)
        self._lines: dict[Socket, RelayLine] = {}  # of those who have shown a good certificate
        self._servers: dict[tuple[str, str], list[RelayLine]] = {}  # registered, by network and name; the latest last
        self._proxied = door if isinstance(door, Proxied) else None
        self.factory: IProtocolFactory = server_factory(self, self.clock)
        if isinstance(door, ServerTls):
            self.factory = self.admission.doorway(door, self.factory)

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {"lines": len(self.admission), **self.admission.counters(), **self._passing.counters()}

    def close(self, reason: str = "relay stops") -> Deferred[None]:
        """Hang up on everybody; fires when all are gone, soon."""
        done = self.admission.close()
        for socket in self.admission:
            if socket in self._lines:
                socket.end(reason)
            else:
                socket.drop(reason)
        return done

    # what sockets tell

    def connected(self, socket: Socket) -> None:
        """Somebody is there, unknown."""
        self.admission.entered(socket)

    def opened(self, socket: Socket) -> None:
        """It has shown a good certificate, or is told why it was none."""
        self.admission.proven(socket)
        try:
            peer, host = self._recognised(socket)
        except Refused as refused:
            socket.send_text(encode(TurnedAway(phrase(refused.reason))))
            socket.end(refused.reason)  # `ended` counts it
            return
        line = self._lines[socket] = RelayLine(socket, peer, host)
        line.timer = self.clock.callLater(REGISTER_WITHIN, socket.drop, "it does not register")

    def _recognised(self, socket: Socket) -> tuple[Peer, str]:
        """
        Who it is, and its address.

        :raises Refused: nobody who may come in.
        """
        if self._proxied is not None:
            return self._proxied.peer(socket.headers), self._proxied.address(socket.headers)
        connection = socket.connection()
        assert connection is not None  # the factory is behind TLS
        peer, _ = established(connection, self._pq)
        if peer.kind not in ("client", "server"):
            raise Refused("certificate of a wrong usage")
        return peer, socket.host

    def text(self, socket: Socket, text: bytes) -> None:
        """:raises MalformedFrame: what it says has no place here."""
        line, message = self._line(socket), decode(text)
        if self._passing.has(line):
            raise MalformedFrame(f"{message.type} in a passage")
        if isinstance(message, Register | Reach | Meet) and not line.registered:
            self._begin(socket, line, message)
        elif isinstance(message, Watch) and line.registered and line.is_guest:
            self.registry.watch(line, message.names)
        elif isinstance(message, Listing) and line.registered:
            if line.is_guest:
                self.registry.charge(line, REVOCATIONS)
            self._lists.heard(line, message)
        elif isinstance(message, Renew) and line.registered and line.is_guest:
            self.asked_renewal(line, message)
        else:
            raise MalformedFrame(f"{message.type} out of place")

    def _begin(self, socket: Socket, line: RelayLine, message: Register | Reach | Meet) -> None:
        try:
            if not isinstance(message, Register):
                self._passing.begin(line, message)
            else:
                self._register(line, message)
        except Refused as refused:
            self.admission.complaints.add(refused.reason)
            line.tell(TurnedAway(phrase(refused.reason), COME_AGAIN))
            socket.end(refused.reason)
            return
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        if isinstance(message, Register):
            line.registered = True
            self._lists.joined(line, message.revocations)

    def _register(self, line: RelayLine, message: Register) -> None:
        """:raises Refused: it may not come in."""
        if not self._comings.admit(f"{line.network} {line.name}", now=self.clock.seconds()):
            raise Refused("it comes too often")
        if line.is_guest:
            self.registry.register(line, message)
        else:
            self._admit_server(line)
            if message.passages:
                self._passing.serve(line)

    def _admit_server(self, line: RelayLine) -> None:
        """:raises Refused: its certificate was revoked since the handshake."""
        if self.registry.is_revoked(line.network, line.serial):
            raise Refused("certificate revoked")
        lines = self._servers.setdefault((line.network, line.name), [])
        lines.append(line)
        if len(lines) > MOST_OF_A_SERVER:
            lines.pop(0).end("it has too many lines")
        line.tell(
            Registered(REGISTERED_NOWHERE, (str(line.observed),), revocations=self.registry.list_number(line.network))
        )

    def end_revoked(self) -> None:
        """Hang up on whoever shows a certificate that is revoked now, and is no guest yet, or never will be."""
        for socket, line in list(self._lines.items()):
            if self.registry.is_revoked(line.network, line.serial):
                socket.end("certificate revoked")

    def end_expired(self, wall: float) -> None:
        """
        Hang up on whoever has shown a certificate that has expired since.

        :param wall: Unix seconds.
        """
        for socket, line in list(self._lines.items()):
            if line.peer.not_after <= wall:
                self.registry.gone(line)
                socket.end("certificate expired")

    def binary(self, socket: Socket, content: bytes) -> None:
        """:raises MalformedFrame: it has not registered, or there is nothing in it."""
        line = self._line(socket)
        if self._passing.has(line):
            self._passing.carry(line, content)
            return
        if not line.registered or not line.is_guest:
            raise MalformedFrame("envelope of no guest")
        self.registry.forward(line, content)

    def spent(self, socket: Socket, cost: int) -> None:
        """Whoever it is pays, also for what goes to nobody."""
        line = self._lines.get(socket)
        if line is None:
            return
        if self._passing.has(line):
            self._passing.spent(line, cost)
        elif line.registered:
            self.registry.charge(line, cost)
        else:
            line.spent += cost
            if line.spent > REGISTER_WITH:
                socket.drop("it does not register")

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """It is gone."""
        line = self._lines.pop(socket, None)
        if line is None:
            self.admission.refused(reason or handshake_trouble(socket.connection(), failure))
        else:
            if line.timer is not None and line.timer.active():
                line.timer.cancel()
            self.registry.gone(line)
            self._passing.gone(line)
            self._server_gone(line)
            self._lists.left(line)
        self.admission.left(socket)

    def _server_gone(self, line: RelayLine) -> None:
        """Harmless when it is none."""
        lines = self._servers.get((line.network, line.name), [])
        if line in lines:
            lines.remove(line)
            if not lines:
                del self._servers[line.network, line.name]

    def _line(self, socket: Socket) -> RelayLine:
        line = self._lines.get(socket)
        if line is None:
            raise MalformedFrame("message on no open line")
        return line
