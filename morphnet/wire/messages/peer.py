"""
What two peers say to each other in TLS, end to end through a relay that cannot read it: a length (u16, big-endian),
then a JSON object.

Source: docs/protocol section 12; the fields of ESTABLISHED in seed 001.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.errors import MalformedFrame
from morphnet.wire.fields import Real, Several, Text, Whole
from morphnet.wire.messages.codec import Catalogue
from morphnet.wire.messages.control import Name, Phrase, Wait, Words
from morphnet.wire.messages.relay import Candidates, Token

VERSION = 1
LIMIT = 1 << 14  # bytes of one message
_LENGTH = struct.Struct("!H")

Ids = Annotated[tuple[str, ...], Several(Text(re.compile(r"[0-9a-f]{40}")), 16)]


@dataclass(frozen=True, slots=True)
class Greeting:
    """The caller's first message: who it is, and where it may be reached."""

    type: ClassVar[str] = "greeting"
    name: Name  # as in its certificate
    instance: Token  # of its process, as relays tell it
    framings: Words  # the ones it speaks, best first
    places: Candidates  # its addresses
    mtu: Annotated[int, Whole(576, 65535)]  # inner, bytes
    version: Annotated[int, Whole(1, 255)] = VERSION
    reorder_tcp_ms: Wait = 0.0  # as in `control.Hello`


@dataclass(frozen=True, slots=True)
class Established:
    """The answer: the session is made."""

    type: ClassVar[str] = "established"
    name: Name
    instance: Token
    session: Annotated[str, Text(re.compile(r"[0-9a-f]{32}"))]  # its name, hex
    ids: Ids  # the first that the caller may show: ClientID (16 bytes) and session id (4 bytes), hex
    framing: Annotated[str, Text(re.compile(r"[a-z0-9-]{1,32}"))]
    places: Candidates
    mtu: Annotated[int, Whole(576, 65535)]  # inner, bytes: the smaller of both
    heartbeat_s: Annotated[float, Real(0.01, 3600.0)]
    rekey_seconds: Annotated[float, Real(0.01, 86400.0)]
    rekey_packets: Annotated[int, Whole(1, 1 << 23)]
    reorder_tcp_ms: Wait = 0.0


@dataclass(frozen=True, slots=True)
class NotNow:
    """No session: why."""

    type: ClassVar[str] = "not-now"
    reason: Phrase


Introduction = Greeting | Established | NotNow
_MESSAGES = Catalogue[Introduction]((Greeting, Established, NotNow), LIMIT)


def encode(message: Introduction) -> bytes:
    """
    The message with its length (u16) in front.

    :raises BugError: a field is out of its range.
    """
    body = _MESSAGES.encode(message)
    return _LENGTH.pack(len(body)) + body


class IntroductionReader:
    """Cuts a stream into messages. Holds at most one that is not complete yet."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Introduction]:
        """
        The messages that `data` completes.

        :raises MalformedFrame: the stream is broken.
        """
        self._held += data
        done: list[Introduction] = []
        while len(self._held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held)
            if length > LIMIT:
                raise MalformedFrame(f"message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._held) < end:
                break
            done.append(_MESSAGES.decode(bytes(self._held[_LENGTH.size : end])))
            del self._held[:end]
        return done
