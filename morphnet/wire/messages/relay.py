"""
What a node and a relay say to each other: JSON messages as WebSocket texts, and envelopes as WebSocket binaries.

An envelope is a number (u32, big-endian) and what the relay does not look into. From a node it is the number of whom
the relay shall hand it to; the relay puts the sender's number in its place.

Source: docs/protocol section 11.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.fields import Real, Several, Text, Truth, Whole
from morphnet.wire.messages.codec import Catalogue, Entries
from morphnet.wire.messages.control import Name, Pem, PemOrNothing, Phrase
from morphnet.wire.messages.revocations import BEFORE, Listing, ListNumber, PartsWanted, Revocations, RevokedPart

VERSION = 1
LIMIT = 1 << 16  # bytes of one text
MOST_WATCHED = 256  # names that one node may watch
MOST_NEWS = 256  # nodes that one `news` tells of, gone or here
EVERYBODY = "*"
MOST_ENVELOPE = 4 + (1 << 16) + 64  # bytes: a number, a kind, and a whole run of datagrams
_NUMBER = struct.Struct("!I")
_SIZE = struct.Struct("!H")

_NAME_OR_ALL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\*")
_CANDIDATE = re.compile(r"[a-z0-9]{1,12} [0-9a-fA-F:.]{2,45} [0-9]{1,5}", re.ASCII)
_TOKEN = re.compile(r"[0-9a-f]{16}")
_PASSAGE = re.compile(r"[0-9a-f]{32}")
_SERVER = re.compile(r"[A-Za-z0-9:][A-Za-z0-9:._-]{0,252}")
_SERVER_OR_NONE = re.compile(rf"({_SERVER.pattern})?")

Number = Annotated[int, Whole(1, (1 << 32) - 1)]
Token = Annotated[str, Text(_TOKEN)]
Candidates = Annotated[tuple[str, ...], Several(Text(_CANDIDATE), 32)]  # see wire/candidates.py
Port = Annotated[int, Whole(0, 65535)]
Passage = Annotated[str, Text(_PASSAGE)]  # nobody guesses it


@dataclass(frozen=True, slots=True)
class Register:
    """The node's first message: who it is, and whose coming and going it wants to know."""

    type: ClassVar[str] = "register"
    name: Name  # as in its certificate
    instance: Token  # the first half is the machine's
    watch: Annotated[tuple[str, ...], Several(Text(_NAME_OR_ALL), MOST_WATCHED)] = ()  # names, or EVERYBODY
    version: Annotated[int, Whole(1, 255)] = VERSION
    revocations: ListNumber = BEFORE  # of the last list of revoked certificates that it has
    notices: Annotated[bool, Truth()] = False  # whether it knows what a notice is
    passages: Annotated[bool, Truth()] = False  # of a server: whether it comes to meet a client when it is asked
    news: Annotated[bool, Truth()] = False  # whether it knows what news are


