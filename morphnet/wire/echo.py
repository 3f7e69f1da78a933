"""
The echo of a relay: what a NAT made of the address of a UDP socket, for those alone who have registered.

A request is `id 8 | transaction 8 | socket 1 | turn 8 | zeros | tag 16`, an answer
`id 8 | transaction 8 | family 1 | address 16 | port 2 | zeros | tag 16`; both have 64 bytes, so that nothing is
amplified. The turn grows with each request of a node, so that a recorded one is told from a fresh one; nodes of before
send zeros. The tag is HMAC-SHA256 over all before it, cut to 16 bytes; requests and answers differ by the first byte of
what is hashed.

Source: docs/protocol section 11.
"""

from __future__ import annotations

import hmac
import struct
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from morphnet.errors import Forged, MalformedFrame

LENGTH = 64  # bytes of either
ID, TRANSACTION, TAG = 8, 8, 16
_ADDRESS = struct.Struct("!B16sH")
_REQUEST = struct.Struct("!8sBQ")


class Asked(NamedTuple):
    """A request."""

    transaction: bytes  # 8 bytes
    socket: int  # 0 .. 255
    turn: int  # above 0; or 0 of a node that counts none


class Echoed(NamedTuple):
    """An answer."""

    transaction: bytes  # of the request, 8 bytes
    host: str  # numeric
    port: int


def _seal(key: bytes, mark: bytes, body: bytes) -> bytes:
    body = body.ljust(LENGTH - TAG, b"\0")
    return body + hmac.digest(key, mark + body, sha256)[:TAG]


def _check(key: bytes, mark: bytes, datagram: bytes) -> None:
    """:raises Forged: the tag is another one."""
    body = datagram[:-TAG]
    if not hmac.compare_digest(hmac.digest(key, mark + body, sha256)[:TAG], datagram[-TAG:]):
        raise Forged("echo")


def make_request(echo_id: bytes, key: bytes, transaction: bytes, socket: int, turn: int = 0) -> bytes:
    """
    Ask for an echo.

    :param echo_id: 8 bytes, from Registered; likewise `key`, 32 bytes.
    :param transaction: 8 bytes that nobody can guess.
    :param socket: 0 .. 255, tells our sockets apart.
    :param turn: higher than that of every request before, under this id.
    """
    return _seal(key, b"?", echo_id + _REQUEST.pack(transaction, socket, turn))


def id_of(datagram: bytes) -> bytes:
    """
    Whose request, or answer, this would be.

    :raises MalformedFrame: of no length that ours have.
    """
    if len(datagram) != LENGTH:
        raise MalformedFrame(f"echo of {len(datagram)} bytes")
    return datagram[:ID]


def read_request(datagram: bytes, key: bytes) -> Asked:
    """
    A request that `id_of` has accepted.

    :raises Forged: made with another key.
    """
    _check(key, b"?", datagram)
    return Asked(*_REQUEST.unpack_from(datagram, ID))


def make_answer(echo_id: bytes, key: bytes, transaction: bytes, host: str, port: int) -> bytes:
    """What to say to a request that came from there."""
    packed = ip_address(host).packed
    return _seal(key, b"!", echo_id + transaction + _ADDRESS.pack(len(packed), packed.ljust(16, b"\0"), port))


def read_answer(datagram: bytes, key: bytes) -> Echoed:
    """
    An answer that `id_of` has accepted.

    :raises Forged: made with another key.
    :raises MalformedFrame: of no family.
    """
    _check(key, b"!", datagram)
    size, packed, port = _ADDRESS.unpack_from(datagram, ID + TRANSACTION)
    if size not in (4, 16):
        raise MalformedFrame("echo of no family")
    address = IPv4Address(packed[:4]) if size == 4 else IPv6Address(packed)
    return Echoed(datagram[ID : ID + TRANSACTION], str(address), port)
