"""A certificate that is renewed in time, and shown from the next handshake on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from morphnet.errors import MalformedFrame
from morphnet.net.tls import ClientTls, Identity, ServerTls
from morphnet.pki.authority import make_request, renewal_due
from morphnet.pki.files import load_credentials, read_certificate, read_key, write_certificate

LOOK_EVERY = 3600.0  # seconds between looks whether it is time


def identity_of(pki_dir: Path, name: str) -> Identity:
    """
    What `name` shows in handshakes, from its files.

    :raises ConfigError: something is missing or broken.
    """
    credentials = load_credentials(pki_dir, name)
    return Identity(credentials.certificate, credentials.key, credentials.ca)


class Renewal:
    """
    One end's certificate on disk and in its TLS.

    :param wall: Unix seconds, now.
    """

    def __init__(self, pki_dir: Path, name: str, tls: ServerTls | ClientTls, wall: Callable[[], float]) -> None:
        self._pki_dir, self._name, self._tls, self._wall = pki_dir, name, tls, wall

    def request(self) -> str | None:
        """A certificate request (PEM) when less than a third of the certificate's life is left, else None."""
        if not renewal_due(read_certificate(self._pki_dir, self._name), now=self._wall()):
            return None
        return make_request(read_key(self._pki_dir, self._name), self._name)

    def accept(self, certificate_pem: str) -> None:
        """
        Keep and show the certificate that the server has signed.

        :raises MalformedFrame: it is not for our key.
        """
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        except ValueError:
            raise MalformedFrame("renewed certificate that cannot be read") from None
        if certificate.public_key() != read_key(self._pki_dir, self._name).public_key():
            raise MalformedFrame("renewed certificate for another key")
        write_certificate(self._pki_dir, self._name, certificate)
        self.read_again()

    def read_again(self) -> None:
        """
        Show what is on disk now.

        :raises ConfigError: it is not usable; the old one is shown on.
        """
        self._tls.use(identity_of(self._pki_dir, self._name))
