"""The server's end of the control links: the port, its limits, and what each caller may say when."""

from __future__ import annotations

import typing
from collections.abc import Callable, Coroutine
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import ConfigError, HostError, MalformedFrame, Refused
from morphnet.net.admission import Admission
from morphnet.net.alpn import speaks_http
from morphnet.net.gate import Gate
from morphnet.net.limits import LIMITS, Limits
from morphnet.net.passage import is_through
from morphnet.net.tls import Peer, ServerTls
from morphnet.pki.authority import read_description
from morphnet.roles.signalling.control import PACE, ControlLink, Pace
from morphnet.text import same_name
from morphnet.wire.messages.codec import phrase
from morphnet.wire.messages.control import (
    VERSION,
    Goodbye,
    Hello,
    Join,
    Joined,
    Refusal,
    Renew,
    Renewed,
    Scheduler,
    Signal,
    Welcome,
)
from morphnet.wire.messages.networks import Advertise
from morphnet.wire.messages.revocations import Listing
from morphnet.wire.messages.terms import PathTerms
from morphnet.wire.messages.trying import TryPort

Said = Scheduler | PathTerms | Listing | Advertise | TryPort  # by a client after its Welcome
NO_STREAMS = "no streams are taken"
_SORRY = 5.0  # seconds after which a client may try again when the fault is ours


def nobody(host: str) -> Protocol | None:
    """Who takes streams where none are taken."""
    return None


