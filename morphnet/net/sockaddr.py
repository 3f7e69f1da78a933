"""
Addresses as system calls want them and as Twisted tells them, and the control messages that name our own side.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

from twisted.internet.address import IPv4Address, IPv6Address

from morphnet.wire.batch import Endpoint

IP_PKTINFO = 8  # linux/in.h; Python 3.11 does not name it

_PKTINFO4 = struct.Struct("=i4s4s")  # interface, local address, destination in the header
_PKTINFO6 = struct.Struct("=16si")  # destination, interface

PKTINFO_SPACE = socket.CMSG_SPACE(_PKTINFO6.size)  # bytes of either control message, the longer one

Address = tuple[str, int] | tuple[str, int, int, int]  # IPv4; IPv6 with flow and scope
Ancillary = tuple[int, int, bytes]  # level, type, value of one control message


def sockaddr(host: str, port: int) -> Address:
    """
    A numeric address as `sendto` wants it; "" is the IPv4 wildcard, "%3" or "%eth0" behind IPv6 names the interface.

    :raises ValueError: no numeric address, or no such interface.
    """
    if ":" not in host:
        return (str(ipaddress.IPv4Address(host)) if host else "", port)
    plain, _, scope = host.partition("%")
    return (str(ipaddress.IPv6Address(plain)), port, 0, _interface(scope))


def source(local: str) -> Ancillary:
    """
    The control message that makes a datagram leave from `local`.

    :raises ValueError: no numeric address, or no such interface.
    """
    if ":" not in local:
        packed = _PKTINFO4.pack(0, ipaddress.IPv4Address(local).packed, bytes(4))
        return (socket.IPPROTO_IP, IP_PKTINFO, packed)
    plain, _, scope = local.partition("%")
    packed = _PKTINFO6.pack(ipaddress.IPv6Address(plain).packed, _interface(scope))
    return (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed)


def endpoint(address: Address, asked: bytes) -> Endpoint:
    """
    The peer at `address`.

    :param asked: value of IP_PKTINFO or IPV6_PKTINFO that came with the datagram, b"" for none.
    """
    scope = address[3] if len(address) == 4 else 0
    host = f"{address[0]}%{scope}" if scope else address[0]
    if len(asked) == _PKTINFO4.size:
        return Endpoint(host, address[1], socket.inet_ntop(socket.AF_INET, _PKTINFO4.unpack(asked)[1]))
    if len(asked) != _PKTINFO6.size:
        return Endpoint(host, address[1])
    raw, interface = _PKTINFO6.unpack(asked)
    local = socket.inet_ntop(socket.AF_INET6, raw)
    if raw[0] == 0xFE and raw[1] & 0xC0 == 0x80:  # link-local: an address only together with its interface
        local = f"{local}%{interface}"
    return Endpoint(host, address[1], local)


def host_of(address: object) -> str:
    """The numeric host of a transport's address, an IPv4-mapped one as IPv4."""
    if isinstance(address, IPv4Address | IPv6Address):
        return address.host.removeprefix("::ffff:") if "." in address.host else address.host
    return ""


def _interface(scope: str) -> int:
    """An interface's index from its number or name; 0 for "". :raises ValueError: no such interface."""
    if not scope or scope.isdigit():
        return int(scope or 0)
    try:
        return socket.if_nametoindex(scope)
    except OSError:
        raise ValueError(scope) from None
