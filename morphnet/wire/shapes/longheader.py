"""
Packets of QUIC version 1 with a long header: Initials that whoever sees them can open, and the others by their outside.

Source: RFC 9000 sections 17.2 and 19; RFC 9001 sections 5.2 to 5.4 and appendix A.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from morphnet.wire.ip import View
from morphnet.wire.shapes.hello import varint

VERSION = b"\x00\x00\x00\x01"
SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")  # RFC 9001 section 5.2
INITIAL, ZERO_RTT, HANDSHAKE = 0, 1, 2
ID = 8  # bytes of a connection id
MOST_PACKETS = 3  # in one datagram
_NUMBER = 2  # bytes of a packet number
_TAG = 16


class Ids(NamedTuple):
    """Who a packet is to, and from."""

    to: bytes
    source: bytes


class Found(NamedTuple):
    """A datagram that begins with an Initial, or is a 0-RTT packet."""

    ids: Ids  # of the first packet
    kinds: tuple[int, ...]  # of all packets with a long header
    at: int  # offset behind the header of the 0-RTT packet, or of what has a short header

    @property
    def initial(self) -> bool:
        """Whether the first packet is one."""
        return self.kinds[0] == INITIAL

    @property
    def zero_rtt(self) -> bool:
        """Whether the last packet is one."""
        return self.kinds[-1] == ZERO_RTT


def initial_keys(first: bytes, side: str) -> tuple[bytes, bytes, bytes]:
    """
    Key, IV and header key of who sends Initials, as everybody knows them.

    :param first: the connection id that the client's first one was sent to.
    :param side: "client" or "server".
    """
    secret = _expand(hmac.digest(SALT, first, "sha256"), f"{side} in", 32)
    return _expand(secret, "quic key", 16), _expand(secret, "quic iv", 12), _expand(secret, "quic hp", 16)


def seal_initial(keys: tuple[bytes, bytes, bytes], ids: Ids, number: int, frames: bytes, size: int) -> bytes:
    """
    An Initial of exactly that many bytes.

    :param number: of the packet; its low 16 bits travel.
    :param frames: what is in it; PADDING follows.
    :raises ValueError: it does not hold them.
    """
    key, iv, header_key = keys
    front = bytes((0xC0 | _NUMBER - 1,)) + VERSION + _named(ids) + b"\x00"
    length = size - len(front) - 2
    padding = length - _NUMBER - _TAG - len(frames)
    if padding < 0:
        raise ValueError("frames that do not fit")
    header = front + _length(length) + (number & 0xFFFF).to_bytes(_NUMBER, "big")
    nonce = (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")
    sealed = AESGCM(key).encrypt(nonce, frames + bytes(padding), header)
    sample = sealed[4 - _NUMBER : 20 - _NUMBER]
    mask = Cipher(AES(header_key), ECB()).encryptor().update(sample)
    out = bytearray(header + sealed)
    out[0] ^= mask[0] & 0x0F
    for step in range(_NUMBER):
        out[len(header) - _NUMBER + step] ^= mask[1 + step]
    return bytes(out)


def protected(kind: int, ids: Ids, low: int, payload: bytes) -> bytes:
    """
    A packet whose payload nobody on the way can open.

    :param low: the four bits of the first byte that are protected.
    :param payload: with its number, as random bytes.
    """
    return bytes((0xC0 | kind << 4 | low & 0x0F,)) + VERSION + _named(ids) + _length(len(payload)) + payload


def crypto(message: bytes) -> bytes:
    """The frame that carries a TLS message, which is the first."""
    return b"\x06\x00" + varint(len(message)) + message


def acknowledged(largest: int, delay: int) -> bytes:
    """The frame that acknowledges the packets up to that number."""
    return b"\x02" + varint(largest) + varint(delay) + b"\x00" + varint(largest)


def find(datagram: View, before: int) -> Found | None:
    """
    What a datagram of ours is that begins with a long header; None for any other.

    :param before: bytes in front of what is masked, in a packet with a short header.
    """
    at, ids, kinds, total = 0, None, list[int](), len(datagram)
    while at < total and len(kinds) < MOST_PACKETS:
        first = datagram[at]
        if first & 0xC0 == 0x40:
            return Found(ids, tuple(kinds), at + before) if ids is not None and at + before < total else None
        kind = first >> 4 & 3
        follows = kind in ((INITIAL, ZERO_RTT) if ids is None else (ZERO_RTT, HANDSHAKE))
        if first & 0xC0 != 0xC0 or bytes(datagram[at + 1 : at + 5]) != VERSION or not follows:
            return None
        named = _ids(datagram, at + 5)
        if named is None:
            return None
        each, at = named
        if kind == INITIAL:
            if at >= total or datagram[at]:  # a token
                return None
            at += 1
        length = int.from_bytes(bytes(datagram[at : at + 2]), "big") - 0x4000
        at += 2
        ids = ids or each
        kinds.append(kind)
        if not 0 < length <= total - at:
            return None
        if kind == ZERO_RTT:
            return Found(ids, tuple(kinds), at) if length == total - at else None
        at += length
    return None


def _ids(datagram: View, at: int) -> tuple[Ids, int] | None:
    """The two ids of a header, and the offset behind them; each is empty or as long as ours."""
    found = list[bytes]()
    for _ in range(2):
        size = datagram[at] if at < len(datagram) else 1
        if size not in (0, ID) or at + 1 + size > len(datagram):
            return None
        found.append(bytes(datagram[at + 1 : at + 1 + size]))
        at += 1 + size
    return Ids(*found), at


def _named(ids: Ids) -> bytes:
    return b"".join((len(ids.to).to_bytes(1, "big"), ids.to, len(ids.source).to_bytes(1, "big"), ids.source))


def _length(value: int) -> bytes:
    """Always two bytes long."""
    return (0x4000 | value).to_bytes(2, "big")


def _expand(secret: bytes, label: str, size: int) -> bytes:
    """HKDF-Expand-Label with an empty context. Source: RFC 8446 section 7.1."""
    name = b"tls13 " + label.encode()
    info = size.to_bytes(2, "big") + len(name).to_bytes(1, "big") + name + b"\x00"
    return HKDFExpand(algorithm=SHA256(), length=size, info=info).derive(secret)
