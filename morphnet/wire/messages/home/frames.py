"""
What a browser and a home say over a data channel: numbered items of many streams, so that the next channel goes on
where the last one was cut.

Source: docs/protocol section 16.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from morphnet.errors import MalformedFrame

RESUME, ACK, ITEM, PING, PONG = range(1, 6)
LONGEST = 60 << 10  # bytes of an item's payload: with its head within the 64 KiB that every make takes in one message
_NUMBER = struct.Struct("!BQ")  # type, number
_ITEM = struct.Struct("!BQIB")  # type, number, stream, kind
_CREDIT = struct.Struct("!I")


class Kind(IntEnum):
    """What an item is to its stream."""

    OPEN = 0  # JSON: which service, and what of it
    BYTES = 1
    SAID = 2  # JSON
    CREDIT = 3  # so many more bytes may be sent
    END = 4  # no more bytes come from here
    RESET = 5  # the stream is over; why, in words


@dataclass(frozen=True, slots=True)
class Resume:
    """The first frame of each channel, both ways: the number of the item that is expected next."""

    number: int


@dataclass(frozen=True, slots=True)
class Ack:
    """All items below this number have arrived."""

    number: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? The answer has the same number."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Yes."""

    number: int


@dataclass(frozen=True, slots=True)
class Item:
    """One of the numbered ones."""

    number: int
    stream: int
    kind: Kind
    payload: bytes


Frame = Resume | Ack | Ping | Pong | Item
_NUMBERED: dict[int, type[Resume] | type[Ack] | type[Ping] | type[Pong]] = {
    RESUME: Resume,
    ACK: Ack,
    PING: Ping,
    PONG: Pong,
}
_TYPES = {build: kind for kind, build in _NUMBERED.items()}


def encode(frame: Frame) -> bytes:
    """Its bytes."""
    if isinstance(frame, Item):
        return _ITEM.pack(ITEM, frame.number, frame.stream, frame.kind) + frame.payload
    return _NUMBER.pack(_TYPES[type(frame)], frame.number)


def decode(message: bytes) -> Frame:
    """
    Parse one.

    :raises MalformedFrame: it is none.
    """
    kind, size = message[0] if message else 0, len(message)
    if kind == ITEM and _ITEM.size <= size <= _ITEM.size + LONGEST:
        _, number, stream, what = _ITEM.unpack_from(message)
        if what <= Kind.RESET:
            return Item(number, stream, Kind(what), message[_ITEM.size :])
    elif kind in _NUMBERED and size == _NUMBER.size:
        return _NUMBERED[kind](_NUMBER.unpack(message)[1])
    raise MalformedFrame(f"frame of {size} bytes from a browser")


def credit(more: int) -> bytes:
    """The payload of CREDIT."""
    return _CREDIT.pack(more)


def credited(payload: bytes) -> int:
    """
    How many bytes more.

    :raises MalformedFrame: it is no such payload.
    """
    if len(payload) != _CREDIT.size:
        raise MalformedFrame("credit")
    return int(_CREDIT.unpack(payload)[0])
