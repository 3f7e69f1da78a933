"""
What is inside a SEALED datagram: pings, and messages of any length cut into parts, each of which is acknowledged.

Source: docs/protocol section 15.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from morphnet.errors import MalformedFrame

PING, PONG, PART, GOT, BYE = range(1, 6)
PIECE = 1100  # bytes of a message in one part: fits wherever IPv6 does
MOST_PARTS = 64
_PROBE = struct.Struct("!BI")  # type, number
_PART = struct.Struct("!BIBB")  # type, message, part, how many parts
_GOT = struct.Struct("!BIB")  # type, message, part


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there?"""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Yes."""

    number: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message; the message is named by a number that its sender counts up."""

    message: int
    at: int  # 0 .. count-1
    count: int  # 1 .. MOST_PARTS
    piece: bytes


@dataclass(frozen=True, slots=True)
class Got:
    """That part has arrived."""

    message: int
    at: int


@dataclass(frozen=True, slots=True)
class Bye:
    """This end stops."""


Item = Ping | Pong | Part | Got | Bye


def cut(message: int, body: bytes) -> list[Part]:
    """
    The parts of a message.

    :raises ValueError: it is longer than MOST_PARTS of them.
    """
    pieces = [body[at : at + PIECE] for at in range(0, len(body), PIECE)] or [b""]
    if len(pieces) > MOST_PARTS:
        raise ValueError(f"a message of {len(body)} bytes")
    return [Part(message, at, len(pieces), piece) for at, piece in enumerate(pieces)]


def encode(item: Item) -> bytes:
    """Its bytes."""
    if isinstance(item, Part):
        return _PART.pack(PART, item.message, item.at, item.count) + item.piece
    if isinstance(item, Got):
        return _GOT.pack(GOT, item.message, item.at)
    if isinstance(item, Bye):
        return bytes([BYE])
    return _PROBE.pack(PING if isinstance(item, Ping) else PONG, item.number)


def decode(plain: bytes) -> Item:
    """
    Parse one.

    :raises MalformedFrame: it is none.
    """
    kind, size = plain[0] if plain else 0, len(plain)
    if kind in (PING, PONG) and size == _PROBE.size:
        number = _PROBE.unpack(plain)[1]
        return Ping(number) if kind == PING else Pong(number)
    if kind == PART and size >= _PART.size:
        _, message, at, count = _PART.unpack_from(plain)
        if at < count <= MOST_PARTS and size <= _PART.size + PIECE:
            return Part(message, at, count, plain[_PART.size :])
    if kind == GOT and size == _GOT.size:
        return Got(*_GOT.unpack(plain)[1:])
    if kind == BYE and size == 1:
        return Bye()
    raise MalformedFrame(f"item of {size} bytes from a home")
