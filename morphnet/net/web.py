"""
A connection through a web server: to who watches it is a visit to the site there, by HTTPS.

The client asks the web server, whose certificate is one that every browser trusts, for a path that the operator chose,
as a WebSocket, and shows there that it belongs to the network; the web server hands it on to us. What goes through is
our own TLS, as by TCP to the control port: the web server could stop it, and can neither read it nor be us.

Source: docs/protocol section 17.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocol, IProtocolFactory, IReactorTime
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.net.alpn import HTTP
from morphnet.net.dial import Destination, Dial, Net, Proof, phrase_of
from morphnet.net.knock import NO_KNOCK
from morphnet.net.passage import PassageTransport
from morphnet.net.tlstransport import TlsFactory

if TYPE_CHECKING:
    from morphnet.net.websocket import Socket

SUBPROTOCOL = "morphnet.web.1"
MOST = 2048  # connections by web servers, at a time
_COOKIE, _NAME = "cookie", "session="  # header in lower case, and what is in front of the knock


class NoWay(PeerError):
    """The web server does not let us through; the message says why, in a few words."""


def public_tls(host: str) -> IOpenSSLClientConnectionCreator:
    """
    As a browser calls: any certificate for that host is good that the machine's own list of CAs vouches for.

    :param host: a name, or a numeric address.
    """
    return optionsForClientTLS(host, acceptableProtocols=[HTTP])


class _Lines:
    """Sockets at either end of a web server, each with what speaks through it."""

    def __init__(self) -> None:
        self._spoken: dict[Socket, IProtocol] = {}

    def begin(self, socket: Socket, inner: IProtocolFactory, host: str = "") -> IProtocol | None:
        """
        Have a protocol of that factory speak through it; None when it does not want to.

        :param host: whose address it is told; "" for the socket's own.
        """
        kind = IPv6Address if ":" in (host or socket.host) else IPv4Address
        transport = WebTransport(socket, kind("TCP", host or socket.host, socket.port))
        protocol = inner.buildProtocol(transport.getPeer())
        if protocol is not None:
            self._spoken[socket] = protocol
            protocol.makeConnection(transport)
        return protocol

    def text(self, socket: Socket, text: bytes) -> None:
        """:raises MalformedFrame: always."""
        raise MalformedFrame("text by a web server")

    def binary(self, socket: Socket, content: bytes) -> None:
        """:raises MalformedFrame: nobody is there."""
        protocol = self._spoken.get(socket)
        if protocol is None:
            raise MalformedFrame("bytes of nobody")
        protocol.dataReceived(content)

    def spent(self, socket: Socket, cost: int) -> None:
        """It has its turns, and nothing is forwarded."""

    def over(self, socket: Socket, failure: Failure) -> None:
        """It is gone."""
        protocol = self._spoken.pop(socket, None)
        if protocol is not None:
            clean = failure.check(ConnectionDone) is not None
            protocol.connectionLost(Failure(ConnectionDone() if clean else ConnectionLost()))


class WebTransport(PassageTransport):
    """One end, as a protocol's transport; it is through no relay."""

    def __init__(self, socket: Socket, peer: IPv4Address | IPv6Address) -> None:
        super().__init__(socket)
        self._peer = peer


