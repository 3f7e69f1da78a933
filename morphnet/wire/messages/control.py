"""
The messages of the control link: a length (u32, big-endian), then a JSON object in UTF-8 whose "type" names it.

Every field is checked when it is read and when it is written; keys that nobody knows are ignored, so that either end
may be the newer one.

Source: docs/protocol section 6.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Annotated, ClassVar

from morphnet.errors import MalformedFrame
from morphnet.wire.fields import (
    PEM,
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
    is_network,
)
from morphnet.wire.messages.access import Holders
from morphnet.wire.messages.advice import Advice, Domains, Places
from morphnet.wire.messages.codec import Catalogue
from morphnet.wire.messages.networks import Advertise, Networks, Offered
from morphnet.wire.messages.revocations import BEFORE, ListNumber, PartsWanted, Revocations, RevokedPart
from morphnet.wire.messages.terms import PathTerms
from morphnet.wire.messages.trying import Tried, TryPort

VERSION = 1  # of this protocol, told in Hello
LIMIT = 1 << 16  # bytes of one message, its length prefix not counted
AT_ONCE = 128  # messages that are read in one go: who sends too many is stopped before all are
_LENGTH = struct.Struct("!I")

_WORD = re.compile(r"[a-z0-9-]{1,32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_PHRASE = re.compile(r"[ -~]{0,500}")  # printable ASCII: it ends up in logs and on terminals

Word = Annotated[str, Text(_WORD)]
Name = Annotated[str, Text(_NAME)]
Phrase = Annotated[str, Text(_PHRASE)]
Pem = Annotated[str, PEM]
PemOrNothing = Annotated[str, Text(re.compile(PEM.pattern.pattern.replace("{1,", "{0,")))]
_IdTexts = Annotated[tuple[str, ...], Several(Text(re.compile(r"[0-9a-f]{40}")), 64)]
Words = Annotated[tuple[str, ...], Several(Text(_WORD), 16)]
Wait = Annotated[float, Real(0.0, 60000.0)]  # milliseconds
Epoch = Annotated[int, Whole(0, (1 << 23) - 1)]
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{0,45}")
_HOST_PORT = re.compile(r"[A-Za-z0-9._:\[\]-]{1,260}")
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
    instance: Annotated[str, Text(re.compile(r"([0-9a-f]{16})?"))] = ""  # the first half is the machine's
    revocations: ListNumber = BEFORE  # of the last list of revoked certificates that it has
    reorder_tcp_ms: Wait = 0.0  # how long it waits for data of TCP that was lost, and it sends such again; 0: neither
    advertise: Offered = ()  # networks behind it
    networks: Annotated[bool, Truth()] = False  # it understands Networks
    holders: Annotated[bool, Truth()] = False  # it understands Holders
    terms: Annotated[bool, Truth()] = False  # it tells on which terms paths may be used, if the server understands
    advice: Annotated[bool, Truth()] = False  # it understands Advice


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
    reorder_ms: Wait
    resumed: Annotated[bool, Truth()] = (
        False  # the server still has the session's live state; if not, it counts from the start
    )
    framing: Word = "seed"  # of the data plane, one of those that the client speaks
    addresses: Annotated[tuple[str, ...], Several(Text(_ADDRESS, is_address), 8)] = ()  # of the server's data plane
    revocations: ListNumber = BEFORE  # of the last list of revoked certificates that the server has
    reorder_tcp_ms: Wait = 0.0  # the server's, as in Hello
    streams: Annotated[tuple[int, ...], Several(Whole(1, 65535), 8)] = ()  # TCP ports that take streams, best first
    shapes: Words = ()  # besides plain: what the client's datagrams may be dressed as
    services: Words = ()  # that may be reached by name, see `config/carry`
    terms: Annotated[bool, Truth()] = False  # the server heeds PathTerms
    names: Annotated[bool, Truth()] = False  # these three as in Advice
    domains: Domains = ()
    relays: Places = ()
    tries: Annotated[bool, Truth()] = False  # the server heeds TryPort


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
class Notice:
    """The server tells the client's operator something; only to a client that has said which process it is."""

    type: ClassVar[str] = "notice"
    reason: Phrase


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
    relays: Annotated[tuple[str, ...], Several(Text(_HOST_PORT), 16)] = ()  # HOST or HOST:PORT where machines meet
    networks: Annotated[tuple[str, ...], Several(Text(_PREFIXED, is_network), 4)] = ()  # that they have addresses in
    vpn: Annotated[bool, Truth()] = True  # whether who has signed carries a VPN as well


@dataclass(frozen=True, slots=True)
class Renew:
    """A client or a relay asks for a next certificate: its own, or that of one who cannot ask itself."""

    type: ClassVar[str] = "renew"
    csr: Pem
    certificate: PemOrNothing = ""  # the present one; "": the one that was shown


@dataclass(frozen=True, slots=True)
class Renewed:
    """The next certificate."""

    type: ClassVar[str] = "renewed"
    certificate: Pem
    ca: PemOrNothing = ""  # the CAs that the network trusts now


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
    | Notice
    | Scheduler
    | Join
    | Joined
    | Renew
    | Renewed
    | Revocations
    | PartsWanted
    | RevokedPart
    | Advertise
    | Networks
    | PathTerms
    | Holders
    | Advice
    | TryPort
    | Tried
)
_MESSAGES = Catalogue[Signal](
    (
        Hello,
        Welcome,
        Refusal,
        Ping,
        Pong,
        Ids,
        Drain,
        Goodbye,
        Revoked,
        Notice,
        Scheduler,
        Join,
        Joined,
        Renew,
        Renewed,
        Revocations,
        PartsWanted,
        RevokedPart,
        Advertise,
        Networks,
        PathTerms,
        Holders,
        Advice,
        TryPort,
        Tried,
    ),
    LIMIT,
)


def encode(signal: Signal) -> bytes:
    """
    The message with its length in front.

    :raises BugError: a field is out of its range, or the message too long.
    """
    body = _MESSAGES.encode(signal)
    return _LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Signal:
    """
    One message, without its length.

    :raises MalformedFrame: it is none, of an unknown type, or a field is missing, of a wrong type or out of range.
    """
    return _MESSAGES.decode(body)


class SignalReader:
    """Cuts a stream of bytes into messages. Holds at most one message that is not complete yet."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._broken: MalformedFrame | None = None

    def feed(self, data: bytes) -> list[Signal]:
        """
        The messages that `data` completes, in order.

        When a bad message follows good ones the good ones are returned first and the next call raises; of very many
        there are AT_ONCE: call again with b"" until nothing comes.

        :raises MalformedFrame: the stream is broken, now and for ever.
        """
        if self._broken is not None:
            raise self._broken
        self._held += data
        done: list[Signal] = []
        at = 0
        try:
            while len(done) < AT_ONCE and (body := self._body(at)) is not None:
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
