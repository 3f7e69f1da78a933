"""
What the original's browser client and a home say over data channels: a list of apps as JSON, and frames of an app.

Source: docs/homechannel section 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from morphnet.errors import MalformedFrame
from morphnet.legacy.homechannel.boxes import read_object, stringify

CONTROL = "apps-control"  # label of the channel with the list; those of apps have the apps' names
JSON, CHUNK, END, CANCEL = range(1, 5)
PIECE = 65536  # bytes of a file in one frame
LONGEST = 1 << 20  # bytes of a frame
_HEAD = struct.Struct("!BI")  # type, bytes that follow


def frame(kind: int, payload: bytes | dict[str, Any]) -> bytes:
    """One frame."""
    raw = payload if isinstance(payload, bytes) else stringify(payload).encode("utf-8", "replace")
    return _HEAD.pack(kind, len(raw)) + raw


def frames(message: bytes) -> Iterator[tuple[int, bytes]]:
    """
    Types and payloads of the frames in a message.

    :raises MalformedFrame: one is cut, or of no such type.
    """
    at = 0
    while at < len(message):
        if len(message) - at < _HEAD.size:
            raise MalformedFrame("frame of an app")
        kind, size = _HEAD.unpack_from(message, at)
        at += _HEAD.size
        if not JSON <= kind <= CANCEL or size > LONGEST or len(message) - at < size:
            raise MalformedFrame("frame of an app")
        yield kind, message[at : at + size]
        at += size


def control(said: bytes, apps: Sequence[dict[str, Any]]) -> str:
    """
    What is answered in the channel with the list.

    :raises MalformedFrame: it is no question.
    """
    asked = read_object(said)
    request = asked.get("requestId")
    if asked.get("type") == "apps:list":
        return stringify({"type": "apps:list:response", "requestId": request, "apps": list(apps)})
    return stringify({"type": "error", "requestId": request, "error": "Unknown message type"})
