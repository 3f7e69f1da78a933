"""
Who is called proves who it is before anything of ours begins: until then there is TLS and nothing behind it.

TLS 1.3 has the server show its certificate, and prove that it has the key, before the client shows its own (RFC 8446
section 2, figure 1). So whoever answers in the server's place learns what a knock says to a stranger: nothing.
"""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import PeerError
from morphnet.net.tls import STRANGE, handshake_trouble
from morphnet.net.tlstransport import TlsFactory

TOOK_LONG = "handshake took too long"
_REFUSED = "certificate verify failed"  # what OpenSSL calls every certificate that we refuse


class NotProven(PeerError):
    """
    Somebody took the call, and has not proved to be the one who was called; the message says why, in a few words.

    :param stranger: it does not belong to our network; a server of ours may have an expired certificate.
    """

    def __init__(self, reason: str, stranger: bool) -> None:
        super().__init__(reason)
        self.stranger = stranger


@implementer(IHandshakeListener)
class _Proof(Protocol):
    """
    Stands behind TLS until the handshake is complete, and gives its place to the protocol that was wanted then.

    :param patience: seconds from TCP to the proof.
    """

    def __init__(self, wanted: IProtocolFactory, clock: IReactorTime, patience: float) -> None:
        self._wanted, self._clock, self._patience = wanted, clock, patience
        self._why = ""
        self.result: Deferred[IProtocol] = Deferred(lambda _: self._give_up("given up"))

    def connectionMade(self) -> None:
        self._timer = self._clock.callLater(self._patience, self._give_up, TOOK_LONG)

    def handshakeCompleted(self) -> None:
        self._timer.cancel()
        tls = cast(TLSMemoryBIOProtocol, self.transport)
        wanted = self._wanted.buildProtocol(tls.getPeer())
        assert wanted is not None  # a factory that calls has somebody to speak
        tls.wrappedProtocol = wanted
        wanted.makeConnection(tls)
        if IHandshakeListener.providedBy(wanted):
            wanted.handshakeCompleted()
        self.result.callback(wanted)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer.active():
            self._timer.cancel()
        if not self.result.called:
            connection = cast(SSL.Connection, cast(TLSMemoryBIOProtocol, self.transport).getHandle())
            why = self._why or handshake_trouble(connection, reason)
            self.result.errback(NotProven(why, not self._why and _is_strange(why, reason)))

    def _give_up(self, why: str) -> None:
        self._why = self._why or why
        cast(TLSMemoryBIOProtocol, self.transport).abortConnection()


def _is_strange(why: str, failure: Failure) -> bool:
    """
    Whether a handshake of ours ended so that no server of ours was there: others have signed its certificate, or what
    it spoke is no TLS of ours.
    """
    trouble = failure.value
    if not isinstance(trouble, SSL.Error) or isinstance(trouble, SSL.SysCallError):
        return False
    return why in STRANGE or _REFUSED not in str(trouble.args)


class _Proofs(Factory):
    noisy = False

    def __init__(self, wanted: IProtocolFactory, clock: IReactorTime, patience: float) -> None:
        self._parts = wanted, clock, patience

    def buildProtocol(self, addr: IAddress | None) -> _Proof:
        return _Proof(*self._parts)


def proving(
    tls: IOpenSSLClientConnectionCreator, wanted: IProtocolFactory, clock: IReactorTime, patience: float
) -> IProtocolFactory:
    """
    For a call: `wanted` builds its protocol behind TLS, and only once the other end has proved to be whom `tls` wants.

    :param patience: seconds from TCP to the proof.
    """
    proofs = cast(IProtocolFactory, _Proofs(wanted, clock, patience))
    return cast(IProtocolFactory, TlsFactory(tls, True, proofs, clock))


def proof_of(connected: IProtocol) -> Deferred[IProtocol]:
    """
    What comes of a connection of `proving`: the protocol that `wanted` built, or NotProven. Cancelled, it hangs up.

    :param connected: as TCP has it.
    """
    return cast(_Proof, cast(TLSMemoryBIOProtocol, connected).wrappedProtocol).result
