"""
Keys and certificates on disk: one directory, `ca.pem` and `ca.key` (on the server alone), `NAME.pem` and `NAME.key`.

Key files are made with mode 0600, never made readable first and closed later. Everything appears whole or not at all.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from morphnet.durable import write_new, write_over
from morphnet.errors import ConfigError
from morphnet.pki.authority import Authority, PrivateKey, as_pem
from morphnet.pki.unreadable import UNREADABLE

CA = "ca"  # stem of the CA's files
LONGEST = 1 << 20  # bytes that are read of one file


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one end shows in a handshake, and whom it trusts. All PEM."""

    certificate: bytes
    key: bytes = field(repr=False)  # PKCS #8, not encrypted
    ca: bytes


def certificate_path(pki_dir: Path, name: str) -> Path:
    """Where the certificate of `name` is ("ca" for the CA's)."""
    return pki_dir / f"{name}.pem"


def key_path(pki_dir: Path, name: str) -> Path:
    """Where the key of `name` is ("ca" for the CA's)."""
    return pki_dir / f"{name}.key"


def key_pem(key: PrivateKey) -> bytes:
    """The key as it is kept: PKCS #8 PEM, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_key(pki_dir: Path, name: str, key: PrivateKey, *, replace: bool = False) -> Path:
    """
    Keep a key, readable by its owner alone.

    :raises FileExistsError: there is one and `replace` is False.
    """
    path = key_path(pki_dir, name)
    (write_over if replace else write_new)(path, key_pem(key), mode=0o600)
    return path


def write_certificate(pki_dir: Path, name: str, certificate: x509.Certificate) -> Path:
    """Keep a certificate, in the place of an older one."""
    path = certificate_path(pki_dir, name)
    write_over(path, as_pem(certificate))
    return path


def read_certificate(pki_dir: Path, name: str) -> x509.Certificate:
    """:raises ConfigError: there is none, or it does not parse."""
    path = certificate_path(pki_dir, name)
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except UNREADABLE:
        raise ConfigError(f"{path} is no certificate in PEM: put back the right file") from None


def read_key(pki_dir: Path, name: str) -> PrivateKey:
    """:raises ConfigError: there is none, others may read it, or it does not parse."""
    path = key_path(pki_dir, name)
    content = _read(path)
    # systemd hands a credential to its service by an ACL, which shows as rights of the group.
    handed = os.environ.get("CREDENTIALS_DIRECTORY") == str(pki_dir)
    if path.stat().st_mode & (stat.S_IRWXO if handed else stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"the key {path} is open to other users: chmod 600 {path}")
    try:
        key = load_pem_private_key(content, None)
    except UNREADABLE:
        raise ConfigError(f"{path} is no unencrypted key in PEM: put back the right file") from None
    if not isinstance(key, Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError(f"the key {path} is neither Ed25519 nor an elliptic curve key: make a new one")
    return key


def _read(path: Path) -> bytes:
    """The directory may be another user's: a pipe there must not keep us waiting, nor a device feed us without end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            content = file.read(LONGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
        if not content:
            raise ConfigError(f"{path} is empty, or no file: put back the right one")
        return content
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}: `morphnet init` or `morphnet join` makes it") from None
    except OSError as trouble:
        raise ConfigError(f"cannot read {path}: {trouble.strerror}") from None


def load_credentials(pki_dir: Path, name: str) -> Credentials:
    """
    All that `name` needs for a handshake.

    :raises ConfigError: something is missing, broken, or does not belong together.
    """
    cas, certificate, key = trusted_cas(pki_dir), read_certificate(pki_dir, name), read_key(pki_dir, name)
    if certificate.public_key() != key.public_key():
        raise ConfigError(f"{name}.pem and {name}.key in {pki_dir} do not belong together: put back the right files")
    return Credentials(as_pem(certificate), key_pem(key), b"".join(map(as_pem, cas)))


def authority_home(pki_dir: Path) -> Path:
    """
    The directory with the CA's key and the `ca.pem` that belongs to it: beside the machine's own `pki_dir` where the
    units of systemd have put them, so that the service's user can neither read nor replace them; else `pki_dir` itself.

    :raises ConfigError: the CA is not here.
    """
    apart = pki_dir.with_name(CA)
    if _exists(key_path(pki_dir, CA)) and not _exists(key_path(apart, CA)):
        return pki_dir
    if _exists(key_path(apart, CA)):
        return apart
    raise ConfigError(f"there is no CA in {pki_dir}: run `morphnet init` on the server, and this command there too")


def has_authority(pki_dir: Path) -> bool:
    """Whether the CA is here."""
    try:
        authority_home(pki_dir)
    except ConfigError:
        return False
    return True


def _exists(path: Path) -> bool:
    """Also if we may not look."""
    try:
        return path.exists()
    except PermissionError:
        return True


def trusted_cas(pki_dir: Path) -> list[x509.Certificate]:
    """
    The CAs that are trusted, the one that signs first.

    :raises ConfigError: there are none, or they do not parse.
    """
    path = certificate_path(pki_dir, CA)
    try:
        found = x509.load_pem_x509_certificates(_read(path))
    except UNREADABLE:
        raise ConfigError(f"{path} is no certificate in PEM: put back the right file") from None
    return found


def load_authority(pki_dir: Path, serials: Callable[[], int] = x509.random_serial_number) -> Authority:
    """
    The network's CA.

    :raises ConfigError: it is not here, or broken.
    """
    home = authority_home(pki_dir)
    key = read_key(home, CA)
    for certificate in trusted_cas(home):
        if isinstance(key, Ed25519PrivateKey) and certificate.public_key() == key.public_key():
            return Authority(certificate, key, serials)
    raise ConfigError(f"ca.pem and ca.key in {home} do not belong together: put back the right files")
