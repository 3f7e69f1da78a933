"""
Ethernet frames, and how one travels inside the tunnel: as VXLAN in UDP, a packet like any to the data plane.

Source: IEEE 802.3 clause 3; RFC 7348 section 5.
"""

from __future__ import annotations

import struct

from morphnet.errors import MalformedFrame

PORT = 4789  # UDP, RFC 7348
HEADER = 14  # bytes of an Ethernet header without a VLAN tag
LONGEST = 1518 + 4  # bytes of a frame without its checksum, and two VLAN tags
_VXLAN = struct.Struct("!B3xI")  # flags, network identifier << 8
_VALID = 0x08


def addresses(frame: bytes | memoryview) -> tuple[bytes, bytes]:
    """
    (destination, source) of a frame, 6 bytes each.

    :raises MalformedFrame: it is none, or of a source that nobody can have.
    """
    if not HEADER <= len(frame) <= LONGEST:
        raise MalformedFrame(f"Ethernet frame of {len(frame)} bytes")
    source = bytes(frame[6:12])
    if source[0] & 1 or not any(source):
        raise MalformedFrame("Ethernet frame of a group")
    return bytes(frame[:6]), source


def is_group(address: bytes) -> bool:
    """Whether it is a broadcast or multicast address."""
    return bool(address[0] & 1)


def wrap(frame: bytes | memoryview, network: int) -> bytes:
    """
    A frame as it is put into UDP.

    :param network: 0 .. 2**24-1.
    """
    return _VXLAN.pack(_VALID, network << 8) + bytes(frame)


def unwrap(datagram: bytes, network: int) -> bytes:
    """
    The frame in a datagram.

    :raises MalformedFrame: it is no VXLAN, or of another network.
    """
    if len(datagram) < _VXLAN.size + HEADER:
        raise MalformedFrame(f"VXLAN of {len(datagram)} bytes")
    flags, found = _VXLAN.unpack_from(datagram)
    if not flags & _VALID or found >> 8 != network:
        raise MalformedFrame("VXLAN of another network")
    return datagram[_VXLAN.size :]
