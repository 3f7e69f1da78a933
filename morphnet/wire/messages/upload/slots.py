"""
Slots: who may put a file of which size at which path, as the XMPP server has signed it.

Source: Prosody's mod_http_upload_external (v1, v2) and mod_http_file_share (JWT), ejabberd's mod_http_upload
(`external_secret`, which is v1); v3 is the one of hmac-file-server that names its expiry.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from morphnet.errors import Refused

UNKNOWN = -1  # a size that nobody has told
LONGEST_TOKEN = 8192  # characters
_MOST_SIZE = 1 << 62
_MOST_KEPT = 1 << 40  # seconds


class SlotRefused(Refused):
    """This request may not do that; `status` is the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request shows."""

    method: str
    path: str  # decoded, below the base of the upload service, without a slash at its start
    query: Mapping[str, str]
    authorization: str  # the header; "" for none
    size: int  # of the whole file, bytes, as it is known here or as the request tells it; UNKNOWN
    kind: str  # Content-Type; "" for none


@dataclass(frozen=True, slots=True)
class Slot:
    """What the signature allows."""

    path: str  # as in Claim
    size: int  # bytes; UNKNOWN where the signature does not cover it
    user: str  # JID; "" where it is not told
    kind: str  # media type that was signed; "" for none
    opens_until: float  # Unix seconds until which an upload may begin; 0 for no end
    lasts_until: float  # Unix seconds until which it may go on; 0 for no end
    scheme: str  # "v1", "v2", "v3", "jwt"
    keep: int = 0  # seconds that the whole file is kept; 0: as long as all are


def mac_v1(secret: bytes, path: str, size: int) -> str:
    """The `v` of a slot's URL, hex."""
    return hmac.new(secret, f"{path} {size}".encode(), hashlib.sha256).hexdigest()


def mac_v2(secret: bytes, path: str, size: int, kind: str) -> str:
    """The `v2` of a slot's URL, hex."""
    return hmac.new(secret, f"{path}\0{size}\0{kind}".encode(), hashlib.sha256).hexdigest()


def mac_v3(secret: bytes, method: str, path: str, expires: str) -> str:
    """The `v3` of a slot's URL, hex; its path begins with a slash."""
    return hmac.new(secret, f"{method}\n{expires}\n/{path}".encode(), hashlib.sha256).hexdigest()


def verified(claim: Claim, secrets: Sequence[bytes], now: float) -> Slot:
    """
    The slot that a request holds.

    :param secrets: the one in use, and those that are still good while it is replaced.
    :param now: Unix seconds.
    :raises SlotRefused: it holds none.
    """
    scheme, _, token = claim.authorization.partition(" ")
    if scheme.lower() == "bearer":
        return _jwt(claim, token.strip(), secrets, now)
    if "v2" in claim.query:
        return _v2(claim, secrets)
    if "v3" in claim.query:
        return _v3(claim, secrets, now)
    if "v" in claim.query:
        return _v1(claim, secrets)
    raise SlotRefused(401, "this address takes files only with a slot of the XMPP server")


def _matches(given: str, expected: Sequence[str]) -> bool:
    """In the same time for every wrong one, whatever is wrong about it."""
    shown = given.lower().encode("utf-8", "replace")[:LONGEST_TOKEN]
    return sum(hmac.compare_digest(shown, each.encode()) for each in expected) > 0  # all are compared


def _sized(claim: Claim) -> None:
    if claim.size == UNKNOWN:
        raise SlotRefused(411, "the length of the file must be told: Content-Length or Upload-Length")


def _v1(claim: Claim, secrets: Sequence[bytes]) -> Slot:
    _sized(claim)
    if not _matches(claim.query["v"], [mac_v1(each, claim.path, claim.size) for each in secrets]):
        raise SlotRefused(403, "the slot is not for this name and size")
    return Slot(claim.path, claim.size, "", "", 0.0, 0.0, "v1")


