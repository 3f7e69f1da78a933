"""What the kernel tells about devices, addresses and routes, parsed. Source: linux/rtnetlink.h, linux/if_addr.h."""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass
from errno import EAFNOSUPPORT, ENOENT, EOPNOTSUPP
from typing import Any

from morphnet.host.netlink import NETLINK_ROUTE, NetlinkSocket, attributes

NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE, DELRULE = 16, 17, 20, 21, 24, 25, 33  # message types
NEWNETCONF = 80  # likewise: a setting of a device, such as forwarding
MAIN = 254  # the main routing table
PROTOCOL = 73  # marks our own routes and rules: `ip route show proto 73`
IFF_UP, IFF_LOOPBACK, IFF_LOWER_UP = 0x1, 0x8, 0x10000
_IFF_BROADCAST = 0x2
_OPER_UNKNOWN, _OPER_UP = 0, 6
_SECONDARY, _DAD_FAILED, _DEPRECATED, _TENTATIVE, _OPTIMISTIC = 0x01, 0x08, 0x20, 0x40, 0x04
UNICAST, UNREACHABLE, THROW = 1, 7, 9  # kinds of routes
_LEADING = (UNICAST, 6, UNREACHABLE, 8, THROW)  # those that lead somewhere, or nowhere on purpose: blackhole, prohibit
BY_KERNEL, BY_ADVERTISEMENT, BY_DHCP = 2, 9, 16  # protocols: who has made a route
_GLOBAL_SCOPE = 0
_LOCAL_TABLE = 255
LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
ROUTE = struct.Struct("=BBBBBBBBI")  # family, to and from length, tos, table, protocol, scope, type, flags
_HOP = struct.Struct("=HBBi")  # length, flags, weight, index
_U32 = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class LinkFact:
    """A device, as the kernel tells it."""

    index: int
    name: str
    flags: int
    operstate: int
    mtu: int

    @property
    def shared(self) -> bool:
        """Whether more than one other machine may be there: a DHCP server, for instance."""
        return bool(self.flags & _IFF_BROADCAST)

    @property
    def up(self) -> bool:
        """Switched on, and with carrier."""
        on = self.flags & IFF_UP and self.flags & IFF_LOWER_UP
        return bool(on) and self.operstate in (_OPER_UNKNOWN, _OPER_UP)


@dataclass(frozen=True, slots=True)
class AddressFact:
    """An address of a device that can be sent from; `rank` is less for the better ones."""

    index: int
    address: str
    rank: int
    length: int = 0  # of its prefix, bits


