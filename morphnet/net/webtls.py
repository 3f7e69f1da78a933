"""TLS for browsers: a certificate that somebody else has signed, read again when it was renewed."""

from __future__ import annotations

from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from morphnet.errors import ConfigError
from morphnet.net.http import HttpFactory


class _Adopting(TLSMemoryBIOFactory):
    """One with connections of its own kind."""

    def adopt(self, descriptor: int, family: int) -> None:
        """Talk to one that was accepted."""
        self.wrappedFactory.adopt(descriptor, family, self)


@implementer(IOpenSSLServerConnectionCreator)
class WebTls:
    """
    What is shown to browsers.

    :raises ConfigError: the files are not there, or do not belong together.
    """

    def __init__(self, certificate: Path, key: Path, *, optional: bool = False) -> None:
        """:param optional: without the files every caller is refused, in TLS, until they are there."""
        self._certificate, self._key, self._optional = certificate, key, optional
        self._context = self._read()

    def _read(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION)
        context.set_passwd_cb(lambda *_: b"")  # of a key with a passphrase: nobody is asked for it
        if self._optional and not self._certificate.exists():
            return context
        try:
            context.use_certificate_chain_file(str(self._certificate))
            context.use_privatekey_file(str(self._key))
            context.check_privatekey()
        except SSL.Error:
            raise ConfigError(f"{self._certificate} and {self._key} are no certificate and its key, in PEM") from None
        return context

    def read_again(self) -> None:
        """
        Show the certificate that is there now.

        :raises ConfigError: as before; then the old one stays.
        """
        self._context = self._read()

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def wrap(self, factory: IProtocolFactory) -> IProtocolFactory:
        """The factory, in TLS."""
        kind = _Adopting if isinstance(factory, HttpFactory) else TLSMemoryBIOFactory
        wrapped: IProtocolFactory = kind(self, False, factory)
        return wrapped