class RefusedForNow(Refused):
    """Turned away, but asked to come back."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after  # seconds


class Caller(typing.Protocol):
    """One client on the line, as the office sees it. Hashable by identity."""

    @property
    def name(self) -> str:
        "As in its certificate."

    @property
    def peer(self) -> Peer | None:
        "Its certificate."

    @property
    def serial(self) -> str:
        "Its certificate's, see tls.Peer."

    @property
    def not_after(self) -> float:
        "Its certificate's end, Unix seconds."

    @property
    def group(self) -> str:
        "TLS group of the handshake."

    @property
    def host(self) -> str:
        "Its numeric address."

    @property
    def local(self) -> str:
        "Our numeric address that it called."

    @property
    def direct(self) -> bool:
        "Whether the address is its own, or its router's: neither a relay nor a web server is in between."

    def export(self, context: bytes) -> bytes:
        "64 bytes of key material that only the two ends know."

    def send(self, signal: Signal) -> None:
        "Push a signal."

    def tell(self, message: Listing) -> None:
        "Say something of revoked certificates."

    def close(self, reason: str = "") -> None:
        "Say Goodbye and hang up."

    def finish(self, last: Signal, reason: str) -> None:
        "Say something else than Goodbye and hang up."

    def prove(self, within: float) -> None:
        "Drop it unless it gives a sign of life within so many seconds."


class Office(typing.Protocol):
    """Who answers the callers."""

    async def hello(self, caller: Caller, hello: Hello) -> Welcome:
        """
        Take the caller in. May be cancelled, when the caller hangs up.

        :raises Refused: no; or RefusedForNow: not now.
        """
        ...

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        """The caller has been sent the Welcome that `hello` gave; what is sent from now on comes after it."""
        ...

    def signal(self, caller: Caller, signal: Said | Goodbye) -> None:
        """A caller who was welcomed says something."""
        ...

    def gone(self, caller: Caller, reason: str) -> None:
        """A caller to whom `hello` gave a Welcome is no longer there. Exactly once for each."""
        ...

    async def join(self, invitation: Peer, csr: str) -> Joined:
        """
        Trade an invitation for a certificate.

        :raises Refused: used already, or the request is no good.
        """
        ...

    async def renew(self, present: Peer, csr: str) -> Renewed:
        """
        The certificate after that one; only if it was shown in a handshake has anybody looked at it.

        :raises Refused: it is no good, or the request.
        """
        ...


class ServerLink(ControlLink):
    """One caller. A client says Hello, an invitation Join, a relay Renew; nothing else comes first."""

    _log = Logger()
    patience = 1.5

    def __init__(self, server: ControlServer, pace: Pace) -> None:
        super().__init__(server.clock, pace, "require")
        self._server = server
        self._asked: Deferred[None] | None = None  # what the office is busy with for us
        self._welcomed = False

    @property
    def name(self) -> str:
        return "" if self.peer is None else self.peer.name

    @property
    def serial(self) -> str:
        return "" if self.peer is None else self.peer.serial

    @property
    def not_after(self) -> float:
        return 0.0 if self.peer is None else self.peer.not_after

    @property
    def direct(self) -> bool:
        return not is_through(self.transport)

    def connectionMade(self) -> None:
        super().connectionMade()
        self._server.admission.entered(self)

    def handshakeCompleted(self) -> None:
        if speaks_http(self._connection()):
            self._make_way()
        else:
            super().handshakeCompleted()

    def _make_way(self) -> None:
        """It is no control link: from here on the connection is another protocol's, or nobody's."""
        inside = self._server.streams(self.host)
        if inside is None:
            self.drop(NO_STREAMS)
            return
        self.give_up()
        self._server.admission.left(self)
        tls = self._tls()
        tls.wrappedProtocol = inside
        inside.makeConnection(tls)

    def introduced(self) -> None:
        self._server.admission.proven(self)

    def turned_away(self, reason: str) -> None:
        self.finish(Refusal(phrase(reason)), reason)

    def received(self, signal: Signal) -> None:
        if self._welcomed and isinstance(signal, Said):
            self._server.office.signal(self, signal)
        elif self._welcomed and isinstance(signal, Goodbye):
            self._server.office.signal(self, signal)
            self.finish(Goodbye(), f"goodbye {signal.reason}".strip())
        elif self._asked is not None:
            raise MalformedFrame(f"{signal.type} while the last request is not answered")
        elif not self._welcomed and isinstance(signal, Hello) and not self._is("invite"):
            self._ask(self._hello(signal))
        elif not self._welcomed and isinstance(signal, Join) and self._is("invite"):
            self._ask(self._join(signal))
        elif isinstance(signal, Renew) and (self._welcomed or self._is("server")):
            self._ask(self._renew(signal))
        else:
            raise MalformedFrame(f"{signal.type} out of place")

    def ended(self, reason: str, failure: Failure) -> None:
        self._server.admission.left(self)
        if self.peer is None:
            self._server.admission.refused(reason)
        if self._asked is not None:
            self._asked.cancel()
        if self._welcomed:
            self._welcomed = False
            self._server.office.gone(self, reason)

    def _is(self, kind: str) -> bool:
        return self.peer is not None and self.peer.kind == kind

    def _ask(self, request: Coroutine[Deferred[object], object, None]) -> None:
        asked = self._asked = Deferred.fromCoroutine(request)

        def answered(result: object) -> None:
            self._asked = None
            if isinstance(result, Failure):
                self._failed(result)

        asked.addBoth(answered)

    def _failed(self, failure: Failure) -> None:
        """The office said no, or broke."""
        if failure.check(CancelledError) is not None:
            return
        refused = failure.value
        if isinstance(refused, Refused):
            after = refused.retry_after if isinstance(refused, RefusedForNow) else None
            refusal = Refusal(phrase(refused.reason), after)
            self._server.admission.complaints.add(refusal.reason)
        elif isinstance(refused, HostError | ConfigError):  # ours: a full disk, a database that is locked
            self._log.error("a caller cannot be answered: {trouble}", trouble=str(refused))
            refusal = Refusal("the server has trouble of its own", _SORRY)
        else:
            self._log.failure("request of a caller failed", failure)
            refusal = Refusal("internal error", _SORRY)
        if self._welcomed:
            self.send(refusal)  # of a renewal: the session goes on
        else:
            self.finish(refusal, refusal.reason)

    async def _hello(self, hello: Hello) -> None:
        if hello.version != VERSION:
            raise Refused(f"version {hello.version} is not spoken here")
        if not self._is("client"):
            raise Refused("certificate of a wrong usage")
        if not same_name(hello.name, self.name):
            raise Refused("name is not the certificate's")
        welcome = await self._server.office.hello(self, hello)
        if self._ending:
            self._server.office.gone(self, self._why or "hung up")
            return
        self._welcomed = True
        self.send(welcome)
        self.settled()
        self._server.office.welcomed(self, hello)

    async def _join(self, join: Join) -> None:
        assert self.peer is not None  # there was a handshake
        self.finish(await self._server.office.join(self.peer, join.csr), "joined")

    async def _renew(self, renew: Renew) -> None:
        """A client asks, which may have another certificate by now than at the handshake; or a relay, for anybody."""
        present = read_description(renew.certificate) if renew.certificate else self.peer
        assert present is not None  # there was a handshake
        if self._welcomed and not (present.kind == "client" and same_name(present.name, self.name)):
            raise Refused("certificate of another name")
        renewed = await self._server.office.renew(present, renew.csr)
        if self._welcomed:
            self.send(renewed)
        else:
            self.finish(renewed, "renewed")


@implementer(IProtocolFactory)
class _Links(Factory):
    noisy = False

    def __init__(self, server: ControlServer, pace: Pace) -> None:
        self._make = lambda: ServerLink(server, pace)

    def buildProtocol(self, addr: IAddress | None) -> ServerLink:
        return self._make()


class ControlServer:
    """
    All callers. `factory` is what an endpoint listens with, several endpoints if need be; they come by the `gate`.

    :param streams: takes a connection from that address that asks for HTTP inside, or gives None.
    """

    def __init__(
        self,
        tls: ServerTls,
        office: Office,
        gate: Gate,
        limits: Limits = LIMITS,
        pace: Pace = PACE,
        streams: Callable[[str], Protocol | None] = nobody,
    ) -> None:
        self.office, self.clock, self.streams = office, gate.clock, streams
        self.admission: Admission[ServerLink] = Admission(gate, "control", limits)
        inner = cast(IProtocolFactory, _Links(self, pace))
        self.factory = self.admission.doorway(tls, inner)

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {"control_links": len(self.admission), **self.admission.counters()}

    def close(self, reason: str = "server stops") -> Deferred[None]:
        """Say Goodbye to everybody; fires when all are gone, soon."""
        done = self.admission.close()
        for link in self.admission:
            if link.peer is None:
                link.drop(reason)
            else:
                link.close(reason)
        return done
