"""
A knock: the one thing that a caller says in clear before TLS shows it a certificate. Only who has the network's CA can
make one, so to everybody else a port shows nothing: no certificate, no name, no CA.

Whoever sees one pass may repeat it: it hides a port from those who scan, not from those who watch.

Source: docs/protocol section 7; RFC 6066 section 3 (SNI, which it is in).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import weakref
from collections.abc import Callable, Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.protocols.tls import TLSMemoryBIOProtocol

from morphnet.pki.unreadable import UNREADABLE

NO_KNOCK = "no knock"  # why somebody is refused
_LABEL = b"morphnet knock"
_CLOSE_NOTIFY = b"\x15\x03\x03\x00\x02\x01\x00"  # alert, RFC 8446 section 6.1
NONCE, _MAC = 8, 12  # bytes; 96 bits that nobody can try faster than a handshake
# As any host's name: nobody asks the DNS for it, and with so many random letters it is no one's.
_SUFFIX = ".net"
_LENGTH = (NONCE + _MAC) * 8 // 5  # characters


def key_of(ca: x509.Certificate) -> bytes:
    """
    What a knock at that CA's network is made with: no secret among members, but strangers never see the CA.

    :raises Exception: one of UNREADABLE: a key of a kind that is not known.
    """
    digest = hashes.Hash(hashes.SHA256())
    digest.update(ca.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize()


def signer_of(certificate: x509.Certificate, cas: Iterable[x509.Certificate]) -> x509.Certificate | None:
    """
    Of the CAs that one trusts, the one that has signed one's own certificate: whoever is to take that trusts it. The
    first one if none has; None if there is none.
    """
    trusted = list(cas)
    for ca in trusted:
        try:
            certificate.verify_directly_issued_by(ca)
        except UNREADABLE:
            continue
        return ca
    return next(iter(trusted), None)


def knock(key: bytes, nonce: bytes) -> bytes:
    """
    The host name to ask for, another one each time, so that two calls have nothing in common.

    :param key: see `key_of`.
    :param nonce: NONCE bytes, random.
    """
    said = base64.b32encode(nonce + _mac(key, nonce)).decode("ascii").lower()
    return f"{said}{_SUFFIX}".encode("ascii")


def is_knock(name: bytes, keys: Iterable[bytes]) -> bool:
    """
    Whether that host name was made with one of these keys; in a time that does not tell which, nor how much was right.

    :param name: as it came, of any length.
    """
    text = name.upper()  # a name means the same in either case
    if len(text) != _LENGTH + len(_SUFFIX) or not text.endswith(_SUFFIX.upper().encode("ascii")):
        return False
    try:
        said = base64.b32decode(text[:_LENGTH])
    except binascii.Error:
        return False
    nonce, mac = said[:NONCE], said[NONCE:]
    return sum(hmac.compare_digest(mac, _mac(key, nonce)) for key in keys) > 0


def goodbye(protocol: TLSMemoryBIOProtocol) -> Callable[[], None]:
    """
    Ends a conversation as if there had been nothing to say, before OpenSSL says why it ends it: what scans the world
    then sees a connection that was closed, not a server that is picky about names.

    :param protocol: held weakly: it holds the connection, of which the outcome must not keep hold.
    """
    there = weakref.ref(protocol) if protocol is not None else lambda: None

    def say() -> None:
        speaker = there()
        if speaker is not None and speaker.transport is not None:
            speaker.transport.write(_CLOSE_NOTIFY)

    return say


def _mac(key: bytes, nonce: bytes) -> bytes:
    return hmac.digest(key, _LABEL + nonce, "sha256")[:_MAC]
