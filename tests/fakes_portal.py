"""Those who answer in a server's place, as captive portals do: with a certificate of others, or with no TLS at all."""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from morphnet.net.tls import Identity
from tests.fakes_tls import SERVER, FakeCa


class _Hears(Protocol):
    factory: Portal

    def dataReceived(self, data: bytes) -> None:
        self.factory.hears(self, data)


@implementer(IOpenSSLServerConnectionCreator)
class Portal(Factory):
    """
    Speaks TLS 1.3, and asks whoever calls for a certificate.

    :param identity: what it shows; None for a certificate of somebody else's CA.
    """

    def __init__(self, clock: Clock, identity: Identity | None = None) -> None:
        shown = identity or FakeCa("a hotel").identity("gateway", SERVER)
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, shown.certificate))
        self._context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, shown.key))
        self._context.set_verify(SSL.VERIFY_PEER, self._verify)
        self.shown: set[str | None] = set()  # names in certificates that callers showed
        self.heard = b""  # what it was told inside TLS
        self.factory = cast(IProtocolFactory, TLSMemoryBIOFactory(self, False, cast(IProtocolFactory, self), clock))

    def _verify(self, connection: SSL.Connection, shown: crypto.X509, trouble: int, depth: int, ok: int) -> bool:
        self.learned(shown)
        return True

    def learned(self, certificate: crypto.X509) -> None:
        """A caller has shown this."""
        self.shown.add(certificate.get_subject().CN)

    def hears(self, speaker: Protocol, data: bytes) -> None:
        """A caller has said this, inside TLS."""
        self.heard += data

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def buildProtocol(self, addr: object) -> Protocol:
        hears = _Hears()
        hears.factory = self
        return hears


class HttpPortal(Protocol):
    """Takes a ClientHello for a bad request."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]


class SilentPortal(Protocol):
    """Takes calls, and says nothing."""