def _v2(claim: Claim, secrets: Sequence[bytes]) -> Slot:
    _sized(claim)
    if not _matches(claim.query["v2"], [mac_v2(each, claim.path, claim.size, claim.kind) for each in secrets]):
        raise SlotRefused(403, "the slot is not for this name, size and type")
    return Slot(claim.path, claim.size, "", claim.kind, 0.0, 0.0, "v2")


def _v3(claim: Claim, secrets: Sequence[bytes], now: float) -> Slot:
    expires = claim.query.get("expires", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
        raise SlotRefused(403, "the slot does not say until when it is good")
    if not _matches(claim.query["v3"], [mac_v3(each, "PUT", claim.path, expires) for each in secrets]):
        raise SlotRefused(403, "the slot is not for this name")
    if float(expires) < now:
        raise SlotRefused(410, "the slot is over: ask for another")
    return Slot(claim.path, UNKNOWN, "", "", float(expires), float(expires), "v3")


# -- JWT -----------------------------------------------------------------------------------------------------------


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _padded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def jwt(secret: bytes, claims: Mapping[str, Any]) -> str:
    """A token as mod_http_file_share makes them: JWT, HS256 (RFC 7519, RFC 7515)."""
    header = _unpadded(json.dumps({"alg": "HS256", "typ": "JWT"}, separators=(",", ":")).encode())
    body = _unpadded(json.dumps(dict(claims), separators=(",", ":")).encode())
    mac = hmac.new(secret, f"{header}.{body}".encode(), hashlib.sha256).digest()
    return f"{header}.{body}.{_unpadded(mac)}"


def _read_jwt(token: str, secrets: Sequence[bytes]) -> dict[str, Any]:
    """:raises ValueError: it is none of ours."""
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise ValueError("too long")
    signed, _, mac = token.rpartition(".")
    given = _padded(mac)
    good = [hmac.new(each, signed.encode(), hashlib.sha256).digest() for each in secrets]
    if not sum(hmac.compare_digest(given, each) for each in good):  # all are compared
        raise ValueError("forged")
    header, _, body = signed.partition(".")
    if json.loads(_padded(header)).get("alg") != "HS256":
        raise ValueError("another algorithm")
    claims = json.loads(_padded(body))
    if not isinstance(claims, dict):
        raise ValueError("no claims")
    return claims


def told_path(authorization: str) -> str:
    """
    For which path a token is, as it says itself: nothing of it is verified yet.

    :raises SlotRefused: it says none.
    """
    scheme, _, token = authorization.partition(" ")
    try:
        said = json.loads(_padded(token.strip()[:LONGEST_TOKEN].split(".")[1])) if scheme.lower() == "bearer" else {}
        slot, name = said["slot"], said["filename"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, binascii.Error):
        raise SlotRefused(401, "this takes a slot's token: Authorization: Bearer") from None
    if not (isinstance(slot, str) and isinstance(name, str)):
        raise SlotRefused(401, "the slot's token does not say for what file it is")
    return f"{slot}/{name}"


def _jwt(claim: Claim, token: str, secrets: Sequence[bytes], now: float) -> Slot:
    try:
        said = _read_jwt(token, secrets)
        size, slot, name = said["filesize"], said["slot"], said["filename"]
        exp, user, kind = float(said["exp"]), said.get("sub", ""), said.get("filetype") or ""
        lasts, keep = float(said.get("expires", 0) or 0), int(said.get("keep", 0))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, binascii.Error):
        raise SlotRefused(401, "the slot's token is not one of this network") from None
    texts = all(isinstance(each, str) for each in (slot, name, user, kind))
    if not texts or not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MOST_SIZE:
        raise SlotRefused(401, "the slot's token does not say for what file it is")
    if claim.path != f"{slot}/{name}":
        raise SlotRefused(400, "the slot is for another address")
    if lasts and lasts < now:
        raise SlotRefused(410, "the slot is over: ask for another")
    if claim.size not in (UNKNOWN, size):
        raise SlotRefused(413, f"the slot is for a file of {size} bytes")
    return Slot(claim.path, size, user, kind, exp, lasts or exp + 86400.0, "jwt", min(max(keep, 0), _MOST_KEPT))
