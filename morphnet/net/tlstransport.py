"""TLS over a transport of Twisted's, for whoever calls and whoever is called."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure

_CLOSED = "closed in the middle of the handshake"


class TlsTransport(BufferingTLSTransport):
    """
    Survives an end that says goodbye in the middle of the handshake, and is forgotten when it ends.

    Twisted's own looks for a reason in OpenSSL's ZeroReturnError, which has none, and ends in a traceback (seen with
    26.10): anybody could fill a log with these. And the frame that keeps the reason is in the reason's traceback: what
    OpenSSL holds for a connection, 50 KB and more, would be there until Python next looks for circles among all that
    is old.
    """

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        if reason is not None:
            reason.cleanFailure()
        if reason is not None and isinstance(reason.value, SSL.ZeroReturnError) and not reason.value.args:
            reason = Failure(SSL.ZeroReturnError([("", "", _CLOSED)]))
        super()._tlsShutdownFinished(reason)


class TlsFactory(TLSMemoryBIOFactory):
    """Makes these, see TLSMemoryBIOFactory."""

    protocol = TlsTransport
