"""
How a file is given out: ranges, and what a browser may show.

Source: RFC 9110 sections 13 and 14, RFC 6266, RFC 8187; the safe types are those of Prosody's mod_http_file_share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BINARY = "application/octet-stream"
_SAFE = re.compile(r"(?:image/(?:png|jpeg|gif|webp|avif)|video/(?:mp4|webm|ogg)|audio/[\w.+-]+|text/plain)")
_KIND = re.compile(r"[\w!#$&^.+-]{1,64}/[\w!#$&^.+-]{1,64}", re.ASCII)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~")
POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file: from `start`, `length` of them."""

    start: int
    length: int


def clean_kind(said: str) -> str:
    """A media type without parameters, lower case; BINARY for what is none."""
    kind = said.partition(";")[0].strip().lower()
    return kind if _KIND.fullmatch(kind) else BINARY


def shows(kind: str) -> bool:
    """Whether a browser may show it in place: it can do nothing."""
    return _SAFE.fullmatch(kind) is not None


def shown_as(kind: str, name: str) -> dict[str, str]:
    """Headers that keep a file from doing anything at its reader's."""
    safe = shows(kind)
    return {
        "Content-Type": f"{kind}; charset=utf-8" if kind == "text/plain" else kind,
        "Content-Disposition": f"{'inline' if safe else 'attachment'}; filename*=UTF-8''{_encoded(name)}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Resource-Policy": "cross-origin",
    }


def _encoded(name: str) -> str:
    """As an ext-value of RFC 8187."""
    octets = name.encode("utf-8", "replace")
    return "".join(chr(each) if chr(each) in _PLAIN else f"%{each:02X}" for each in octets)


def wanted(said: str, size: int) -> Part | None:
    """
    The part that a Range header asks for; None for the whole: of several ranges, or a unit that is not bytes.

    :raises ValueError: there is no such part.
    """
    match = _RANGE.fullmatch(said.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
        length = min(int(last), size)
        if not length:
            raise ValueError("nothing is there")
        return Part(size - length, length)
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < int(first):
        return None
    if start >= size:
        raise ValueError("beyond the end")
    return Part(start, end - start + 1)


def same(said: str, etag: str) -> bool:
    """Whether an If-None-Match names this one."""
    return said.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in said.split(",")]
