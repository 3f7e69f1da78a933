"""
Frames: what two ends tell each other inside sealed datagrams of type HEARTBEAT, HANDSHAKE and CONTROL.

Source: docs/protocol section 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from morphnet.errors import MalformedFrame
from morphnet.wire.candidates import KINDS, MOST_CANDIDATES, Candidate, is_reachable
from morphnet.wire.header import CONTROL, HANDSHAKE, HEARTBEAT
from morphnet.wire.ip import View

PADDING, PING, ACK, CHALLENGE, RESPONSE, NEW_IDS, WANT_IDS, PATH_CLOSE, SEEN, REACH = range(10)
TOKEN = 8  # bytes of a challenge
ISSUED = 20  # bytes of an issued id: ClientID and session id
MAX_RANGES = 32
MAX_IDS = 16  # in one frame


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer with an Ack at once."""


@dataclass(frozen=True, slots=True)
class Ack:
    """What arrived on one path, as its receiver counts."""

    path: int
    largest: int  # highest packet number received, u64
    delay: int  # microseconds between its arrival and this frame
    echo: int  # its send time, as in its header
    packets: int  # received on this path, ever, mod 2**32
    total: int  # bytes of UDP payload received on this path, ever, u64
    received_at: int  # microseconds mod 2**32 on the receiver's clock when `largest` came
    ranges: tuple[
        tuple[int, int], ...
    ]  # (first, last) packet numbers received, newest first, within 65535 of `largest`


@dataclass(frozen=True, slots=True)
class Challenge:
    """Prove that you are where this was sent to: return the token."""

    token: bytes  # 8 bytes


@dataclass(frozen=True, slots=True)
class Response:
    """The token of a Challenge, returned on the path that it came by."""

    token: bytes  # 8 bytes


@dataclass(frozen=True, slots=True)
class NewIds:
    """ClientIDs, each with its session id, that the receiver may show from now on."""

    ids: tuple[bytes, ...]  # 20 bytes each


@dataclass(frozen=True, slots=True)
class WantIds:
    """Please issue this many."""

    count: int  # 1 .. MAX_IDS


@dataclass(frozen=True, slots=True)
class PathClose:
    """Send nothing more by this path."""

    path: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Where your datagrams on this path come from: what a NAT on the way made of your address."""

    host: str  # numeric
    port: int


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the sender may be reached: it searches for a direct way, and so shall the receiver."""

    candidates: tuple[Candidate, ...]  # at most MOST_CANDIDATES


Frame = Ping | Ack | Challenge | Response | NewIds | WantIds | PathClose | Seen | Reach

_ACK = struct.Struct("!BQIIIQIB")
_RANGE = struct.Struct("!HH")
_PORT = struct.Struct("!H")


def _pack(frame: Frame) -> bytes:
    match frame:
        case Ping():
            return bytes((PING,))
        case Ack():
            ranges, counts = frame.ranges[:MAX_RANGES], (frame.packets, frame.total, frame.received_at)
            head = _ACK.pack(frame.path, frame.largest, frame.delay, frame.echo, *counts, len(ranges))
            spans = b"".join(_RANGE.pack(frame.largest - last, frame.largest - first) for first, last in ranges)
            return bytes((ACK,)) + head + spans
        case Challenge():
            return bytes((CHALLENGE,)) + frame.token
        case Response():
            return bytes((RESPONSE,)) + frame.token
        case NewIds():
            return bytes((NEW_IDS, len(frame.ids))) + b"".join(frame.ids)
        case WantIds():
            return bytes((WANT_IDS, frame.count))
        case PathClose():
            return bytes((PATH_CLOSE, frame.path))
        case Seen():
            return bytes((SEEN,)) + _pack_address(frame.host, frame.port)
        case Reach():
            packed = (bytes((KINDS.index(kind),)) + _pack_address(host, port) for kind, host, port in frame.candidates)
            return bytes((REACH, len(frame.candidates))) + b"".join(packed)


@lru_cache(4096)  # a server tells each client again and again where it comes from
def _pack_address(host: str, port: int) -> bytes:
    packed = ip_address(host).packed
    return bytes((len(packed),)) + packed + _PORT.pack(port)


