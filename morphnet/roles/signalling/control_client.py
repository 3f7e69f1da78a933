"""The client's end of the control link: one call at a time, one outcome for each."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.net.dial import Destination, Dial, Net, phrase_of
from morphnet.net.passage import PassageDial, is_through, relay_of
from morphnet.net.proof import proof_of, proving
from morphnet.net.tls import ClientTls, Peer, is_certificate_alert
from morphnet.net.web import NoWay, WebDial
from morphnet.roles.signalling.control import PACE, ControlLink, Pace
from morphnet.roles.signalling.ways import first_of
from morphnet.wire.fields import is_address
from morphnet.wire.messages.access import Holders
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.control import (
    Drain,
    Goodbye,
    Hello,
    Ids,
    Join,
    Joined,
    Notice,
    Refusal,
    Renew,
    Renewed,
    Revoked,
    Scheduler,
    Signal,
    Welcome,
)
from morphnet.wire.messages.networks import Networks
from morphnet.wire.messages.revocations import Listing
from morphnet.wire.messages.trying import Tried

Way = Dial | PassageDial | WebDial
# What a server may say after its Welcome.
Learnt = Networks | Holders | Advice | Tried
Pushed = Ids | Drain | Goodbye | Revoked | Notice | Scheduler | Renewed | Refusal | Listing | Learnt
_ANSWERS: dict[type, type[Welcome] | type[Joined] | type[Renewed]] = {Hello: Welcome, Join: Joined, Renew: Renewed}
_NOT_OURS = "the server does not accept our certificate"


class NoLink(PeerError):
    """The call did not come to a Welcome; the message says why, in a few words."""


class TurnedAway(Refused):
    """The server understood us and said no."""

    def __init__(self, reason: str, retry_after: float | None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after  # seconds; None: do not hope


class Link(typing.Protocol):
    """The line to the server, as the client sees it."""

    @property
    def group(self) -> str:
        "TLS group of the handshake."

    @property
    def peer_host(self) -> str:
        "Numeric address of the server: the data plane calls it too. Behind another host it may be unknown, and empty."

    @property
    def relay(self) -> str:
        "Through which relay it goes, if any."

    @property
    def local_host(self) -> str:
        "Our numeric address that the call was made from."

    @property
    def peer(self) -> Peer | None:
        "The server's certificate."

    def export(self, context: bytes) -> bytes:
        "64 bytes of key material that only the two ends know."

    def send(self, signal: Signal) -> None:
        "Tell the server something."

    def tell(self, message: Listing) -> None:
        "Tell the server something of revoked certificates."

    def close(self, reason: str = "") -> None:
        "Say Goodbye and hang up."

    def prove(self, within: float) -> None:
        "Drop the link unless a sign of life comes within so many seconds."


class Listener(typing.Protocol):
    """Who wants to know how a call went. After each `connect`: one of welcomed, refused, failed."""

    def hello(self) -> Hello:
        """What to say now."""
        ...

    def welcomed(self, welcome: Welcome, link: Link) -> None:
        """The link is up."""
        ...

    def refused(self, reason: str, retry_after: float | None) -> None:
        """The server said no; None means that it will go on saying so (revoked, for example)."""
        ...

    def failed(self, reason: str) -> None:
        """Nobody there, or not the one we wanted."""
        ...

    def signal(self, signal: Pushed) -> None:
        """The server says something; a Refusal here is about a renewal."""
        ...

    def lost(self, reason: str) -> None:
        """A link that was up is not any more. Not called after `close`."""
        ...


class ClientLink(ControlLink):
    """
    One call.

    :param first: makes the first message, once the server has proven who it is.
    """

    def __init__(self, clock: IReactorTime, pace: Pace, pq: str, first: Callable[[], Hello | Join | Renew]) -> None:
        super().__init__(clock, pace, pq)
        self._first = first
        self.called = ""  # the server's numeric address, if that is what we call
        self._wanted: type[Welcome] | type[Joined] | type[Renewed] = Welcome
        self._up = False
        self.answer: Deferred[Welcome | Joined | Renewed] = Deferred(lambda _: self.drop("given up"))
        self.pushed: Callable[[Pushed], None] = lambda signal: None
        self.lost: Callable[[str], None] = lambda reason: None

    @property
    def peer_host(self) -> str:
        return self.called if is_through(self.transport) else self.host

    @property
    def relay(self) -> str:
        return relay_of(self.transport)

    @property
    def local_host(self) -> str:
        return self.local

    def introduced(self) -> None:
        first = self._first()
        self._wanted = _ANSWERS[type(first)]
        self.send(first)

    def received(self, signal: Signal) -> None:
        if self._up:
            if not isinstance(signal, Pushed):
                raise MalformedFrame(f"{signal.type} out of place")
            self.pushed(signal)
            if isinstance(signal, Goodbye | Revoked):
                self.finish(Goodbye(), f"{signal.type}: {signal.reason}" if signal.reason else signal.type)
        elif isinstance(signal, Refusal):
            self._decide(Failure(TurnedAway(signal.reason, signal.retry_after)))
            self.finish(Goodbye(), signal.reason)
        elif isinstance(signal, Goodbye):
            self.finish(Goodbye(), signal.reason or "goodbye")
        elif isinstance(signal, Welcome | Joined | Renewed) and isinstance(signal, self._wanted):
            self._up = True
            self.settled()
            self._decide(signal)
        else:
            raise MalformedFrame(f"{signal.type} out of place")

    def ended(self, reason: str, failure: Failure) -> None:
        if self._up:
            self._up = False
            self.lost(reason)
        elif is_certificate_alert(failure):
            # TLS 1.3 has completed for us by then; the server's verdict comes after.
            self._decide(Failure(TurnedAway(_NOT_OURS, None)))
        else:
            self._decide(Failure(NoLink(reason)))

    def _decide(self, answer: Welcome | Joined | Renewed | Failure) -> None:
        if not self.answer.called:
            self.answer.callback(answer)  # a Failure takes the errback's way


class _Links(Factory):
    noisy = False

    def __init__(self, make: Callable[[], ClientLink]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> ClientLink:
        return self._make()


async def _call(dial: Way, tls: ClientTls, clock: IReactorTime, make: Callable[[], ClientLink]) -> ClientLink:
    """
    A link to one who has proved to be the server, our first message on its way.

    :raises NoLink: nobody there, or not the one we wanted.
    """
    factory = proving(tls, cast(IProtocolFactory, _Links(make)), clock, PACE.handshake_s)
    try:
        protocol = await dial.connect(factory, proof_of)
    except CancelledError:
        raise
    except Exception as trouble:  # whatever the resolver or the kernel says
        raise NoLink(phrase_of(Failure(trouble))) from None
    return cast(ClientLink, protocol)


class ControlClient:
    """
    Calls the server whenever told to; `listener` hears what comes of it.

    :param pq: "require" refuses a handshake without ML-KEM, "allow" takes it.
    """

    _log = Logger()

    def __init__(
        self,
        net: Net,
        tls: ClientTls,
        destination: Destination,
        listener: Listener,
        pace: Pace = PACE,
        pq: str = "require",
    ) -> None:
        self._clock, self._tls, self._listener = cast(IReactorTime, net), tls, listener
        self._pace, self._pq = pace, pq
        self._dial = Dial(net, destination, pace.handshake_s)
        self._called = destination.host if is_address(destination.host) else ""
        self.passages: Callable[[], Sequence[PassageDial]] = tuple  # how the server is called through relays
        self.web: Callable[[], WebDial | None] = lambda: None  # how it is called through a web server, and not else
        self._calling: Deferred[None] | None = None
        self._link: ClientLink | None = None
        self._troubles: list[str] = []  # why the call came to nothing, by each relay

    @property
    def link(self) -> Link | None:
        """The link while it is up."""
        return self._link

    def connect(self) -> Deferred[None]:
        """Call now; fires, never fails, once the listener has heard the outcome. A call under way is given up."""
        self.close()
        calling = self._calling = Deferred.fromCoroutine(self._connect())
        calling.addErrback(self._unexpected)
        return calling

    def close(self, reason: str = "") -> None:
        """Give up the call, or hang up. The listener hears nothing more of it."""
        calling, self._calling = self._calling, None
        if calling is not None:
            calling.cancel()
        link, self._link = self._link, None
        if link is not None:
            link.lost = lambda reason: None
            link.pushed = lambda signal: None
            link.close(reason)

    async def _connect(self) -> None:
        self._troubles.clear()
        try:
            web = self.web()
            dials: list[Way] = [web] if web is not None else [self._dial, *self.passages()]
            link = await first_of(self._clock, [partial(self._begin, dial) for dial in dials])
            welcome = await link.answer
        except CancelledError:
            return
        except TurnedAway as refused:
            self._calling = None
            self._listener.refused(refused.reason, refused.retry_after)
        except (NoLink, NoWay) as trouble:
            self._calling = None
            self._listener.failed("; ".join(dict.fromkeys((str(trouble), *self._troubles))))
        else:
            assert isinstance(welcome, Welcome)  # the answer to Hello
            self._calling, self._link = None, link
            link.pushed, link.lost = self._listener.signal, self._lost
            self._listener.welcomed(welcome, link)

    def _begin(self, dial: Way) -> Deferred[ClientLink]:
        calling = Deferred.fromCoroutine(_call(dial, self._tls, self._clock, self._make))
        if isinstance(dial, PassageDial):
            calling.addErrback(self._relay_failed, dial.to.host)
        return calling

    def _relay_failed(self, failure: Failure, relay: str) -> Failure:
        if failure.check(NoLink):  # else it was given up
            self._troubles.append(f"relay {relay}: {failure.getErrorMessage()}")
        return failure

    def _make(self) -> ClientLink:
        link = ClientLink(self._clock, self._pace, self._pq, self._listener.hello)
        link.called = self._called
        return link

    def _lost(self, reason: str) -> None:
        self._link = None
        self._listener.lost(reason)

    def _unexpected(self, failure: Failure) -> None:
        self._log.failure("the call to the server broke", failure)
        self.close("internal error")
        self._listener.failed("internal error")


async def join(
    net: Net, tls: ClientTls, destination: Destination, make_csr: Callable[[], str], pq: str = "require"
) -> Joined:
    """
    Trade an invitation, which `tls` shows, for a certificate.

    :param make_csr: makes the certificate request (PEM), once the server has proven who it is.
    :raises Refused: the server said no.
    :raises NoLink: nobody there, or not the one we wanted.
    """
    clock = cast(IReactorTime, net)
    dial = Dial(net, destination, PACE.handshake_s)
    link = await _call(dial, tls, clock, lambda: ClientLink(clock, PACE, pq, lambda: Join(make_csr())))
    joined = await link.answer
    assert isinstance(joined, Joined)  # the answer to Join
    link.close()
    return joined


async def renew(net: Net, tls: ClientTls, destination: Destination, request: Renew, pq: str = "require") -> Renewed:
    """
    Ask the CA's host for a next certificate, as a relay, whose certificate `tls` shows.

    :raises Refused: it said no.
    :raises NoLink: nobody there, or not the one we wanted.
    """
    clock = cast(IReactorTime, net)
    dial = Dial(net, destination, PACE.handshake_s)
    link = await _call(dial, tls, clock, lambda: ClientLink(clock, PACE, pq, lambda: request))
    renewed = await link.answer
    assert isinstance(renewed, Renewed)  # the answer to Renew
    link.close()
    return renewed
