"""
What a STUN server says: whoever asks is told the address that the question came from.

Source: RFC 8489 sections 5, 6.3.1 and 14.2.
"""

from __future__ import annotations

import ipaddress
import struct

COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")  # type, length of what follows, cookie, transaction
_REQUEST, _SUCCESS = 0x0001, 0x0101
_XOR_MAPPED = 0x0020


def is_stun(datagram: bytes) -> bool:
    """Whether it may be one."""
    return len(datagram) >= _HEADER.size and datagram[0] < 4 and datagram[4:8] == COOKIE.to_bytes(4, "big")


def answer(datagram: bytes, host: str, port: int) -> bytes | None:
    """
    The answer to a Binding request; nothing for anything else.

    :param host: the address that it came from, as a text.
    """
    if not is_stun(datagram):
        return None
    kind, length, _, transaction = _HEADER.unpack_from(datagram)
    if kind != _REQUEST or length % 4 or length != len(datagram) - _HEADER.size:
        return None
    address = ipaddress.ip_address(host.partition("%")[0])
    mask = datagram[4:20] if address.version == 6 else datagram[4:8]
    hidden = bytes(a ^ b for a, b in zip(address.packed, mask, strict=True))
    value = struct.pack("!BBH", 0, 1 if address.version == 4 else 2, port ^ COOKIE >> 16) + hidden
    attribute = struct.pack("!HH", _XOR_MAPPED, len(value)) + value
    return _HEADER.pack(_SUCCESS, len(attribute), COOKIE, transaction) + attribute
