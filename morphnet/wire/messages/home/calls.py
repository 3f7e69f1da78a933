"""
Messages of a home and its coordinator, as JSON: those of the handshake, and the calls of browsers, whose bodies the
coordinator hands on without reading them.

Source: docs/protocol section 15.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.wire.fields import Several, Text, Whole
from morphnet.wire.messages.codec import Catalogue

LONGEST_BODY = 48 << 10  # characters of what a browser and a home say at once
_KEY = Text(re.compile(r"[A-Za-z0-9_-]{43}"))  # 32 bytes in base64url
_SIGNATURE = Text(re.compile(r"[A-Za-z0-9_-]{86}"))
_TOKEN = Text(re.compile(r"[A-Za-z0-9_-]{0,64}"))
_PRINTABLE = Text(re.compile(r"[ -~]{0,200}"))
_LETTERS = re.compile(r"[A-Za-z0-9_-]*")
_CALL = Text(re.compile(r"[0-9a-f]{32}"))
_BODY = Text(re.compile(rf"[A-Za-z0-9_-]{{0,{LONGEST_BODY}}}"))  # of a meaning that only browser and home know
_LINE = Text(re.compile(r"morphnethome1:[A-Za-z0-9_-]{1,1200}"))  # an Invitation
MOST_FALLBACKS = 8
_INDEX = Text(re.compile(r"[0-9a-f]{16}"))
_SECONDS = Whole(1, 3600)


def to_text(raw: bytes) -> str:
    """Bytes in base64url, without the signs at its end."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_text(text: str) -> bytes:
    """
    The bytes.

    :raises ValueError: it is no base64url.
    """
    if not _LETTERS.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class Registration:
    """The payload of REGISTER."""

    type: ClassVar[str] = "register"
    home: Annotated[str, _KEY]  # its public key, Ed25519
    signature: Annotated[str, _SIGNATURE]  # with that, of the handshake so far
    at: Annotated[int, Whole(0, 1 << 53)]  # milliseconds of Unix time; more than in any registration before
    invite: Annotated[str, _TOKEN] = ""  # for a home that is not known yet


@dataclass(frozen=True, slots=True)
class Accepted:
    """The payload of ACCEPT: from the first SEALED of the home on, the association is the one."""

    type: ClassVar[str] = "accepted"
    index: Annotated[str, _INDEX]
    keepalive: Annotated[int, _SECONDS]
    seen_as: Annotated[str, _PRINTABLE]  # ADDRESS:PORT of the home, as we see it


@dataclass(frozen=True, slots=True)
class Declined:
    """The payload of ACCEPT when the answer is no."""

    type: ClassVar[str] = "declined"
    reason: Annotated[str, _PRINTABLE]


@dataclass(frozen=True, slots=True)
class Call:
    """A browser asks the home something."""

    type: ClassVar[str] = "call"
    call: Annotated[str, _CALL]
    caller: Annotated[str, _PRINTABLE]  # its address, as the coordinator sees it
    body: Annotated[str, _BODY]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the home answers."""

    type: ClassVar[str] = "reply"
    call: Annotated[str, _CALL]
    body: Annotated[str, _BODY]


@dataclass(frozen=True, slots=True)
class Move:
    """Another coordinator shall be the home's first one from now on."""

    type: ClassVar[str] = "move"
    number: Annotated[int, Whole(0, 1 << 53)]
    to: Annotated[str, _LINE]


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of it."""

    type: ClassVar[str] = "moved"
    number: Annotated[int, Whole(0, 1 << 53)]
    trouble: Annotated[str, _PRINTABLE] = ""  # why the home stays; "" when it has moved


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """Where the home is to register while this coordinator does not answer, best first."""

    type: ClassVar[str] = "fallbacks"
    lines: Annotated[tuple[str, ...], Several(_LINE, MOST_FALLBACKS)]


Said = Registration | Accepted | Declined | Call | Reply | Move | Moved | Fallbacks
CALLS: Catalogue[Said] = Catalogue([Registration, Accepted, Declined, Call, Reply, Move, Moved, Fallbacks], 64 << 10)
