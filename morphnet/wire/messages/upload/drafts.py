"""
The headers of resumable uploads, draft-ietf-httpbis-resumable-upload: what each interop version calls them.

Source: draft-ietf-httpbis-resumable-upload, revisions 01 (interop version 3) to 12 (version 9).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

VERSION = "upload-draft-interop-version"
KNOWN = (3, 5, 6, 8, 9)  # who names another one, or none, is spoken to as the newest, and gets no 104
NEWEST = 9
PARTIAL = "application/partial-upload"
_PROBLEMS = "https://iana.org/assignments/http-problem-types#"
_DIGESTS = {"sha-256": "sha256", "sha-512": "sha512"}
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Appends:
    """How many bytes one request may add."""

    least: int = 0  # unless they are the last ones
    most: int = 0  # 0: no limit


ANY = Appends()


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version, as its client understands it."""

    version: int  # NEWEST for who names none
    named: bool  # the request names this version: it may get 104

    @property
    def offsets_everywhere(self) -> bool:
        """Every answer about an upload has its offset."""
        return self.version <= 6

    def flag(self, complete: bool) -> tuple[str, str]:
        """The header that tells whether an upload is complete."""
        if self.version == 3:
            return "Upload-Incomplete", "?0" if complete else "?1"
        return "Upload-Complete", "?1" if complete else "?0"

    def complete(self, headers: Mapping[str, str]) -> bool | None:
        """
        Whether the request brings the last byte; None when it does not say.

        :raises ValueError: it says something else.
        """
        name = "upload-incomplete" if self.version == 3 else "upload-complete"
        said = headers.get(name)
        if said is None:
            return None
        if said not in ("?0", "?1"):
            raise ValueError(f"{name} must be ?0 or ?1")
        return (said == "?1") != (self.version == 3)

    def limit(self, max_size: int, seconds: int | None, appends: Appends | None = None) -> str:
        """The header Upload-Limit; `seconds` that the upload is kept for, if that is told."""
        said = [f"max-size={max_size}", "min-size=0"]
        if appends is not None and appends.most:
            said.append(f"max-append-size={appends.most}")
        if appends is not None and appends.least:
            said.append(f"min-append-size={appends.least}")
        if seconds is not None:
            said.append(f"{'expires' if self.version <= 6 else 'max-age'}={seconds}")
        return ", ".join(said)


def dialect(headers: Mapping[str, str]) -> Dialect:
    """The version that a request speaks; names of headers in lower case."""
    said = headers.get(VERSION, "")
    if _NUMBER.fullmatch(said) and int(said) in KNOWN:
        return Dialect(int(said), True)
    return Dialect(NEWEST, False)


def speaks(headers: Mapping[str, str]) -> bool:
    """Whether a request with a body wants to be resumable."""
    return VERSION in headers or "upload-complete" in headers


def number(headers: Mapping[str, str], name: str) -> int | None:
    """
    A count of bytes in a header; None when it is not there.

    :raises ValueError: it is no number.
    """
    said = headers.get(name)
    if said is None:
        return None
    if not _NUMBER.fullmatch(said):
        raise ValueError(f"{name} must be a number of bytes")
    return int(said)


def agrees(headers: Mapping[str, str], body: bytes) -> bool:
    """
    Whether a body is what its Content-Digest says, if it has one (RFC 9530; sha-256 and sha-512 are looked at).

    :raises ValueError: one of these is no digest.
    """
    for each in headers.get("content-digest", "").split(","):
        name, _, said = each.strip().partition("=")
        if name.lower() not in _DIGESTS:
            continue
        if len(said) < 2 or said[0] + said[-1] != "::":
            raise ValueError("content-digest must be as sha-256=:...:")
        try:
            given = base64.b64decode(said[1:-1], validate=True)
        except binascii.Error:
            raise ValueError("content-digest must be as sha-256=:...:") from None
        if not hmac.compare_digest(given, hashlib.new(_DIGESTS[name.lower()], body).digest()):
            return False
    return True


def problem(kind: str, **members: int) -> dict[str, object]:
    """The body of a refusal that clients understand (RFC 9457)."""
    named = {name.replace("_", "-"): value for name, value in members.items()}
    return {"type": _PROBLEMS + kind, "title": kind.replace("-", " "), **named}
