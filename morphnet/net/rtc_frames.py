"""
What a home and the process that holds a connection of its say to each other over a socket: a length, a kind, a payload.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from morphnet.errors import MalformedFrame

OPENED, TEXT, BINARY, CLOSED = range(4)  # kinds of messages of one channel of several, see `rtc_homechannel`
_HEAD = struct.Struct("!IB")  # bytes of the payload, kind
LONGEST = 1 << 20  # bytes of a payload


class Kind(IntEnum):
    """What a frame is."""

    OFFER = 1  # home: JSON with `offer`, SDP, and `ice`, URLs
    ANSWER = 2  # JSON with `answer`, SDP, and `pid`
    REFUSED = 3  # there is none: why, in words
    OPEN = 4  # the data channel is open
    MESSAGE = 5  # both: one of the data channel
    OVER = 6  # it is over; a socket that ends without has lost its process


def encode(kind: Kind, payload: bytes) -> tuple[bytes, bytes]:
    """Its two pieces."""
    return _HEAD.pack(len(payload), kind), payload


class Frames:
    """Puts together what a socket gives."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """
        The kinds and payloads that are whole by now.

        :raises MalformedFrame: one is longer than any.
        """
        rest = self._rest + data if self._rest else data
        at, end = 0, len(rest)
        try:
            while end - at >= _HEAD.size:
                size, kind = _HEAD.unpack_from(rest, at)
                if size > LONGEST:
                    raise MalformedFrame(f"frame of {size} bytes")
                begin = at + _HEAD.size
                if end - begin < size:
                    break
                at = begin + size
                yield kind, rest[begin:at]
        finally:
            self._rest = rest[at:]
