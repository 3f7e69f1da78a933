"""What a router says of a packet that does not fit: ICMP "fragmentation needed", ICMPv6 "packet too big"."""

from __future__ import annotations

import struct

from morphnet.lab.ping import checksum
from morphnet.lab.shape import ETHERNET

_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_ICMP, _ICMPV6 = 1, 58
_DONT_FRAGMENT = 0x4000
_MOST4, _MOST6 = 576, 1280  # bytes of the whole answer: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c)
_TTL = 64


def too_big(frame: bytes, mtu: int) -> bytes | None:
    """
    The frame that answers `frame`, with the addresses of the packet turned round: as if the far end had sent it.

    :param mtu: of the way that the packet did not fit, bytes of IP.
    :returns: None when a router would say nothing: it may cut the packet, the packet is an ICMP error itself, or it is
        no IP.

    Source: RFC 1191 section 4, RFC 4443 section 3.2.
    """
    kind, packet = frame[12:ETHERNET], frame[ETHERNET:]
    answer = None
    if kind == _IPV4 and len(packet) >= 28:
        answer = _needs_fragments(packet, mtu)
    elif kind == _IPV6 and len(packet) >= 48:
        answer = _packet_too_big(packet, mtu)
    return None if answer is None else frame[6:12] + frame[:6] + kind + answer


def _needs_fragments(packet: bytes, mtu: int) -> bytes | None:
    header = (packet[0] & 0xF) * 4
    if not int.from_bytes(packet[6:8], "big") & _DONT_FRAGMENT:
        return None
    if packet[9] == _ICMP and packet[header] not in (0, 8):
        return None
    quoted = packet[: _MOST4 - 28]
    body = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, _TTL, _ICMP, 0) + packet[16:20] + packet[12:16]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def _packet_too_big(packet: bytes, mtu: int) -> bytes | None:
    if packet[6] == _ICMPV6 and packet[40] < 128:
        return None
    quoted = packet[: _MOST6 - 48]
    body = struct.pack("!BBHI", 2, 0, 0, mtu) + quoted
    addresses = packet[24:40] + packet[8:24]
    total = checksum(addresses + struct.pack("!II", len(body), _ICMPV6) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, _TTL) + addresses + body
