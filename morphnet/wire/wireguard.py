"""
What a WireGuard is told and tells, by the text that every userspace implementation takes at its socket, and its keys.

Keys are base64 here, as people see them; hexadecimal on the socket.

Source: https://www.wireguard.com/xplatform/, "Configuration Protocol".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from morphnet.errors import HostError, MalformedFrame

KEY = 32  # bytes
GET = b"get=1\n\n"
_REFUSALS = {"-98": "cannot have its UDP port, which another program has: set another in `wireguard.listen`"}


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody who may come."""

    public_key: str
    preshared_key: str = field(repr=False)
    allowed: tuple[str, ...]  # networks in CIDR notation that it may send from, and that are sent to it; sorted
    keepalive: int = 0  # seconds between words to it, so that a device calls it by itself; 0 for none
    last: str = field(default="", compare=False)  # where it is called, "host:port"; "" for where it comes from


@dataclass(frozen=True, slots=True)
class Seen:
    """The same, as the device has it."""

    peer: Peer
    endpoint: str = ""  # "host:port" or "[host]:port"; "" before it came
    handshake_at: int = 0  # Unix seconds of the last one; 0 for never
    received: int = 0  # bytes from it, since the device or the peer was made; WireGuard's headers among them
    sent: int = 0  # bytes to it, likewise


@dataclass(frozen=True, slots=True)
class Told:
    """What a device tells of itself."""

    private_key: str = field(repr=False, default="")
    port: int = 0  # UDP
    peers: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be other than it is."""

    private_key: str = field(repr=False, default="")  # "": as it is
    port: int = 0  # likewise
    gone: tuple[str, ...] = ()  # public keys
    put: tuple[Peer, ...] = ()  # new ones, and those that are others now

    def __bool__(self) -> bool:
        return bool(self.private_key or self.port or self.gone or self.put)


def private_key(entropy: bytes) -> str:
    """
    A private key in the one form that every device gives back as it is.

    :param entropy: 32 random bytes.

    Source: RFC 7748 section 5, the bits that X25519 sets and clears.
    """
    first, *middle, last = entropy[:KEY]
    return base64.b64encode(bytes([first & 248, *middle, (last & 127) | 64])).decode()


def public_key(private: str) -> str:
    """Of that private key."""
    made = X25519PrivateKey.from_private_bytes(key_bytes(private))
    return base64.b64encode(made.public_key().public_bytes_raw()).decode()


def key_bytes(text: str) -> bytes:
    """
    The 32 bytes of a key.

    :raises MalformedFrame: it is none.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY:
        raise MalformedFrame("no key of WireGuard: that is 32 bytes in base64")
    return key


def difference(private: str, port: int, wanted: Iterable[Peer], told: Told) -> Changes:
    """What makes a device be as it is wanted; nothing is done to a peer that is so already."""
    here, want = {each.peer.public_key: each.peer for each in told.peers}, {each.public_key: each for each in wanted}
    return Changes(
        private if told.private_key != private else "",
        port if told.port != port else 0,
        tuple(key for key in here if key not in want),
        tuple(each for key, each in want.items() if here.get(key) != each),
    )


def encode_set(changes: Changes) -> bytes:
    """As a request."""
    lines = ["set=1"]
    if changes.private_key:
        lines.append(f"private_key={_hexed(changes.private_key)}")
    if changes.port:
        lines.append(f"listen_port={changes.port}")
    for gone in changes.gone:
        lines += [f"public_key={_hexed(gone)}", "remove=true"]
    for each in changes.put:
        lines += [f"public_key={_hexed(each.public_key)}", f"preshared_key={_hexed(each.preshared_key)}"]
        if each.last:
            lines.append(f"endpoint={each.last}")
        lines.append(f"persistent_keepalive_interval={each.keepalive}")
        lines += ["replace_allowed_ips=true", *(f"allowed_ip={network}" for network in each.allowed)]
    return "\n".join(lines).encode() + b"\n\n"


def decode_done(answer: bytes) -> None:
    """
    Whether what was asked for is done.

    :raises HostError: it is not.
    :raises MalformedFrame: that is no answer.
    """
    for key, value in _pairs(answer):
        if key == "errno":
            if value != "0":
                raise HostError(f"WireGuard {_REFUSALS.get(value, f'refuses that, errno {value[:9]}')}")
            return
    raise MalformedFrame("an answer of WireGuard without its end")


def decode_told(answer: bytes) -> Told:
    """
    What was asked by GET.

    :raises HostError: it does not tell.
    :raises MalformedFrame: that is no answer.
    """
    decode_done(answer)
    private, port, peers = "", 0, list[dict[str, str]]()
    allowed: list[list[str]] = []
    for key, value in _pairs(answer):
        if key == "public_key":
            peers.append({key: value})
            allowed.append([])
        elif key == "private_key":
            private = _shown(value)
        elif key == "listen_port":
            port = _number(value)
        elif key == "allowed_ip" and allowed:
            allowed[-1].append(value)
        elif peers:
            peers[-1][key] = value
    return Told(private, port, tuple(map(_seen, peers, allowed)))


def _seen(said: dict[str, str], allowed: list[str]) -> Seen:
    public, shared = (_shown(said.get(name, "")) for name in ("public_key", "preshared_key"))
    peer = Peer(public, shared, tuple(sorted(allowed)), _number(said.get("persistent_keepalive_interval", "0")))
    numbers = (_number(said.get(key, "0")) for key in ("last_handshake_time_sec", "rx_bytes", "tx_bytes"))
    return Seen(peer, said.get("endpoint", ""), *numbers)


def _pairs(answer: bytes) -> Iterator[tuple[str, str]]:
    for line in answer.decode("ascii", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            yield key, value


def _hexed(key: str) -> str:
    return key_bytes(key).hex()


def _shown(hexed: str) -> str:
    """In base64; "" for none, which is all zeros."""
    try:
        key = bytes.fromhex(hexed)
    except ValueError:
        raise MalformedFrame("a key that is not hexadecimal") from None
    return base64.b64encode(key).decode() if any(key) else ""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise MalformedFrame(f"no number: {text[:20]!r}")
    return int(text)
