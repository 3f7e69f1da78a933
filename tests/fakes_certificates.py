"""Certificates of web servers, that sign themselves."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


def certificate(key: EllipticCurvePrivateKey, name: str) -> bytes:
    """For ten years from 2026 on, in PEM."""
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(called, called, key.public_key(), 1, begins, begins + datetime.timedelta(3650))
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM)


def secret(key: EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    """The key, in PEM."""
    closed = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed)


class Pair:
    """Two files, as who renews certificates leaves them."""

    def __init__(self, directory: Path) -> None:
        self.certificate, self.key = directory / "certificate.pem", directory / "key.pem"

    def renew(self, name: str, *, key_too: bool = True) -> None:
        """
        Another certificate, for another key.

        :param key_too: or the old key stays, which does not belong to it.
        """
        made = generate_private_key(SECP256R1())
        self.put(self.certificate, certificate(made, name), 0o644)
        if key_too:
            self.put(self.key, secret(made), 0o600)

    @staticmethod
    def put(file: Path, content: bytes, mode: int) -> None:
        """In its place, in one step."""
        new = file.with_suffix(".new")
        new.write_bytes(content)
        new.chmod(mode)
        os.replace(new, file)
