"""
Datagrams between a home and its coordinator, by UDP.

Four of them make an association, the fifth carries everything after: HELLO, COOKIE, REGISTER, ACCEPT, SEALED. Only who
knows the coordinator's public key gets an answer, and none is longer than its question.

Source: docs/protocol section 15.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from morphnet.errors import Forged, MalformedFrame
from morphnet.wire.noise import TAG, nonce

MARK, VERSION = 0xC7, 1  # the first two bytes; STUN, DTLS and the original HomeChannel begin otherwise
HELLO, COOKIE, REGISTER, ACCEPT, SEALED = range(1, 6)
TAG_SIZE, COOKIE_SIZE, PROOF_SIZE, INDEX_SIZE = 8, 16, 16, 8  # bytes
LONGEST = 1280  # bytes of any of them
_HEAD = struct.Struct("!BBB")  # mark, version, type: 3 bytes
_SEALED = struct.Struct("!BBB8sQ")  # the same, index of the association, number: 19 bytes
SEALED_OVERHEAD = _SEALED.size + TAG
_PADDING = bytes(COOKIE_SIZE)  # so that no answer is longer than a HELLO


@dataclass(frozen=True, slots=True)
class Hello:
    """A home wants to register: `tag` is fresh and names this attempt, `proof` shows that it knows the key."""

    tag: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class Cookie:
    """Whoever is at this address may go on: nothing was remembered for it."""

    tag: bytes
    cookie: bytes


@dataclass(frozen=True, slots=True)
class Register:
    """The first message of the handshake in `wire/noise`, whose prologue is tag and cookie."""

    tag: bytes
    cookie: bytes
    handshake: bytes


@dataclass(frozen=True, slots=True)
class Accept:
    """The second message of the handshake."""

    tag: bytes
    handshake: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """Anything after that."""

    index: bytes  # of the association
    number: int  # never twice under one key
    head: bytes  # what the tag covers besides
    box: bytes


Datagram = Hello | Cookie | Register | Accept | Sealed


def proof(coordinator: bytes, tag: bytes) -> bytes:
    """What only those can make who know the coordinator's public key."""
    key = sha256(b"morphnet home hello" + coordinator).digest()
    return hmac.digest(key, tag, "sha256")[:PROOF_SIZE]


def is_ours(datagram: bytes) -> bool:
    """Whether it claims to be one of these."""
    return len(datagram) >= _HEAD.size and datagram[0] == MARK


def encode(message: Hello | Cookie | Register | Accept) -> bytes:
    """The datagram."""
    if isinstance(message, Hello):
        return _HEAD.pack(MARK, VERSION, HELLO) + message.tag + message.proof + _PADDING
    if isinstance(message, Cookie):
        return _HEAD.pack(MARK, VERSION, COOKIE) + message.tag + message.cookie
    if isinstance(message, Register):
        return _HEAD.pack(MARK, VERSION, REGISTER) + message.tag + message.cookie + message.handshake
    return _HEAD.pack(MARK, VERSION, ACCEPT) + message.tag + message.handshake


def seal(key: bytes, index: bytes, number: int, plain: bytes) -> bytes:
    """A SEALED datagram."""
    head = _SEALED.pack(MARK, VERSION, SEALED, index, number)
    return head + ChaCha20Poly1305(key).encrypt(nonce(number), plain, head)


def open_sealed(key: bytes, sealed: Sealed) -> bytes:
    """
    What is in it.

    :raises Forged: it was not sealed with this key.
    """
    try:
        return ChaCha20Poly1305(key).decrypt(nonce(sealed.number), sealed.box, sealed.head)
    except InvalidTag:
        raise Forged("sealed datagram of a home") from None


def decode(datagram: bytes) -> Datagram:
    """
    Parse one.

    :raises MalformedFrame: it is none, or of a length that no such datagram has.
    """
    if not is_ours(datagram) or datagram[1] != VERSION or len(datagram) > LONGEST:
        raise MalformedFrame(f"home datagram of {len(datagram)} bytes")
    kind, rest = datagram[2], datagram[_HEAD.size :]
    if kind == SEALED and len(datagram) > SEALED_OVERHEAD:
        _, _, _, index, number = _SEALED.unpack_from(datagram)
        return Sealed(index, number, datagram[: _SEALED.size], datagram[_SEALED.size :])
    tag, rest = rest[:TAG_SIZE], rest[TAG_SIZE:]
    if kind == HELLO and len(rest) == PROOF_SIZE + len(_PADDING):
        return Hello(tag, rest[:PROOF_SIZE])
    if kind == COOKIE and len(rest) == COOKIE_SIZE:
        return Cookie(tag, rest)
    if kind == REGISTER and len(rest) > COOKIE_SIZE + 48:
        return Register(tag, rest[:COOKIE_SIZE], rest[COOKIE_SIZE:])
    if kind == ACCEPT and len(rest) > 48:
        return Accept(tag, rest)
    raise MalformedFrame(f"home datagram of type {kind} and {len(datagram)} bytes")
