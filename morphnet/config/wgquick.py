"""
A WireGuard configuration as wg-quick reads it, changed so that its peers are reached over a carry, and changed back.

Bytes in, bytes out: all but the values of Endpoint and MTU stays as it is, whatever it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from morphnet.errors import ConfigError

# Bytes that a packet of wg0 is longer on the link: 32 of WireGuard, 4 of the carry, 40 of our framing and tag, 25 of a
# shape at most, 48 of IPv6 and UDP; and 20, which is as fine as the search for the largest datagram goes.
OVERHEAD = 169
LEAST_MTU6 = 1280  # what IPv6 needs inside (RFC 8200 section 5)
USUAL_MTU = 1420  # wg-quick's own for a link of 1500

_SETTING = re.compile(rb"\s*([A-Za-z0-9]+)\s*=\s*([^#]*?)\s*(?:#.*)?\Z", re.DOTALL)


class _Line(NamedTuple):
    """A line with a setting; places are counted in bytes of the whole."""

    section: int  # of which section, 0 is what stands before the first
    kind: bytes  # of the section, in lower case: b"[peer]"
    key: bytes  # in lower case
    value: bytes
    begin: int  # where the value begins


class Peer(NamedTuple):
    """A peer that is called, and where."""

    key: str  # its public key, as it is written
    endpoint: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept beside the file for `unwrap`."""

    original: bytes  # the file before
    fresh: str  # SHA-256 of the file afterwards, hexadecimal
    client: str  # path of the client's configuration
    client_original: bytes
    client_fresh: str  # SHA-256 likewise


def digest(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def encode_kept(kept: Kept) -> bytes:
    """A line of JSON, then the file as it was: who has nothing else can cut it out by hand."""
    head = {
        "morphnet": 1,
        "fresh": kept.fresh,
        "client": kept.client,
        "client_original": base64.b64encode(kept.client_original).decode(),
        "client_fresh": kept.client_fresh,
    }
    return json.dumps(head).encode() + b"\n" + kept.original


def decode_kept(data: bytes) -> Kept:
    """:raises ConfigError: that is none."""
    head, _, original = data.partition(b"\n")
    try:
        said = json.loads(head)
        client = base64.b64decode(said["client_original"], validate=True)
        kept = Kept(original, said["fresh"], said["client"], client, said["client_fresh"])
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        raise ConfigError("is not what `morphnet wrap` has written") from None
    if said.get("morphnet") != 1 or not all(isinstance(e, str) for e in (kept.fresh, kept.client, kept.client_fresh)):
        raise ConfigError("is not what `morphnet wrap` has written")
    return kept


def _lines(text: bytes) -> Iterator[_Line]:
    section, kind, at = 0, b"", 0
    for line in text.split(b"\n"):
        bare = line.split(b"#")[0].strip()
        if bare.startswith(b"["):
            section, kind = section + 1, bare.lower()
        elif found := _SETTING.match(line):
            yield _Line(section, kind, found[1].lower(), found[2], at + found.start(2))
        at += len(line) + 1


def _names(lines: list[_Line]) -> dict[int, str]:
    """The public key of each section of a peer that has one."""
    return {each.section: _shown(each.value) for each in lines if (each.kind, each.key) == (b"[peer]", b"publickey")}


def _shown(value: bytes) -> str:
    return value.decode("ascii", "replace")


def peers(text: bytes) -> list[Peer]:
    """
    Those that are called, in order; of one that stands there twice the last endpoint counts.

    :raises ConfigError: it is no such file.
    """
    lines = list(_lines(text))
    if not any(each.kind == b"[interface]" for each in lines):
        raise ConfigError("has no [Interface] with a setting: it is no configuration of wg-quick")
    names, found = _names(lines), {}
    for each in lines:
        if (each.kind, each.key) == (b"[peer]", b"endpoint") and each.section in names:
            found[names[each.section]] = _shown(each.value)
    return [Peer(*each) for each in found.items()]


def values(text: bytes, key: str) -> list[str]:
    """What is said for that key, in any section and in order; `key` in lower case."""
    return [_shown(each.value) for each in _lines(text) if each.key == key.encode()]


def takes_default(text: bytes) -> bool:
    """Whether it draws in everything, of IPv4 or IPv6, also by halves."""
    said = {each.strip() for value in values(text, "allowedips") for each in value.split(",")}
    return bool(said & {"0.0.0.0/0", "::/0", "0.0.0.0/1", "::/1"})


def mtu_for(text: bytes, link: int) -> int | None:
    """
    The MTU that it should have on links of that MTU, None if what it has is small enough.

    :raises ConfigError: it says one that is no number, or IPv6 would not fit.
    """
    said = values(text, "mtu")
    if said and not (said[-1].isascii() and said[-1].isdigit() and len(said[-1]) <= 5):
        raise ConfigError(f"has an MTU that is no number: {said[-1][:20]!r}")
    room = link - OVERHEAD
    if room < LEAST_MTU6:
        raise ConfigError(f"would need an MTU of {room}, below {LEAST_MTU6}: a link has at least {1280 + OVERHEAD}")
    return room if int(said[-1] if said else USUAL_MTU) > room else None


def wrapped(text: bytes, endpoints: Mapping[str, str], mtu: int | None) -> bytes:
    """
    The file with other endpoints, and another MTU.

    :param endpoints: public key and ADDRESS:PORT on this machine.
    :param mtu: None leaves it.
    """
    lines = list(_lines(text))
    names, edits = _names(lines), []
    sizes = [each for each in lines if (each.kind, each.key) == (b"[interface]", b"mtu")]
    for each in lines:
        if (each.kind, each.key) == (b"[peer]", b"endpoint") and names.get(each.section) in endpoints:
            edits.append((each, endpoints[names[each.section]].encode()))
    if mtu is not None:
        edits += [(each, str(mtu).encode()) for each in sizes]
    for each, value in sorted(edits, key=lambda edit: -edit[0].begin):
        text = text[: each.begin] + value + text[each.begin + len(each.value) :]
    return text if mtu is None or sizes else _with_mtu(text, mtu)


def _with_mtu(text: bytes, mtu: int) -> bytes:
    """In the line behind the first [Interface]."""
    lines = text.split(b"\n")
    for number, line in enumerate(lines):
        if line.split(b"#")[0].strip().lower() == b"[interface]":
            end = b"\r" if line.endswith(b"\r") else b""
            lines.insert(number + 1, f"MTU = {mtu}".encode() + end)
            break
    return b"\n".join(lines)
