"""
A censor who reads names: `python -m tests.lab.name_censor TABLE NAME ...`, at a router.

He looks at a copy of what passes, opens each Initial of QUIC as everybody can, and puts the flow of one that asks for a
name on his list into a set of nftables, whose rules drop all that follows of it. What he has seen by then has passed,
as it does with those who stand beside a line and not in it.

Source: RFC 9001 section 5.2; the set is `flows` in table inet TABLE.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from morphnet.wire.shapes.longheader import VERSION, initial_keys

_IPV4, _UDP = 0x0800, 17
_CLIENT_HELLO, _SERVER_NAME = 1, 0


def name_asked_for(datagram: bytes) -> str | None:
    """The name in a datagram that begins with a client's Initial; None where there is none to be found."""
    try:
        frames = _opened(datagram)
        return _name(_hello(frames)) if frames else None
    except (IndexError, ValueError, struct.error, InvalidTag):
        return None


def _opened(datagram: bytes) -> bytes:
    """The frames of the Initial at the start; none if that is no Initial."""
    if datagram[0] & 0xF0 != 0xC0 or datagram[1:5] != VERSION:
        return b""
    first = datagram[6 : 6 + datagram[5]]
    at = 6 + len(first)
    at += 1 + datagram[at]  # the client's id
    token, at = _varint(datagram, at)
    length, at = _varint(datagram, at + token)
    key, iv, header_key = initial_keys(first, "client")
    mask = Cipher(AES(header_key), ECB()).encryptor().update(datagram[at + 4 : at + 20])
    size = ((datagram[0] ^ mask[0]) & 3) + 1
    number = bytes(one ^ other for one, other in zip(datagram[at : at + size], mask[1:], strict=False))
    header = bytes((datagram[0] ^ mask[0] & 0x0F,)) + datagram[1:at] + number
    nonce = (int.from_bytes(iv, "big") ^ int.from_bytes(number, "big")).to_bytes(12, "big")
    return AESGCM(key).decrypt(nonce, datagram[at + size : at + length], header)


def _hello(frames: bytes) -> bytes:
    """What of the ClientHello is in CRYPTO frames."""
    pieces, at = dict[int, bytes](), 0
    while at < len(frames):
        kind, at = _varint(frames, at)
        if kind == 6:
            offset, at = _varint(frames, at)
            size, at = _varint(frames, at)
            pieces[offset] = frames[at : at + size]
            at += size
        elif kind > 1:  # neither padding nor a ping
            break
    return b"".join(pieces[offset] for offset in sorted(pieces))


def _name(hello: bytes) -> str | None:
    if hello[0] != _CLIENT_HELLO:
        return None
    at = 38  # behind type, length, version and the random
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 2
    while at < end:
        kind, size = struct.unpack_from("!HH", hello, at)
        if kind == _SERVER_NAME:
            return hello[at + 9 : at + 4 + size].decode("ascii")
        at += 4 + size
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    size = 1 << (data[at] >> 6)
    return int.from_bytes(data[at : at + size], "big") & (1 << 8 * size - 2) - 1, at + size


def _passing(seen: socket.socket) -> Iterator[tuple[str, str]]:
    """Each flow that asks for a name, and that name; a flow as nft writes it."""
    while True:
        packet = seen.recv(65535)
        start = 4 * (packet[0] & 15)
        if packet[9] != _UDP:
            continue
        source, target = struct.unpack_from("!HH", packet, start)
        name = name_asked_for(packet[start + 8 :])
        if name is not None:
            ends = socket.inet_ntoa(packet[12:16]), source, socket.inet_ntoa(packet[16:20]), target
            yield " . ".join(map(str, ends)), name


def main(table: str, *names: str) -> None:
    """Never ends by itself."""
    found = set[str]()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4)) as seen:
        print("ready", flush=True)
        for flow, name in _passing(seen):
            if name in names and flow not in found:  # a router sees it come and go
                found.add(flow)
                subprocess.run(["nft", f"add element inet {table} flows {{ {flow} }}"], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