@dataclass(frozen=True, slots=True)
class Registered:
    """The relay's answer."""

    type: ClassVar[str] = "registered"
    number: Number  # of this connection
    observed: Candidates  # where the connection comes from
    echo_port: Port = 0  # UDP; 0: no echo is to be had
    second_port: Port = 0  # another UDP port, to see whether a NAT maps each destination anew
    echo_id: Annotated[str, Text(re.compile(r"([0-9a-f]{16})?"))] = ""
    echo_key: Annotated[str, Text(re.compile(r"([0-9a-f]{64})?"))] = ""
    renews: Annotated[bool, Truth()] = False  # the relay has certificates renewed for its guests
    revocations: ListNumber = BEFORE  # of the last list of the node's network that the relay has


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The relay does not take the node in; the connection ends after it."""

    type: ClassVar[str] = "turned-away"
    reason: Phrase
    retry_after: Annotated[float, Real(0.0, 86400.0)] = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Watch:
    """The node wants to know of others than before."""

    type: ClassVar[str] = "watch"
    names: Annotated[tuple[str, ...], Several(Text(_NAME_OR_ALL), MOST_WATCHED)]


@dataclass(frozen=True, slots=True)
class Present:
    """A node of the same network is here, or something about it has changed."""

    type: ClassVar[str] = "present"
    number: Number
    name: Name
    instance: Token
    observed: Candidates = ()  # where the relay has seen it: its connection, and what its UDP sockets were mapped to


@dataclass(frozen=True, slots=True)
class Absent:
    """It is gone."""

    type: ClassVar[str] = "absent"
    number: Number
    name: Name


@dataclass(frozen=True, slots=True)
class News:
    """Several at once, for a node that has said it knows what that is: first who is gone, then who is here."""

    type: ClassVar[str] = "news"
    gone: Annotated[tuple[Absent, ...], Entries(Absent, MOST_NEWS)] = ()
    here: Annotated[tuple[Present, ...], Entries(Present, MOST_NEWS)] = ()


@dataclass(frozen=True, slots=True)
class Drain:
    """The relay will go away: use another one from now on."""

    type: ClassVar[str] = "drain"
    seconds: Annotated[float, Real(0.0, 86400.0)]
    reason: Phrase = ""


@dataclass(frozen=True, slots=True)
class Renew:
    """The node asks for its next certificate, of a relay that renews."""

    type: ClassVar[str] = "renew"
    csr: Pem
    certificate: Pem  # its present one


@dataclass(frozen=True, slots=True)
class Renewed:
    """The next certificate. There is no answer if there is none: the node asks again."""

    type: ClassVar[str] = "renewed"
    certificate: Pem
    ca: PemOrNothing = ""  # the CAs that the network trusts now


@dataclass(frozen=True, slots=True)
class Notice:
    """The relay tells the node's operator something."""

    type: ClassVar[str] = "notice"
    reason: Phrase


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An envelope to that number did not arrive: it is gone, or its line is full."""

    type: ClassVar[str] = "undelivered"
    number: Number
    gone: Annotated[bool, Truth()]


@dataclass(frozen=True, slots=True)
class Reach:
    """A client's first message on a connection of its own: it wants a passage to that server."""

    type: ClassVar[str] = "reach"
    server: Annotated[str, Text(_SERVER)]  # the host that it calls, as a name or an address
    name: Annotated[str, Text(_SERVER_OR_NONE)] = (
        ""  # that the server's certificate must carry; "" for that of the host
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """The relay tells a server, which has registered, that a client waits for it."""

    type: ClassVar[str] = "asked"
    token: Passage


@dataclass(frozen=True, slots=True)
class Meet:
    """The server's first message on a new connection: it comes to that client."""

    type: ClassVar[str] = "meet"
    token: Passage


@dataclass(frozen=True, slots=True)
class Joined:
    """The relay tells both: what is in a binary from now on, the other one gets."""

    type: ClassVar[str] = "joined"


RelayMessage = (
    Register
    | Registered
    | TurnedAway
    | Watch
    | Present
    | Absent
    | News
    | Drain
    | Renew
    | Renewed
    | Notice
    | Undelivered
    | Reach
    | Asked
    | Meet
    | Joined
    | Listing
)
_LISTING = (Revocations, PartsWanted, RevokedPart)
_PASSAGES = (Reach, Asked, Meet, Joined)
_MESSAGES = Catalogue[RelayMessage](
    (
        *(Register, Registered, TurnedAway, Watch, Present, Absent, News, Drain, Renew, Renewed, Notice, Undelivered),
        *_PASSAGES,
        *_LISTING,
    ),
    LIMIT,
)


def encode(message: RelayMessage) -> bytes:
    """
    One text.

    :raises BugError: a field is out of its range.
    """
    return _MESSAGES.encode(message)


def decode(text: bytes) -> RelayMessage:
    """
    One text.

    :raises MalformedFrame: it is none of ours.
    """
    return _MESSAGES.decode(text)


def encode_news(gone: Sequence[bytes], here: Sequence[bytes]) -> bytes:
    """
    A News of texts that say `absent` and `present` each: they are made once, however many are told.

    :raises BugError: that is too much for one.
    """
    text = b"".join((b'{"type":"news","gone":[', b",".join(gone), b'],"here":[', b",".join(here), b"]}"))
    if len(text) > LIMIT or max(len(gone), len(here)) > MOST_NEWS:
        raise BugError(f"news of {len(text)} bytes")
    return text


# -- envelopes --------------------------------------------------------------------------------------------------------

DATAGRAMS, HANDSHAKE, CALL = 0, 1, 2  # what is in an envelope: sealed datagrams, TLS, "begin a handshake with me"


def address(number: int, kind: int, content: bytes | bytearray | memoryview) -> bytes:
    """An envelope to `number`."""
    return b"".join((_NUMBER.pack(number), bytes((kind,)), content))


def readdress(envelope: bytes, number: int) -> bytes:
    """The same with another number in front, for the other side of a relay."""
    return _NUMBER.pack(number) + envelope[_NUMBER.size :]


def number_of(envelope: bytes) -> int:
    """
    Whom it is to, or from.

    :raises MalformedFrame: there is nothing in it.
    """
    if len(envelope) <= _NUMBER.size:
        raise MalformedFrame("empty envelope")
    number: int = _NUMBER.unpack_from(envelope)[0]
    return number


def opened(envelope: bytes) -> tuple[int, memoryview]:
    """
    Kind and content of an envelope that `number_of` has accepted.

    :raises MalformedFrame: of an unknown kind.
    """
    kind = envelope[_NUMBER.size]
    if kind not in (DATAGRAMS, HANDSHAKE, CALL):
        raise MalformedFrame("envelope of unknown kind")
    return kind, memoryview(envelope)[_NUMBER.size + 1 :]


def bundle(data: bytes | bytearray | memoryview, size: int) -> bytes:
    """Datagrams of `size` bytes each (the last may be shorter) as the content of one envelope."""
    return b"".join((_SIZE.pack(min(size, 0xFFFF)), data))


def unbundle(content: memoryview) -> tuple[memoryview, int]:
    """
    The datagrams, one behind the other, and the size of each.

    :raises MalformedFrame: there are none, or more of them than one run has.
    """
    if len(content) <= _SIZE.size:
        raise MalformedFrame("bundle of nothing")
    size: int = _SIZE.unpack_from(content)[0]
    if not size:
        raise MalformedFrame("datagrams without a byte")
    if len(content) - _SIZE.size > MAX_SEGMENTS * size:
        raise MalformedFrame("bundle of too many datagrams")
    return content[_SIZE.size :], size
