"""
Slots: who may put a file of which size at which path, as the XMPP server has signed it.

Source: Prosody's mod_http_upload_external (v1, v2) and mod_http_file_share (JWT), ejabberd's mod_http_upload
(`external_secret`, which is v1); v3 and the bearer are those of hmac-file-server that name their expiry. What that
server takes besides (X-Signature, two more bearers) covers a path or a user alone, and is none here.
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
_MORE = 86400.0  # seconds that an upload which began in time may go on where its slot does not say
_BEARERS = (86400, 14400)  # seconds from the making of a bearer to its end, as hmac-file-server's modules set them
_BEARER_BRIEF = 3600  # the same of the bearer that names its making alone


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
    scheme: str  # "v1", "v2", "v3", "jwt", "bearer"
    keep: int = 0  # seconds that the whole file is kept; 0: as long as all are
    once: str = ""  # what it is known by, if it covers the name alone: it is good for the first path that it is used at


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
    if any(ord(each) < 32 for text in (claim.path, claim.kind) for each in text):
        raise SlotRefused(400, "a name or a type holds a control character")  # NUL and LF are what a MAC is joined by
    scheme, _, token = claim.authorization.partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    if {"user", "expiry"} <= claim.query.keys():
        return _bearer(claim, token or claim.query.get("token", "").replace(" ", "+"), secrets, now)
    if scheme.lower() == "bearer":
        return _jwt(claim, token, secrets, now)
    if "v2" in claim.query or "token" in claim.query:
        return _v2(claim, secrets)
    if "v3" in claim.query:
        return _v3(claim, secrets, now)
    if "v" in claim.query:
        return _v1(claim, secrets)
    raise SlotRefused(401, "this address takes files only with a slot of the XMPP server")


def _matches(given: str, expected: Sequence[str]) -> bool:
    """Hex; in the same time for every wrong one, whatever is wrong about it."""
    return _same(given.lower(), expected)


def _same(given: str, expected: Sequence[str]) -> bool:
    shown = given.encode("utf-8", "replace")[:LONGEST_TOKEN]
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
    given = claim.query.get("v2") or claim.query.get("token", "")
    if not _matches(given, [mac_v2(each, claim.path, claim.size, claim.kind) for each in secrets]):
        raise SlotRefused(403, "the slot is not for this name, size and type")
    return Slot(claim.path, claim.size, "", claim.kind, 0.0, 0.0, "v2")


def _v3(claim: Claim, secrets: Sequence[bytes], now: float) -> Slot:
    expires = claim.query.get("expires", "")
    if not _is_time(expires):
        raise SlotRefused(403, "the slot does not say until when it is good")
    if not _matches(claim.query["v3"], [mac_v3(each, "PUT", claim.path, expires) for each in secrets]):
        raise SlotRefused(403, "the slot is not for this name")
    return _lasting(Slot(claim.path, UNKNOWN, "", "", float(expires), float(expires) + _MORE, "v3"), now)


def _is_time(said: str) -> bool:
    return said.isascii() and said.isdigit() and len(said) < 16


def _lasting(slot: Slot, now: float) -> Slot:
    if slot.lasts_until < now:
        raise SlotRefused(410, "the slot is over: ask for another")
    return slot


# -- bearer of hmac-file-server ------------------------------------------------------------------------------------


def mac_bearer(secret: bytes, *fields: str | int) -> str:
    """A bearer of that server, base64: user, name, size, and times or a session, as its modules order them."""
    return base64.b64encode(hmac.new(secret, "\0".join(map(str, fields)).encode(), hashlib.sha256).digest()).decode()


def _bearer(claim: Claim, token: str, secrets: Sequence[bytes], now: float) -> Slot:
    """Those that cover user, name, size and expiry; no two of them can be read as each other, nor as another scheme."""
    _sized(claim)
    user, expiry, session = (claim.query.get(each, "") for each in ("user", "expiry", "session_id"))
    if not _is_time(expiry) or not user or any(ord(each) <= 32 for each in user + session):
        raise SlotRefused(403, "the slot does not say for whom it is, or until when")
    slot, _, name = claim.path.rpartition("/")
    if not slot or "/" in slot:
        raise SlotRefused(400, "the slot is for another address")
    until, about = int(expiry), (user, name, claim.size)
    forms: list[tuple[str | int, ...]] = [(*about, until - each, until, "network_resilient") for each in _BEARERS]
    forms += [(*about, until, session), (*about, until - _BEARER_BRIEF)]
    if len(token) > LONGEST_TOKEN or not _same(token, [mac_bearer(key, *each) for key in secrets for each in forms]):
        raise SlotRefused(403, "the slot is not for this user, name and size")
    once = hashlib.sha256(token.encode()).hexdigest()
    found = Slot(claim.path, claim.size, user, "", float(until), float(until) + _MORE, "bearer", once=once)
    return _lasting(found, now)


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
    keep = min(max(keep, 0), _MOST_KEPT)
    found = _lasting(Slot(claim.path, size, user, kind, exp, lasts or exp + _MORE, "jwt", keep), now)
    if claim.size not in (UNKNOWN, size):
        raise SlotRefused(413, f"the slot is for a file of {size} bytes")
    return found
