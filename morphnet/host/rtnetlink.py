"""
What we ask the kernel for about devices, addresses, routes and policy rules, as bytes.

A route costs 20 us to ask for. pyroute2 takes 300, 10 MB of memory and an event loop of asyncio for the same.

Source: linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/fib_rules.h.
"""

from __future__ import annotations

import struct
from ipaddress import ip_interface, ip_network
from socket import AF_INET, AF_INET6, if_nametoindex, inet_pton

from morphnet.host.facts import ADDRESS, IFF_UP, LINK, MAIN, PROTOCOL, ROUTE, THROW, UNICAST, UNREACHABLE, link_fact
from morphnet.host.kernel import LinkState
from morphnet.host.netlink import F_ACK, F_CREATE, F_EXCLUSIVE, F_REPLACE, F_REQUEST, attribute, attributes, message
from morphnet.host.routing import Route, Rule

GETLINK, _SETLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE, GETROUTE, _NEWRULE, _DELRULE = (
    *(18, 19, 20, 21, 24, 25, 26, 32, 33),
)  # message types
_ADD, _REPLACE, _REMOVE = F_CREATE | F_EXCLUSIVE, F_CREATE | F_REPLACE, 0
_NO_DAD, _ONLINK = 0x02, 4  # flags of an address and of a route
_LINK_SCOPE, _TO_TABLE = 253, 1  # the scope of what needs no gateway; what a rule does
# Metrics keep kinds of routes apart: removing one leaves the others alone. Of two to a prefix what stays outside wins.
_THROW, _VIA, _DIRECT, _UNREACHABLE = 1023, 1024, 1025, 1026
_U32 = struct.Struct("=I")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, _U32.pack(value))


def _asked(kind: int, flags: int, payload: bytes) -> bytes:
    return message(kind, F_REQUEST | F_ACK | flags, 1, payload)


def _family(version: int) -> int:
    return AF_INET if version == 4 else AF_INET6


def which_link(index: int) -> bytes:
    """The payload of a question for one device."""
    return LINK.pack(0, 0, index, 0, 0)


def link_state(payload: bytes) -> LinkState:
    """
    What the kernel answers to that.

    :raises ValueError: it is torn.
    """
    link = link_fact(payload)
    if link is None:
        raise ValueError("not a device")
    found = attributes(payload[LINK.size :])
    queue, group = (_U32.unpack(found[each])[0] if len(found.get(each, b"")) == 4 else 0 for each in (13, 27))
    return LinkState(bool(link.flags & IFF_UP), link.mtu, queue, group)


def link_in(index: int, state: LinkState) -> bytes:
    """Have a device be in that state."""
    head = LINK.pack(0, 0, index, IFF_UP if state.up else 0, IFF_UP)
    return _asked(
        _SETLINK, 0, head + _number(4, state.mtu) + _number(13, state.queue) + _number(27, state.group)
    )  # IFLA_MTU, IFLA_TXQLEN, IFLA_GROUP


def gso_limit(index: int, size: int, segments: int) -> bytes:
    """Bound what the stack hands to a device at once: bytes, and segments."""
    return _asked(_SETLINK, 0, which_link(index) + _number(41, size) + _number(40, segments))


def address(index: int, text: str, *, add: bool) -> bytes:
    """
    Give a device an address, or take it away.

    :param text: with the length of its prefix.
    """
    interface = ip_interface(text)
    flags = _NO_DAD if interface.version == 6 and add else 0
    head = ADDRESS.pack(_family(interface.version), interface.network.prefixlen, flags, 0, index)
    local = attribute(2, interface.packed) if interface.version == 4 else b""  # IFA_LOCAL
    return _asked(
        _NEWADDR if add else _DELADDR, _ADD if add else _REMOVE, head + local + attribute(1, interface.packed)
    )


def route(wanted: Route, *, add: bool) -> bytes:
    """
    Add a route, or remove exactly that one; in a table of our own it replaces the one to the same prefix.

    :raises OSError: its device is not there.
    """
    text, _, length = wanted.prefix.partition("/")
    version = 6 if ":" in text else 4
    scope, kind, metric, flags, way = 0, UNICAST, _VIA, 0, b""
    if not wanted.device:
        kind, metric = (THROW, _THROW) if wanted.throw else (UNREACHABLE, _UNREACHABLE)
    else:
        way = _number(4, if_nametoindex(wanted.device))  # RTA_OIF
        if wanted.source:
            way += attribute(7, ip_interface(wanted.source).packed)  # RTA_PREFSRC
        if wanted.gateway:
            way, flags = way + _gateway(wanted.gateway, version), _ONLINK
        else:
            metric, scope = _DIRECT, _LINK_SCOPE if version == 4 else 0
    head = ROUTE.pack(_family(version), int(length), 0, 0, 0, PROTOCOL, scope, kind, flags)
    where = attribute(1, inet_pton(_family(version), text)) if int(length) else b""  # RTA_DST
    body = head + where + _number(15, wanted.table) + _number(6, metric) + way  # RTA_TABLE, RTA_PRIORITY
    if not add:
        return _asked(_DELROUTE, _REMOVE, body)
    return _asked(_NEWROUTE, _ADD if wanted.table == MAIN else _REPLACE, body)


def _gateway(text: str, version: int) -> bytes:
    """RTA_GATEWAY, or RTA_VIA where it is of the other family."""
    gateway = ip_interface(text)
    if gateway.version == version:
        return attribute(5, gateway.packed)
    return attribute(18, struct.pack("=H", _family(gateway.version)) + gateway.packed)


def rule(wanted: Rule, *, add: bool) -> bytes:
    """Add a policy rule, or remove exactly that one."""
    source, destination = (ip_network(each) if each else None for each in (wanted.source, wanted.destination))
    lengths = (each.prefixlen if each is not None else 0 for each in (destination, source))
    head = ROUTE.pack(_family(wanted.family), *lengths, 0, 0, 0, 0, _TO_TABLE, 0)
    # FRA_PRIORITY, FRA_TABLE, FRA_PROTOCOL
    body = _number(6, wanted.preference) + _number(15, wanted.table) + attribute(21, bytes([PROTOCOL]))
    if wanted.device:
        body += attribute(17, wanted.device.encode() + b"\0")  # FRA_OIFNAME
    if source is not None:
        body += attribute(2, source.network_address.packed)
    if destination is not None:
        body += attribute(1, destination.network_address.packed)
    if wanted.specific:
        body += _number(14, 0)  # FRA_SUPPRESS_PREFIXLEN
    if wanted.avoid:
        body += _number(13, wanted.avoid)  # FRA_SUPPRESS_IFGROUP
    if wanted.mark:
        body += _number(10, wanted.mark)  # FRA_FWMARK
    return _asked(_NEWRULE if add else _DELRULE, _ADD if add else _REMOVE, head + body)


def way_to(text: str) -> bytes:
    """
    The payload of a question: by which device a packet to that address would leave.

    :raises ValueError: it is no address.
    :raises OSError: it names a device, which is not there.
    """
    where = ip_interface(text)
    head = ROUTE.pack(_family(where.version), where.network.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
    scope = text.partition("%")[2]  # without it the kernel names the first device that has such addresses
    return head + attribute(1, where.packed) + (_number(4, if_nametoindex(scope)) if scope else b"")


def device_of_route(payload: bytes) -> int:
    """The index of the device in what the kernel answers to that; 0 for none."""
    device = attributes(payload[ROUTE.size :]).get(4, b"")
    return int(_U32.unpack(device)[0]) if len(device) == 4 else 0
