"""
Keys of both generations of the original: P-256 with ECDSA, which came first, and EdDSA with X25519 or X448.

Source: docs/homechannel section 2; RFC 8410 for the encodings.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from morphnet.errors import Forged, MalformedFrame

P256_POINT = 65  # bytes, the first of which is 04
ENTROPY = 56  # bytes that a key of any of the curves needs
_ECDSA = ec.ECDSA(SHA256())
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ARMOUR = re.compile(r"-----(BEGIN|END) PUBLIC KEY-----|\s")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,400}={0,2}")

SigningKey = Ed25519PrivateKey | Ed448PrivateKey | ec.EllipticCurvePrivateKey


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def der(key: Any) -> bytes:
    """A public key as SubjectPublicKeyInfo."""
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def agree(theirs: bytes, entropy: bytes) -> tuple[bytes, str]:
    """
    Our public key, of the kind that theirs is, and the secret of both in hex.

    :param theirs: a point of P-256, or a public key of X25519 or X448 in DER.
    :param entropy: ENTROPY bytes.
    :raises MalformedFrame: it is no such key.
    :raises Forged: it is one that hides nothing.
    """
    try:
        if len(theirs) == P256_POINT and theirs[0] == 4:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
            own = ec.derive_private_key(int.from_bytes(entropy, "big") % (_P256_ORDER - 1) + 1, ec.SECP256R1())
            return _point(own.public_key()), own.exchange(ec.ECDH(), point).hex()
        key = load_der_public_key(theirs)
    except (ValueError, UnsupportedAlgorithm):
        raise MalformedFrame("public key") from None
    try:
        if isinstance(key, X25519PublicKey):
            one = X25519PrivateKey.from_private_bytes(entropy[:32])
            return der(one.public_key()), one.exchange(key).hex()
        if isinstance(key, X448PublicKey):
            other = X448PrivateKey.from_private_bytes(entropy[:56])
            return der(other.public_key()), other.exchange(key).hex()
    except ValueError:
        raise Forged("a public key that hides nothing") from None
    raise MalformedFrame("public key of another curve")


class Agreement:
    """
    Ours, of X25519, where we begin.

    :param entropy: 32 bytes.
    """

    def __init__(self, entropy: bytes) -> None:
        self._own = X25519PrivateKey.from_private_bytes(entropy)
        self.public = der(self._own.public_key())

    def secret(self, theirs: bytes) -> str:
        """
        That of both ends, in hex.

        :raises PeerError: it is no key of that kind, or one that hides nothing.
        """
        try:
            key = load_der_public_key(theirs)
        except (ValueError, UnsupportedAlgorithm):
            raise MalformedFrame("public key") from None
        if not isinstance(key, X25519PublicKey):
            raise MalformedFrame("public key of another curve")
        try:
            return self._own.exchange(key).hex()
        except ValueError:
            raise Forged("a public key that hides nothing") from None


def name_of(identity: SigningKey) -> str:
    """What browsers know a server by: its public key in base64."""
    return base64.b64encode(der(identity.public_key())).decode("ascii")


def algorithm_of(identity: SigningKey) -> str:
    """As an answer names it."""
    return "ed448" if isinstance(identity, Ed448PrivateKey) else "ed25519"


def is_p256(key: bytes) -> bool:
    """Whether a public key for an agreement is of the first generation."""
    return len(key) == P256_POINT


def plain(key: str) -> str:
    """
    A server's public key without armour and line ends, as the second generation names it; the first one's is PEM.

    :raises MalformedFrame: it is no public key.
    """
    bare = _ARMOUR.sub("", key)
    if not _BASE64.fullmatch(bare):
        raise MalformedFrame("public key of a server")
    return bare


def verify(key: str, signature: str, signed: bytes) -> None:
    """
    See whether a server has signed that: with EdDSA, or ECDSA on P-256 with SHA-256.

    :param key: as `plain` gives it.
    :param signature: in hex.
    :raises Forged: it has not.
    :raises MalformedFrame: that is no key.
    """
    try:
        public = load_der_public_key(base64.b64decode(key, validate=True))
        raw = bytes.fromhex(signature)
    except (ValueError, UnsupportedAlgorithm):
        raise MalformedFrame("key or signature of a server") from None
    try:
        if isinstance(public, (Ed25519PublicKey, Ed448PublicKey)):
            public.verify(raw, signed)
        elif isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
            public.verify(raw, signed, _ECDSA)
        else:
            raise MalformedFrame("key of a server")
    except InvalidSignature:
        raise Forged("signature of a server") from None


def sign(key: SigningKey, what: bytes) -> str:
    """A signature, in hex."""
    return (key.sign(what, _ECDSA) if isinstance(key, ec.EllipticCurvePrivateKey) else key.sign(what)).hex()
