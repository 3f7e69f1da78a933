"""Certificates for tests, made in memory."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from morphnet.net.tls import Identity
from morphnet.pki.authority import INVITE_USAGE

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
INVITE = INVITE_USAGE
_DAY = datetime.timedelta(days=1)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class FakeCa:
    """A CA whose certificates may be wrong in any way a test wants."""

    def __init__(self, name: str = "network CA") -> None:
        self._key, self._name = Ed25519PrivateKey.generate(), name
        self._certificate = (
            self._builder(name, self._key, (-1, 30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, None)
        )
        self.pem = self._certificate.public_bytes(Encoding.PEM)

    def _builder(self, name: str, key: Ed25519PrivateKey, days: tuple[int, int]) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * _DAY)
            .not_valid_after(now + days[1] * _DAY)
        )

    def identity(
        self,
        name: str,
        *usages: x509.ObjectIdentifier,
        days: tuple[int, int] = (-1, 1),
        names: Sequence[x509.GeneralName] | None = None,
        trust: bytes | None = None,
    ) -> Identity:
        """
        A certificate of this CA and its key.

        :param days: from and until, in days from now.
        :param names: the subjectAltName; `name` when None, and no such extension when empty.
        :param trust: PEM of the CA that the holder trusts; this one when None.
        """
        key = Ed25519PrivateKey.generate()
        builder = self._builder(name, key, days).add_extension(x509.BasicConstraints(False, None), critical=True)
        names = [x509.DNSName(name)] if names is None else names
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        return Identity(
            builder.sign(self._key, None).public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            self.pem if trust is None else trust,
        )


def serial_of(identity: Identity) -> str:
    """The serial of its certificate, as Peer has it."""
    return format(x509.load_pem_x509_certificate(identity.certificate).serial_number, "x")
