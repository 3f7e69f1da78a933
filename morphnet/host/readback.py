"""
Our own routes and rules as the kernel tells them, made into what we asked for: so that both can be compared.

A field that is added to `Route` or `Rule` is read back here as well, or the watch of the host takes what has it for
something that somebody removed. Source: linux/rtnetlink.h, linux/fib_rules.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable

from morphnet.host.facts import ADDRESS, PROTOCOL, ROUTE, THROW, UNICAST, UNREACHABLE
from morphnet.host.netlink import attributes
from morphnet.host.routing import Route, Rule

GETADDR, GETROUTE, GETRULE = 22, 26, 34  # message types
_U32 = struct.Struct("=I")
_NONE = 0xFFFFFFFF


def route_of(payload: bytes, device_of: Callable[[int], str]) -> Route | None:
    """
    The payload of RTM_NEWROUTE as a route of ours; None if it is not ours.

    :param device_of: the name of the device with an index.
    """
    if len(payload) < ROUTE.size:
        return None
    family, length, _, _, table, protocol, _, kind, _ = ROUTE.unpack_from(payload)
    if protocol != PROTOCOL or kind not in (UNICAST, UNREACHABLE, THROW):
        return None
    found = attributes(payload[ROUTE.size :])
    prefix = f"{_address(found.get(1), family)}/{length}"
    where = _number(found.get(15), table)
    if kind != UNICAST:
        return Route(prefix, where, throw=kind == THROW)
    gateway = found.get(5) or found.get(18, b"")[2:]  # RTA_GATEWAY, or RTA_VIA behind its family
    source = _address(found[7], family) if 7 in found else ""
    device, gateway_text = device_of(_number(found.get(4))), str(ipaddress.ip_address(gateway)) if gateway else ""
    return Route(prefix, where, device, gateway_text, source)


def rule_of(payload: bytes) -> Rule | None:
    """The payload of RTM_NEWRULE as a policy rule of ours; None if it is not ours."""
    if len(payload) < ROUTE.size:
        return None
    family, to_length, from_length, _, table = struct.unpack_from("=BBBBB", payload)
    found = attributes(payload[ROUTE.size :])
    if found.get(21) != bytes([PROTOCOL]):
        return None
    avoid = _number(found.get(13), _NONE)
    return Rule(
        family=4 if family == socket.AF_INET else 6,
        preference=_number(found.get(6)),
        table=_number(found.get(15), table),
        device=found.get(17, b"").rstrip(b"\0").decode(errors="replace"),
        source=_address(found.get(2), family) if from_length else "",
        destination=_network(found.get(1), family, to_length) if to_length else "",
        specific=_number(found.get(14), _NONE) == 0,
        avoid=0 if avoid == _NONE else avoid,
        mark=_number(found.get(10)),
    )


def address_of(payload: bytes) -> tuple[int, str] | None:
    """The payload of RTM_NEWADDR: the index of the device, and the address with its prefix length."""
    if len(payload) < ADDRESS.size:
        return None
    family, length, _, _, index = ADDRESS.unpack_from(payload)
    found = attributes(payload[ADDRESS.size :])
    packed = found.get(2, found.get(1))  # IFA_LOCAL; on a point-to-point link IFA_ADDRESS is the peer's
    return (index, f"{_address(packed, family)}/{length}") if packed else None


def _address(packed: bytes | None, family: int) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntop(family, packed or bytes(4))
    return str(ipaddress.ip_address(packed or bytes(16)))  # it writes those that hold one of IPv4 in its own way


def _network(packed: bytes | None, family: int, length: int) -> str:
    """With its prefix length, unless it is one address."""
    address = _address(packed, family)
    return address if length == (32 if family == socket.AF_INET else 128) else f"{address}/{length}"


def _number(value: bytes | None, otherwise: int = 0) -> int:
    return int(_U32.unpack(value)[0]) if value is not None and len(value) == 4 else otherwise