def type_of(frames: Iterable[Frame]) -> int:
    """The type of the datagram that these frames travel in."""
    kinds = {type(frame) for frame in frames}
    if kinds & {NewIds, WantIds, PathClose, Reach}:
        return CONTROL
    return HANDSHAKE if kinds & {Challenge, Response} else HEARTBEAT


def encode_frames(frames: Iterable[Frame], size: int = 0) -> bytes:
    """The frames as one plaintext, padded with zeros to `size` bytes."""
    return b"".join(map(_pack, frames)).ljust(size, b"\0")


def _unpack_ack(data: bytes, at: int) -> tuple[Ack, int]:
    path, largest, delay, echo, packets, total, received_at, count = _ACK.unpack_from(data, at)
    at += _ACK.size
    if count > MAX_RANGES:
        raise MalformedFrame("ack with too many ranges")
    ranges: list[tuple[int, int]] = []
    ceiling = largest + 1
    for _ in range(count):
        near, far = _RANGE.unpack_from(data, at)
        at += _RANGE.size
        first, last = largest - far, largest - near
        if not 0 <= first <= last < ceiling:
            raise MalformedFrame("ack with disordered ranges")
        ranges.append((first, last))
        ceiling = first
    return Ack(path, largest, delay, echo, packets, total, received_at, tuple(ranges)), at


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise MalformedFrame("frame cut short")
    return data[at : at + size]


def _unpack_ids(data: bytes, at: int) -> tuple[NewIds, int]:
    count = _take(data, at, 1)[0]
    if not 1 <= count <= MAX_IDS:
        raise MalformedFrame("bad number of ids")
    flat = _take(data, at + 1, count * ISSUED)
    return NewIds(tuple(flat[i : i + ISSUED] for i in range(0, len(flat), ISSUED))), at + 1 + len(flat)


def _unpack_address(data: bytes, at: int) -> tuple[str, int, int]:
    size = _take(data, at, 1)[0]
    if size not in (4, 16):
        raise MalformedFrame("address of no family")
    packed, port = _take(data, at + 1, size), _PORT.unpack(_take(data, at + 1 + size, 2))[0]
    return str(ip_address(packed)), port, at + 3 + size


def _unpack_reach(data: bytes, at: int) -> tuple[Reach, int]:
    count, at = _take(data, at, 1)[0], at + 1
    if count > MOST_CANDIDATES:
        raise MalformedFrame("too many candidates")
    candidates = []
    for _ in range(count):
        kind, at = _take(data, at, 1)[0], at + 1
        host, port, at = _unpack_address(data, at)
        if kind < len(KINDS) and port and is_reachable(ip_address(host)):
            candidates.append(Candidate(KINDS[kind], host, port))
    return Reach(tuple(candidates)), at


def decode_frames(plaintext: View) -> list[Frame]:
    """
    Read every frame.

    :raises MalformedFrame: an unknown frame, one cut short or one that contradicts itself.
    """
    data, at, frames = bytes(plaintext), 0, list[Frame]()
    while at < len(data):
        kind, at = data[at], at + 1
        if kind == PADDING:
            if data.count(0, at) != len(data) - at:
                raise MalformedFrame("padding that is not zero")
            break
        try:
            frame, at = _unpack(kind, data, at)
        except struct.error as error:
            raise MalformedFrame("frame cut short") from error
        frames.append(frame)
    return frames


def _unpack(kind: int, data: bytes, at: int) -> tuple[Frame, int]:
    match kind:
        case 1:
            return Ping(), at
        case 2:
            return _unpack_ack(data, at)
        case 3:
            return Challenge(_take(data, at, TOKEN)), at + TOKEN
        case 4:
            return Response(_take(data, at, TOKEN)), at + TOKEN
        case 5:
            return _unpack_ids(data, at)
        case 6:
            count = _take(data, at, 1)[0]
            if not 1 <= count <= MAX_IDS:
                raise MalformedFrame("bad number of wanted ids")
            return WantIds(count), at + 1
        case 7:
            return PathClose(_take(data, at, 1)[0]), at + 1
        case 8:
            host, port, at = _unpack_address(data, at)
            return Seen(host, port), at
        case 9:
            return _unpack_reach(data, at)
        case _:
            raise MalformedFrame(f"unknown frame {kind}")
