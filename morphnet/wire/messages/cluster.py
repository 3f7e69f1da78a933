"""
What relays that share their guests say to each other, on channels that each of them hears.

A message is a JSON object, or a zero byte, the sender's number (u32, big-endian) and an envelope of section 11. The
upper 12 bits of a guest's number are its relay's block, so that a number says by which channel its guest is reached.

Source: docs/protocol section 13.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.errors import MalformedFrame
from morphnet.wire.fields import Text, Whole
from morphnet.wire.messages.codec import Catalogue
from morphnet.wire.messages.control import Name, Pem
from morphnet.wire.messages.relay import MOST_ENVELOPE, Candidates, Number, Token, number_of
from morphnet.wire.messages.revocations import PartText

LIMIT = 1 << 17  # bytes of one message in JSON: a list of revocations is the longest
WITHIN = 20  # bits of a number that tell guests of one block apart
MOST_GUESTS = 1 << (WITHIN - 1)  # of one relay: half of a block, so that a free number is soon found
BLOCKS = 1 << (32 - WITHIN)
EVERY_RELAY = "morphnet:relays"  # the channel that all hear
_PREFIX = struct.Struct("!BI")

Network = Annotated[str, Text(re.compile(r"[0-9A-Za-z.-]{0,128}"))]
Block = Annotated[int, Whole(1, BLOCKS - 1)]
Turn = Annotated[int, Whole(0, (1 << 32) - 1)]


@dataclass(frozen=True, slots=True)
class Beat:
    """That relay lives."""

    type: ClassVar[str] = "beat"
    block: Block
    token: Token  # another one for every process


@dataclass(frozen=True, slots=True)
class Bye:
    """It stops, and all its guests are gone."""

    type: ClassVar[str] = "bye"
    block: Block


@dataclass(frozen=True, slots=True)
class Who:
    """It wants to know who is where: tell it on its own channel."""

    type: ClassVar[str] = "who"
    block: Block


@dataclass(frozen=True, slots=True)
class Begin:
    """All its guests follow."""

    type: ClassVar[str] = "begin"
    block: Block
    turn: Turn


@dataclass(frozen=True, slots=True)
class Told:
    """That was all; whoever was not among them since that `begin` is gone."""

    type: ClassVar[str] = "told"
    block: Block
    turn: Turn


@dataclass(frozen=True, slots=True)
class Here:
    """A guest is there, or something about it has changed."""

    type: ClassVar[str] = "here"
    number: Number
    network: Network
    name: Name
    instance: Token
    observed: Candidates = ()


@dataclass(frozen=True, slots=True)
class Left:
    """A guest is gone."""

    type: ClassVar[str] = "left"
    number: Number


@dataclass(frozen=True, slots=True)
class Prove:
    """To a guest's relay: somebody has come with its name; it shall show that it lives."""

    type: ClassVar[str] = "prove"
    number: Number


@dataclass(frozen=True, slots=True)
class Revoked:
    """The latest list of revoked certificates, signed by the network's CA."""

    type: ClassVar[str] = "revoked"
    network: Network
    crl: Pem


@dataclass(frozen=True, slots=True)
class PartRevoked:
    """A part of that list, after it; see wire/messages/revocations."""

    type: ClassVar[str] = "revoked-part"
    network: Network
    text: PartText


ClusterMessage = Beat | Bye | Who | Begin | Told | Here | Left | Prove | Revoked | PartRevoked
_MESSAGES = Catalogue[ClusterMessage]((Beat, Bye, Who, Begin, Told, Here, Left, Prove, Revoked, PartRevoked), LIMIT)


def encode(message: ClusterMessage) -> bytes:
    """
    One message.

    :raises BugError: a field is out of its range.
    """
    return _MESSAGES.encode(message)


def decode(text: bytes) -> ClusterMessage:
    """
    One message.

    :raises MalformedFrame: it is none of ours.
    """
    return _MESSAGES.decode(text)


def block_of(number: int) -> int:
    """Which relay's guest has that number."""
    return number >> WITHIN


def number_in(block: int, chance: int) -> int:
    """A number of that block; never 0, since there is no block 0."""
    return block << WITHIN | chance & ((1 << WITHIN) - 1)


def channel_of(block: int) -> str:
    """What that relay alone hears."""
    return f"morphnet:relay:{block}"


def channel_of_network(network: str) -> str:
    """Where the guests of a network are told of."""
    return f"morphnet:network:{network}"


def is_parcel(message: bytes) -> bool:
    """Whether that is an envelope, and not JSON."""
    return message[:1] == b"\0"


def parcel(sender: int, envelope: bytes) -> bytes:
    """An envelope for another relay, which bears the number of its receiver, with that of its sender."""
    return _PREFIX.pack(0, sender) + envelope


def unpack(message: bytes) -> tuple[int, bytes]:
    """
    (the sender's number, the envelope).

    :raises MalformedFrame: of no length that one has.
    """
    envelope = message[_PREFIX.size :]
    if len(message) < _PREFIX.size or len(envelope) > MOST_ENVELOPE:
        raise MalformedFrame("parcel of no such length")
    number_of(envelope)
    sender: int = _PREFIX.unpack_from(message)[1]
    return sender, envelope
