"""
The messages of the control link: a length (u32, big-endian), then a JSON object in UTF-8 whose "type" names it.

Every field is checked when it is read and when it is written; keys that nobody knows are ignored, so that either end
may be the newer one.

Source: docs/protocol section 6.
"""

from __future__ import annotations

import dataclasses
import json
import re
import struct
from dataclasses import dataclass
from typing import Annotated, ClassVar, NoReturn, get_type_hints

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.fields import (
    Field,
    Optionally,
    Real,
    Several,
    Text,
    Truth,
    Whole,
    is_address,
    is_address4,
    is_address6,
    is_interface4,
    is_interface6,
)

VERSION = 1  # of this protocol, told in Hello
LIMIT = 1 << 16  # bytes of one message, its length prefix not counted
_LENGTH = struct.Struct("!I")

_WORD = re.compile(r"[a-z0-9-]{1,32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_PEM = re.compile(r"[A-Za-z0-9+/=\r\n -]{1,32768}")
_PHRASE = re.compile(r"[ -~]{0,500}")  # printable ASCII: it ends up in logs and on terminals

Word = Annotated[str, Text(_WORD)]
Name = Annotated[str, Text(_NAME)]
Phrase = Annotated[str, Text(_PHRASE)]
Pem = Annotated[str, Text(_PEM)]
_IdTexts = Annotated[tuple[str, ...], Several(Text(re.compile(r"[0-9a-f]{40}")), 64)]
Words = Annotated[tuple[str, ...], Several(Text(_WORD), 16)]
Epoch = Annotated[int, Whole(0, (1 << 23) - 1)]
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{0,45}")
_PREFIXED = re.compile(r"[0-9a-fA-F:./]{0,49}")


@dataclass(frozen=True, slots=True)
class Hello:
    """The client's first message: who it is and where it left off."""

    type: ClassVar[str] = "hello"
    name: Name  # as in its certificate
    session: Annotated[str, Text(re.compile(r"([0-9a-f]{32})?"))] = ""  # the session it had, hex; "" for none
    epoch: Epoch = 0  # the highest data key epoch it has used
    scheduler: Word = "bond"  # the one it wishes for the downlink
    compression: Words = ()  # the ones it can undo, best first
    version: Annotated[int, Whole(1, 255)] = VERSION
    framings: Words = ("seed",)  # the ones it speaks, best first; who does not say speaks only that one


@dataclass(frozen=True, slots=True)
class Welcome:
    """The server's answer: all that the client needs to run the data plane."""

    type: ClassVar[str] = "welcome"
    session: Annotated[str, Text(re.compile(r"[0-9a-f]{32}"))]  # the session's name, hex
    inner4: Annotated[str, Text(_PREFIXED, is_interface4)]  # "10.73.0.2/24", or "" for none
    inner6: Annotated[str, Text(_PREFIXED, is_interface6)]
    gateway4: Annotated[str, Text(_ADDRESS, is_address4)]  # the server's inner address, or ""
    gateway6: Annotated[str, Text(_ADDRESS, is_address6)]
    mtu: Annotated[int, Whole(576, 65535)]  # inner, bytes
    dns: Annotated[tuple[str, ...], Several(Text(_ADDRESS, is_address), 16)]
    data_port: Annotated[int, Whole(1, 65535)]  # UDP
    epoch: Epoch  # the first one of the new keys
    ids: _IdTexts  # each: ClientID (16 bytes) and session id (4 bytes), hex
    scheduler: Word
    compression: Word
    rekey_seconds: Annotated[float, Real(0.01, 86400.0)]
    rekey_packets: Annotated[int, Whole(1, 1 << 23)]
    heartbeat_s: Annotated[float, Real(0.01, 3600.0)]
    reorder_ms: Annotated[float, Real(0.0, 60000.0)]
    resumed: Annotated[bool, Truth()] = (
        False  # the server still has the session's live state; if not, it counts from the start
    )
    framing: Word = "seed"  # of the data plane, one of those that the client speaks


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server turns the client away; the link ends after it."""

    type: ClassVar[str] = "refusal"
    reason: Phrase
    retry_after: Annotated[float | None, Optionally(Real(0.0, 86400.0))] = None  # seconds; None: do not hope


@dataclass(frozen=True, slots=True)
class Ping:
    """Is somebody there?"""

    type: ClassVar[str] = "ping"
    nonce: Annotated[int, Whole(0, (1 << 32) - 1)]


@dataclass(frozen=True, slots=True)
class Pong:
    """Yes: the nonce of the Ping."""

    type: ClassVar[str] = "pong"
    nonce: Annotated[int, Whole(0, (1 << 32) - 1)]


@dataclass(frozen=True, slots=True)
class Ids:
    """The server hands out ids that were not shown before."""

    type: ClassVar[str] = "ids"
    ids: _IdTexts


@dataclass(frozen=True, slots=True)
class Drain:
    """The server will go away in `seconds`."""

    type: ClassVar[str] = "drain"
    seconds: Annotated[float, Real(0.0, 86400.0)]
    reason: Phrase = ""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The sender ends the link on purpose."""

    type: ClassVar[str] = "goodbye"
    reason: Phrase = ""


@dataclass(frozen=True, slots=True)
class Revoked:
    """The client's certificate was revoked; the link ends after it."""

    type: ClassVar[str] = "revoked"
    reason: Phrase = ""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """The sender wishes that the other end schedules like this."""

    type: ClassVar[str] = "scheduler"
    name: Word


@dataclass(frozen=True, slots=True)
class Join:
    """A holder of an invitation asks for a certificate."""

    type: ClassVar[str] = "join"
    csr: Pem


@dataclass(frozen=True, slots=True)
class Joined:
    """The new certificate, and the CA that signed it."""

    type: ClassVar[str] = "joined"
    certificate: Pem
    ca: Pem


@dataclass(frozen=True, slots=True)
class Renew:
    """A client asks for its next certificate."""

    type: ClassVar[str] = "renew"
    csr: Pem


@dataclass(frozen=True, slots=True)
class Renewed:
    """The client's next certificate."""

    type: ClassVar[str] = "renewed"
    certificate: Pem


Signal = (
    Hello
    | Welcome
    | Refusal
    | Ping
    | Pong
    | Ids
    | Drain
    | Goodbye
    | Revoked
    | Scheduler
    | Join
    | Joined
    | Renew
    | Renewed
)
_CLASSES: tuple[type[Signal], ...] = (
    Hello,
    Welcome,
    Refusal,
    Ping,
    Pong,
    Ids,
    Drain,
    Goodbye,
    Revoked,
    Scheduler,
    Join,
    Joined,
    Renew,
    Renewed,
)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one class is read and written."""

    build: type[Signal]
    fields: dict[str, Field]
    required: frozenset[str]


def _layout(build: type[Signal]) -> _Layout:
    hints = get_type_hints(build, include_extras=True)
    fields: dict[str, Field] = {}
    required: set[str] = set()
    for each in dataclasses.fields(build):
        (fields[each.name],) = hints[each.name].__metadata__
        if each.default is dataclasses.MISSING:
            required.add(each.name)
    return _Layout(build, fields, frozenset(required))


_LAYOUTS = {build.type: _layout(build) for build in _CLASSES}


def encode(signal: Signal) -> bytes:
    """
    The message with its length in front.

    :raises BugError: a field is out of its range, or the message too long.
    """
    layout = _LAYOUTS[signal.type]
    values: dict[str, object] = {"type": signal.type}
    try:
        for name, check in layout.fields.items():
            values[name] = check.read(getattr(signal, name))
    except ValueError as trouble:
        raise BugError(f"{signal.type}: {name}: {trouble}") from None
    body = json.dumps(values, separators=(",", ":")).encode("ascii")
    if len(body) > LIMIT:
        raise BugError(f"{signal.type} of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


def phrase(text: str) -> str:
    """`text` as a reason may travel: printable ASCII, at most 500 characters."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:500])


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def decode(body: bytes) -> Signal:
    """
    One message, without its length.

    :raises MalformedFrame: it is none, of an unknown type, or a field is missing, of a wrong type or out of range.
    """
    if len(body) > LIMIT:
        raise MalformedFrame(f"message of {len(body)} bytes")
    try:
        read: object = json.loads(body.decode("utf-8"), parse_constant=_not_a_number)
    except (ValueError, RecursionError):  # the second: a bomb of brackets
        raise MalformedFrame("message that is not JSON") from None
    if not isinstance(read, dict):
        raise MalformedFrame("message that is not an object")
    kind = read.get("type")
    layout = _LAYOUTS.get(kind) if isinstance(kind, str) else None
    if layout is None:
        raise MalformedFrame("message of unknown type")
    if missing := layout.required - read.keys():
        raise MalformedFrame(f"{kind} without {min(missing)}")
    values: dict[str, object] = {}
    for name, check in layout.fields.items():
        if name in read:
            try:
                values[name] = check.read(read[name])
            except ValueError as trouble:
                raise MalformedFrame(f"{kind}: {name}: {trouble}") from None
    return layout.build(**values)  # type: ignore[arg-type]  # each value went through its field's check


class SignalReader:
    """Cuts a stream of bytes into messages. Holds at most one message that is not complete yet."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._broken: MalformedFrame | None = None

    def feed(self, data: bytes) -> list[Signal]:
        """
        The messages that `data` completes, in order.

        When a bad message follows good ones the good ones are returned first and the next call raises: call again
        with b"" until nothing comes.

        :raises MalformedFrame: the stream is broken, now and for ever.
        """
        if self._broken is not None:
            raise self._broken
        self._held += data
        done: list[Signal] = []
        at = 0
        try:
            while (body := self._body(at)) is not None:
                at += _LENGTH.size + len(body)
                done.append(decode(body))
        except MalformedFrame as trouble:
            self._broken = trouble
            self._held.clear()
            if not done:
                raise
            return done
        del self._held[:at]
        return done

    def _body(self, at: int) -> bytes | None:
        """The message that starts at `at`, or None while it is not complete."""
        if len(self._held) - at < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._held, at)
        if length > LIMIT:
            raise MalformedFrame(f"message of {length} bytes")
        start = at + _LENGTH.size
        return bytes(self._held[start : start + length]) if len(self._held) >= start + length else None
