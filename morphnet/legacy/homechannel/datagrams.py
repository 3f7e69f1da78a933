"""
Datagrams between a home server of the original and its coordinator: version, type, payload.

Source: docs/homechannel section 2.
"""

from __future__ import annotations

from morphnet.errors import MalformedFrame

VERSION = 1
HELLO, HELLO_ACK, ECDH_INIT, ECDH_RESPONSE, REGISTER, PING, HEARTBEAT, ANSWER, MIGRATE, OFFER, PONG = range(1, 12)
ERROR = 0xFF
TAG = 4  # bytes
LONGEST = 65507
FROM_SERVERS = frozenset({HELLO, ECDH_INIT, REGISTER, PING, HEARTBEAT, ANSWER})


def encode(kind: int, payload: bytes = b"") -> bytes:
    """The datagram."""
    return bytes((VERSION, kind)) + payload


def decode(datagram: bytes) -> tuple[int, bytes]:
    """
    Its type and its payload.

    :raises MalformedFrame: it is none of that version.
    """
    if len(datagram) < 2 or datagram[0] != VERSION:
        raise MalformedFrame(f"HomeChannel datagram of {len(datagram)} bytes")
    return datagram[1], datagram[2:]


def is_from_server(datagram: bytes) -> bool:
    """Whether it claims to be one that home servers send; STUN requests begin otherwise."""
    return len(datagram) >= 2 and datagram[0] == VERSION and datagram[1] in FROM_SERVERS


def tag(payload: bytes) -> bytes:
    """
    What is in HELLO.

    :raises MalformedFrame: nothing of that length.
    """
    if len(payload) != TAG:
        raise MalformedFrame("HELLO")
    return payload


def tags(payload: bytes) -> tuple[bytes, bytes]:
    """
    The server's and the coordinator's, in HELLO_ACK.

    :raises MalformedFrame: they are not.
    """
    if len(payload) != 2 * TAG:
        raise MalformedFrame("HELLO_ACK")
    return payload[:TAG], payload[TAG:]


def key_message(key: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """The payload of ECDH_INIT, with the coordinator's tag `before`, or of ECDH_RESPONSE, with a box `after`."""
    return before + bytes((len(key),)) + key + after


def read_key_message(payload: bytes, before: int) -> tuple[bytes, bytes, bytes]:
    """
    What is before a public key, the key, and what is after it.

    :param before: bytes in front of it.
    :raises MalformedFrame: it is cut.
    """
    if len(payload) <= before:
        raise MalformedFrame("public key")
    begin, size = before + 1, payload[before]
    if not size or len(payload) < begin + size:
        raise MalformedFrame("public key")
    return payload[:before], payload[begin : begin + size], payload[begin + size :]