@dataclass(frozen=True, slots=True)
class RouteFact:
    """One way of a route, in whatever table."""

    index: int  # of the device; 0 for none
    family: int  # 4 or 6
    gateway: str  # "" for none
    metric: int
    protocol: int  # who has made it
    source: str = ""  # the address that it wants to be sent from, if it says
    prefix: str = ""  # in CIDR notation; "" for a default route
    table: int = MAIN
    kind: int = UNICAST

    @property
    def is_way_out(self) -> bool:
        """Whether it is a default route of the machine's own, in whatever table."""
        return not self.prefix and self.kind == UNICAST and self.protocol != PROTOCOL


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is, at one moment."""

    links: tuple[LinkFact, ...] = ()
    addresses: tuple[AddressFact, ...] = ()
    routes: tuple[RouteFact, ...] = ()


def link_fact(payload: bytes) -> LinkFact | None:
    """Parse the payload of RTM_NEWLINK or RTM_DELLINK; None if it is torn."""
    if len(payload) < LINK.size:
        return None
    family, _, index, flags, _ = LINK.unpack_from(payload)
    found = attributes(payload[LINK.size :])
    if family != 0 or 3 not in found:  # a bridge speaks of its ports in messages of its own family
        return None
    name = found[3].rstrip(b"\0").decode(errors="replace")
    return LinkFact(index, name, flags, found.get(16, b"\0")[0], _number(found.get(4)))


def address_fact(payload: bytes) -> AddressFact | None:
    """
    Parse the payload of RTM_NEWADDR; None if one cannot send to the world from that address.

    The order among IPv6 addresses: temporary ones (a machine that has them wants to be known by them, RFC 8981), then
    other global ones, then unique local ones; deprecated ones are better than none.
    """
    if len(payload) < ADDRESS.size:
        return None
    family, length, flags, scope, index = ADDRESS.unpack_from(payload)
    found = attributes(payload[ADDRESS.size :])
    packed = found.get(2, found.get(1, b""))  # IFA_LOCAL; on a point-to-point link IFA_ADDRESS is the peer's
    flags = _number(found.get(8)) or flags
    if scope != _GLOBAL_SCOPE or len(packed) != (4 if family == socket.AF_INET else 16):
        return None
    if family == socket.AF_INET:
        return AddressFact(index, str(ipaddress.IPv4Address(packed)), 1 if flags & _SECONDARY else 0, length)
    if flags & _DAD_FAILED or (flags & _TENTATIVE and not flags & _OPTIMISTIC):
        return None
    local = packed[0] & 0xFE == 0xFC
    rank = 2 if local else 0 if flags & _SECONDARY else 1  # IFA_F_SECONDARY means "temporary" here
    rank += 3 if flags & _DEPRECATED else 0
    return AddressFact(index, str(ipaddress.IPv6Address(packed)), rank, length)


def route_facts(payload: bytes) -> list[RouteFact]:
    """Parse the payload of RTM_NEWROUTE or RTM_DELROUTE; empty for what the kernel keeps for itself."""
    if len(payload) < ROUTE.size:
        return []
    family, length, _, _, table, protocol, _, kind, _ = ROUTE.unpack_from(payload)
    if kind not in _LEADING or family not in (socket.AF_INET, socket.AF_INET6):
        return []
    found = attributes(payload[ROUTE.size :])
    table = _number(found.get(15)) or table
    packed = found.get(1, b"").ljust(4 if family == socket.AF_INET else 16, b"\0")
    if table == _LOCAL_TABLE or len(packed) not in (4, 16) or length > 8 * len(packed):
        return []
    prefix = f"{ipaddress.ip_address(packed)}/{length}" if length else ""
    version, metric, source = 4 if family == socket.AF_INET else 6, _number(found.get(6)), _address(found.get(7, b""))
    more = (version, metric, protocol, source, prefix, table, kind)
    if 9 not in found:
        return [_route(_number(found.get(4)), _gateway(found), *more)]
    facts, hops = [], found[9]
    while len(hops) >= _HOP.size:
        size, _, _, index = _HOP.unpack_from(hops)
        if not _HOP.size <= size <= len(hops):
            break
        facts.append(_route(index, _gateway(attributes(hops[_HOP.size : size])), *more))
        hops = hops[size + (-size % 4) :]
    return facts


def _route(index: int, gateway: str, family: int, metric: int, *more: Any) -> RouteFact:
    return RouteFact(index, family, gateway, metric, *more)


def _number(value: bytes | None) -> int:
    return int(_U32.unpack(value)[0]) if value is not None and len(value) == 4 else 0


def _gateway(found: dict[int, bytes]) -> str:
    """RTA_GATEWAY, or RTA_VIA, whose first two bytes are the family."""
    return _address(found.get(5) or found.get(18, b"")[2:])


def _address(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed)) if len(packed) in (4, 16) else ""


def read_routes(asking: NetlinkSocket) -> list[RouteFact]:
    """The routes of every table, both families."""
    facts: list[RouteFact] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            answers = asking.dump(NEWROUTE + 2, ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))
        except OSError as error:
            if error.errno in (ENOENT, EOPNOTSUPP, EAFNOSUPPORT):  # a kernel without IPv6
                continue
            raise
        for each in answers:
            facts += route_facts(each)
    return facts


def read_facts() -> Facts:
    """
    Ask the kernel; 0.3 ms with a handful of devices and routes.

    :raises OSError: it does not answer.
    """
    asking = NetlinkSocket(NETLINK_ROUTE)
    try:
        links = [link_fact(each) for each in asking.dump(NEWLINK + 2, LINK.pack(0, 0, 0, 0, 0))]
        addresses = _addresses(asking)
        routes = read_routes(asking)
    finally:
        asking.close()
    return Facts(tuple(filter(None, links)), tuple(addresses), tuple(routes))


def read_addresses() -> list[AddressFact]:
    """
    Ask the kernel for the addresses of all devices.

    :raises OSError: it does not answer.
    """
    asking = NetlinkSocket(NETLINK_ROUTE)
    try:
        return _addresses(asking)
    finally:
        asking.close()


def _addresses(asking: NetlinkSocket) -> list[AddressFact]:
    told = asking.dump(NEWADDR + 2, ADDRESS.pack(0, 0, 0, 0, 0))
    return [found for each in told if (found := address_fact(each)) is not None]


def concerns_uplinks(kind: int, payload: bytes) -> bool:
    """Whether an event may change what a scan finds."""
    if loses_routes(kind, payload):
        return True
    if kind in (NEWROUTE, DELROUTE):
        return any(each.is_way_out for each in route_facts(payload))
    return kind in (NEWLINK, DELLINK, NEWADDR, DELADDR)


def concerns_networks(kind: int, payload: bytes) -> bool:
    """Whether an event may change which networks the machine has besides its ways out, or whether it forwards."""
    return kind == NEWNETCONF or (kind in (NEWROUTE, DELROUTE) and any(each.prefix for each in route_facts(payload)))


def loses_routes(kind: int, payload: bytes) -> bool:
    """
    Whether routes of ours may be gone: the kernel drops them over a link without telling. What somebody removes is
    found by `morphnet.host.watch`.
    """
    if kind == NEWLINK:
        link = link_fact(payload)
        return link is not None and not link.flags & IFF_UP
    return kind in (DELLINK, DELADDR)
