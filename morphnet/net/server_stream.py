"""
WebSockets in TLS between a client and its server: one more path of their session, where UDP does not pass.

They come to the port of the control link, where the greeting of TLS tells them apart (ALPN), or by a proxy that speaks
TLS in front of us. What they carry is sealed with the keys of the session: a stream is a carrier, and no more.

Source: docs/protocol section 12.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocol, IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from morphnet.errors import Refused
from morphnet.net.admission import Admission
from morphnet.net.peer_stream import OPEN_WITHIN, Listener, Sockets, by_certificate
from morphnet.net.proof import NotProven, proof_of, proving
from morphnet.net.tls import Peer
from morphnet.wire.batch import Endpoint

if TYPE_CHECKING:
    from morphnet.net.websocket import Socket

SUBPROTOCOL = "morphnet.stream.1"
PATH = "/morphnet"  # that is asked for by HTTP: a web server in front knows by it what is for us


class ServerStreams(Sockets):
    """
    The server's end.

    :param who: whose certificate a socket or its proxy has seen, and the address that it comes from.
    """

    speaks = SUBPROTOCOL

    def __init__(
        self,
        listener: Listener,
        reactor: Any,
        number: Callable[[], int],
        admission: Admission[Socket],
        who: Callable[[Socket], tuple[Peer, str]] = lambda socket: (by_certificate(socket), socket.host),
    ) -> None:
        super().__init__(listener, reactor, number, admission)
        from morphnet.net.websocket import server_factory  # brings Autobahn

        self._who = who
        self.factory: IProtocolFactory = server_factory(self, reactor, SUBPROTOCOL, self.recognise)

    def take(self, host: str) -> Protocol | None:
        """For a connection from there whose handshake is complete; None when there are too many."""
        return cast(Protocol, self.factory.buildProtocol(None)) if self.admission.admits(host) else None  # type: ignore[arg-type]

    def recognise(self, socket: Socket) -> tuple[str, Endpoint]:
        """:raises Refused: no client that may come in."""
        peer, host = self._who(socket)
        if peer.kind != "client":
            raise Refused("certificate of a wrong usage")
        return peer.name, Endpoint(host, socket.port, socket.local)


class ClientStreams(Sockets):
    """The client's end: whoever is called must have shown the server's certificate, or TLS has ended it."""

    speaks = SUBPROTOCOL

    def calling(self, tls: IOpenSSLClientConnectionCreator, to: Endpoint, path: str = PATH) -> IProtocolFactory:
        """For one call, which is won when the other end has proved to be the server: see `proof`."""
        return proving(tls, self.inside(to, path), self._reactor, OPEN_WITHIN)

    def proof(self, connected: IProtocol) -> Deferred[IProtocol]:
        """What comes of a connection of `calling`, as `net/proof` has it."""
        return proof_of(connected).addErrback(self._not_proven)

    def _not_proven(self, failure: Failure) -> Failure:
        if failure.check(NotProven):  # else it was given up
            self._failed += 1
        return failure

    def recognise(self, socket: Socket) -> tuple[str, Endpoint]:
        """:raises Refused: not the server."""
        return by_certificate(socket).name, Endpoint(socket.host, socket.port)