class _Calls(_Lines):
    """Our sockets of one call, one for each address that is tried."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[Socket, Deferred[IProtocol]] = {}

    def answer_to(self, connected: IProtocol) -> Deferred[IProtocol]:
        """Fires with the socket when the web server has let it through; cancelled, it hangs up."""
        return self._asked[cast("Socket", cast(TLSMemoryBIOProtocol, connected).wrappedProtocol)]

    def connected(self, socket: Socket) -> None:
        """TCP is up."""
        self._asked[socket] = Deferred(lambda _: socket.drop("given up"))

    def opened(self, socket: Socket) -> None:
        """TLS and HTTP have agreed."""
        if not self._asked[socket].called:
            self._asked[socket].callback(cast(IProtocol, socket))

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """It is gone."""
        asked = self._asked.pop(socket)
        if not asked.called:
            asked.errback(Failure(NoWay(reason or _trouble(socket.connection(), failure))))
        self.over(socket, failure)


def _trouble(connection: SSL.Connection | None, failure: Failure) -> str:
    """Why the web server does not let us through, in words that are never its own."""
    if isinstance(failure.value, SSL.Error) and "certificate verify failed" in str(failure.value.args):
        return "its certificate is none that this machine trusts"
    if failure.type is not None and "Verification" in failure.type.__name__:
        return "its certificate is of another name"
    agreed = connection is not None and connection.get_cipher_name() is not None
    return "it hands nothing on there" if agreed else "connection lost"


class WebDial:
    """
    Like a Dial, through a web server.

    :param tls: our end of TLS with it, see `public_tls`.
    :param path: that is asked for, from its / on.
    :param knock: what shows that we belong to the network, another one each time.
    """

    def __init__(
        self,
        net: Net,
        tls: IOpenSSLClientConnectionCreator,
        to: Destination,
        path: str,
        knock: Callable[[], bytes],
    ) -> None:
        self.to = to
        self._net, self._tls, self._path, self._knock = net, tls, path, knock
        self._dial = Dial(net, to)

    def connect(self, factory: IProtocolFactory, proof: Proof = succeed) -> Deferred[IProtocol]:
        """
        Call now; may be cancelled. One call at a time.

        Fires with what `proof` makes of the connection; fails with NoWay, or CancelledError.
        """
        return Deferred.fromCoroutine(self._connect(factory, proof))

    async def _connect(self, factory: IProtocolFactory, proof: Proof) -> IProtocol:
        from morphnet.net.websocket import client_factory  # brings Autobahn

        calls = _Calls()
        shown = f"[{self.to.host}]" if ":" in self.to.host else self.to.host
        port = "" if self.to.port == 443 else f":{self.to.port}"
        cookie = {"Cookie": f"{_NAME}{self._knock().decode('ascii')}"}
        outer = client_factory(calls, f"wss://{shown}{port}{self._path}", self._net, SUBPROTOCOL, cookie)
        clock = cast(IReactorTime, self._net)
        try:
            reached = await self._dial.connect(TlsFactory(self._tls, True, outer, clock), calls.answer_to)
        except CancelledError:
            raise
        except Exception as trouble:  # whatever the resolver, the kernel or OpenSSL says
            raise NoWay(f"{self.to.host} by HTTPS: {phrase_of(Failure(trouble))}") from None
        protocol = calls.begin(cast("Socket", reached), factory)
        assert protocol is not None  # who calls has somebody to speak
        return await proof(protocol)


class WebDoor(_Lines):
    """
    The server's end: who comes by a web server on this machine is a caller as any other.

    :param inner: of the control port.
    :param takes: whether somebody who says that belongs to the network.
    :param address: where a caller is, as the web server's headers say.
    """

    def __init__(
        self,
        reactor: Any,
        inner: IProtocolFactory,
        takes: Callable[[bytes], bool],
        address: Callable[[Any], str],
    ) -> None:
        from morphnet.net.websocket import server_factory  # brings Autobahn

        super().__init__()
        self._inner, self._takes, self._address = inner, takes, address
        self._here: set[Socket] = set()
        self._refused = 0
        self._closed: Deferred[None] | None = None
        self.factory: IProtocolFactory = server_factory(self, reactor, SUBPROTOCOL, self._admit)

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {"web_callers": len(self._spoken), "web_refused": self._refused}

    def _admit(self, socket: Socket) -> None:
        """:raises Refused: it is nobody of ours: the web server answers that there is nothing, in its own words."""
        said = socket.headers.get(_COOKIE, "").partition(_NAME)[2].partition(";")[0].strip()
        if not self._takes(said.encode("ascii", "replace")):
            self._refused += 1
            raise Refused(NO_KNOCK)

    def connected(self, socket: Socket) -> None:
        """Somebody is there, unknown."""
        self._here.add(socket)
        if len(self._here) > MOST or self._closed is not None:
            self._refused += 1
            socket.drop("there are too many")

    def opened(self, socket: Socket) -> None:
        """It belongs to the network; who it is it has to show inside."""
        if self.begin(socket, self._inner, self._address(socket.headers)) is None:
            socket.drop("there are too many")

    def ended(self, socket: Socket, reason: str, failure: Failure) -> None:
        """It is gone."""
        self._here.discard(socket)
        self.over(socket, failure)
        self._tell_empty()

    def close(self) -> Deferred[None]:
        """Hang up on everybody; fires when all are gone, soon."""
        done = self._closed = Deferred()
        for socket in list(self._here):
            socket.drop("server stops")
        self._tell_empty()
        return done

    def _tell_empty(self) -> None:
        if self._closed is not None and not self._here and not self._closed.called:
            self._closed.callback(None)
