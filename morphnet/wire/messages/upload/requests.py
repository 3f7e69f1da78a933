"""
What an XMPP client asks of an upload service, and what it is answered, as values.

Source: XEP-0363 (HTTP File Upload), 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from morphnet.errors import Refused

NAMESPACE = "urn:xmpp:http:upload:0"
PURPOSES_NAMESPACE = "urn:xmpp:http:upload:purpose:0"
PURPOSES = ("message", "profile", "ephemeral", "permanent")
LONGEST_NAME = 200  # bytes of a file's name, UTF-8


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """A client wants to upload a file."""

    user: str  # bare JID
    name: str  # of the file, as the client says it
    size: int  # bytes
    kind: str  # media type; "" when none is told
    purpose: str  # one of PURPOSES


@dataclass(frozen=True, slots=True)
class SlotGiven:
    """It may."""

    put: str  # URL
    get: str
    headers: Mapping[str, str]  # for the PUT: Authorization alone


class SlotNotGiven(Refused):
    """
    It may not.

    :param condition: of the error, RFC 6120 section 8.3.3.
    :param kind: "auth", "cancel", "modify" or "wait".
    :param max_size: bytes that a file may have, if this is why.
    :param again_at: Unix seconds from which on it may ask again, if this is why.
    """

    def __init__(
        self, condition: str, kind: str, reason: str, *, max_size: int | None = None, again_at: float | None = None
    ) -> None:
        super().__init__(reason)
        self.condition, self.kind, self.max_size, self.again_at = condition, kind, max_size, again_at


def read_request(user: str, said: Mapping[str, str], purpose: str) -> SlotRequest:
    """
    A request with these attributes.

    :raises SlotNotGiven: one is missing, or is none.
    """
    name, size = said.get("filename", ""), said.get("size", "")
    if not name:
        raise SlotNotGiven("bad-request", "modify", "the file has no name")
    if not (size.isascii() and size.isdigit() and len(size) < 19 and int(size)):
        raise SlotNotGiven("bad-request", "modify", "the size of the file must be a number of bytes above 0")
    kind = said.get("content-type", "")
    return SlotRequest(user, name, int(size), kind[:100], purpose if purpose in PURPOSES else "message")


def clean_name(said: str) -> str:
    """What a file is called in its address: the last part of a path, without what cannot be shown, not too long."""
    last = said.replace("\\", "/").rpartition("/")[2]
    name = "".join(each for each in last if each.isprintable()).strip(" .") or "file"
    stem, dot, ending = name.rpartition(".")
    if not dot or not stem or len(ending) > 10:
        stem, dot, ending = name, "", ""
    room = LONGEST_NAME - len((dot + ending).encode("utf-8", "replace"))
    return stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + dot + ending
