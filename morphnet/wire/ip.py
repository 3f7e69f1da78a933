"""
A look into an IP packet: its flow, its addresses, the length of its headers.

Source: RFC 791, RFC 8200, RFC 9293, RFC 768.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from morphnet.errors import MalformedFrame

TCP, UDP = 6, 17
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))  # hop-by-hop, routing, destination, mobility, HIP, shim6
_MAX_EXTENSIONS = 8

View = memoryview | bytes | bytearray


class Peek(NamedTuple):
    """What the tunnel needs to know of one packet; offsets count from its first byte."""

    version: int  # 4 or 6
    protocol: int
    source: bytes  # 4 or 16 bytes
    destination: bytes
    transport: int  # offset of the transport header
    headers: int  # bytes of IP and transport headers; equals `transport` when not TCP or UDP
    flow: int  # u32: equal for all packets of one flow


def tcp_payload(packet: View, at: int = 0) -> int | None:
    """
    Bytes of payload that a TCP packet carries; None when it is something else, or nothing that can be told in one look.

    :param at: where the packet begins.
    """
    size = len(packet) - at
    if size >= 40 and packet[at] >> 4 == 4 and packet[at + 9] == TCP and not packet[at + 7] | packet[at + 6] & 0x3F:
        transport = (packet[at] & 15) * 4
    elif size >= 60 and packet[at] >> 4 == 6 and packet[at + 6] == TCP:
        transport = 40
    else:
        return None
    return size - transport - (packet[at + transport + 12] >> 4) * 4 if size >= transport + 20 else None


def _transport6(packet: View) -> tuple[int, int, bool]:
    """(protocol, offset, whole) of the transport header of an IPv6 packet."""
    protocol, at = packet[6], 40
    for _ in range(_MAX_EXTENSIONS):
        if protocol == 44:  # fragment
            return packet[at] if at + 8 <= len(packet) else protocol, at + 8, False
        if protocol not in _EXTENSIONS or at + 8 > len(packet):
            break
        protocol, at = packet[at], at + 8 * (packet[at + 1] + 1)
    return protocol, at, True


def peek(packet: View) -> Peek:
    """
    Look at one IP packet.

    :raises MalformedFrame: not IPv4 or IPv6, or cut short.
    """
    size = len(packet)
    version = packet[0] >> 4 if size else 0
    if version == 4 and size >= 20:
        at = (packet[0] & 15) * 4
        protocol = packet[9]
        whole = not (packet[6] & 0x3F or packet[7])
        source, destination = bytes(packet[12:16]), bytes(packet[16:20])
        if at < 20 or at > size:
            raise MalformedFrame("IPv4 header length")
    elif version == 6 and size >= 40:
        protocol, at, whole = _transport6(packet)
        source, destination = bytes(packet[8:24]), bytes(packet[24:40])
    else:
        raise MalformedFrame(f"{size} bytes that are no IP packet")
    headers, ports = at, b""
    if whole and protocol == TCP and at + 20 <= size:
        headers, ports = at + (packet[at + 12] >> 4) * 4, bytes(packet[at : at + 4])
    elif whole and protocol == UDP and at + 8 <= size:
        headers, ports = at + 8, bytes(packet[at : at + 4])
    flow = crc32(b"%c%b%b%b" % (protocol, source, destination, ports))
    return Peek(version, protocol, source, destination, at, headers, flow)
