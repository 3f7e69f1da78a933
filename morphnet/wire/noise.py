"""
Noise_NK_25519_ChaChaPoly_SHA256: a handshake of two messages with somebody whose public key is known, and the two keys
that come of it.

Source: The Noise Protocol Framework, revision 34, sections 5 and 7.5.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from morphnet.errors import Forged, MalformedFrame

NAME = b"Noise_NK_25519_ChaChaPoly_SHA256"
KEY = 32  # bytes of a key, public or not
TAG = 16  # bytes that sealing adds


def nonce(number: int) -> bytes:
    """That of message `number` under one key: 12 bytes."""
    return bytes(4) + struct.pack("<Q", number)


def _shared(mine: X25519PrivateKey, theirs: bytes) -> bytes:
    """
    What both ends can compute.

    :raises Forged: their key is one of the few whose result everybody knows.
    """
    try:
        return mine.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError:
        raise Forged("a public key that hides nothing") from None


def _derive(chain: bytes, secret: bytes) -> tuple[bytes, bytes]:
    start = hmac.digest(chain, secret, "sha256")
    first = hmac.digest(start, b"\x01", "sha256")
    return first, hmac.digest(start, first + b"\x02", "sha256")


def keys_of(secret: bytes) -> tuple[bytes, bytes]:
    """
    What the initiator sends with, and what the responder does.

    :param secret: what a handshake ends with, 32 bytes: who has not the room for both keys keeps this.
    """
    return _derive(secret, b"")


class _Transcript:
    """Everything said so far (`hash`), and the key that follows from it."""

    def __init__(self, prologue: bytes, responder: bytes) -> None:
        self.hash = self.chain = NAME  # exactly 32 bytes, so it stands for its hash
        self._key = b""
        self._number = 0
        self.mix(prologue)
        self.mix(responder)

    def mix(self, said: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + said).digest()

    def mix_key(self, secret: bytes) -> None:
        self.chain, self._key = _derive(self.chain, secret)
        self._number = 0

    def seal(self, plain: bytes) -> bytes:
        sealed = ChaCha20Poly1305(self._key).encrypt(nonce(self._number), plain, self.hash)
        self._number += 1
        self.mix(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        try:
            plain = ChaCha20Poly1305(self._key).decrypt(nonce(self._number), sealed, self.hash)
        except InvalidTag:
            raise Forged("handshake") from None
        self._number += 1
        self.mix(sealed)
        return plain

    def split(self) -> tuple[bytes, bytes]:
        return keys_of(self.chain)


class Initiator:
    """
    Who begins: its first step is made at once.

    :param own: a fresh key, for this handshake alone.
    :param responder: the public key that the other end is known by, 32 bytes.
    :param prologue: what both must have seen alike.
    """

    def __init__(self, own: X25519PrivateKey, responder: bytes, prologue: bytes) -> None:
        self._own, self._public = own, own.public_key().public_bytes_raw()
        self._said = _Transcript(prologue, responder)
        self._said.mix(self._public)  # -> e
        self._said.mix_key(_shared(own, responder))  # -> es

    @property
    def transcript(self) -> bytes:
        """A hash over all that was said before the next payload, 32 bytes: what a signature in it should cover."""
        return self._said.hash

    def first(self, payload: bytes) -> bytes:
        """The first message: 48 bytes and the payload, which only the responder can read."""
        return self._public + self._said.seal(payload)

    def finish(self, second: bytes) -> tuple[bytes, bytes, bytes]:
        """
        The payload of the second message; the key that we send with and that we receive with.

        :raises PeerError: it is not from the responder, or not an answer to us.
        """
        if len(second) < KEY + TAG:
            raise MalformedFrame("short handshake")
        theirs, sealed = second[:KEY], second[KEY:]
        self._said.mix(theirs)  # <- e
        self._said.mix_key(_shared(self._own, theirs))  # <- ee
        payload = self._said.open(sealed)
        sending, receiving = self._said.split()
        return payload, sending, receiving


class Responder:
    """
    Who is known by its key, and reads the first message at once.

    :param static: the private key that we are known by.
    :raises PeerError: the message is none, or was not made for us.
    """

    def __init__(self, static: X25519PrivateKey, first: bytes, prologue: bytes) -> None:
        if len(first) < KEY + TAG:
            raise MalformedFrame("short handshake")
        self._theirs, sealed = first[:KEY], first[KEY:]
        self._said = _Transcript(prologue, static.public_key().public_bytes_raw())
        self._said.mix(self._theirs)
        self._said.mix_key(_shared(static, self._theirs))
        self.transcript = self._said.hash  # as in Initiator
        self.payload = self._said.open(sealed)

    def answer(self, own: X25519PrivateKey, payload: bytes) -> tuple[bytes, bytes, bytes]:
        """The second message; the key that we send with and that we receive with. `own` is fresh, for this alone."""
        public = own.public_key().public_bytes_raw()
        self._said.mix(public)
        self._said.mix_key(_shared(own, self._theirs))
        sealed = self._said.seal(payload)
        receiving, sending = self._said.split()
        return public + sealed, sending, receiving

    @property
    def secret(self) -> bytes:
        """Both keys follow from it, see `keys_of`; after `answer`."""
        return self._said.chain
