"""
A default route with several next hops, each with a weight, as a change of a machine: the kernel deals flows out.

Source: linux/rtnetlink.h, `struct rtnexthop`.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, if_indextoname, if_nametoindex
from typing import ClassVar

from morphnet.host.facts import NEWROUTE, PROTOCOL, ROUTE, UNICAST
from morphnet.host.kernel import Kernel, Missing
from morphnet.host.look import Look
from morphnet.host.netlink import F_ACK, F_CREATE, F_REQUEST, attribute, attribute_pairs, attributes, message
from morphnet.host.plain import Plain

_DELROUTE, _GETROUTE = NEWROUTE + 1, NEWROUTE + 2
_REPLACE = 0x100  # flag of a message
_ONLINK, _NOWHERE = 4, 255  # flag of a next hop; the scope that stands for any when a route is removed
_METRIC = 1024
_HOP = struct.Struct("=HBBi")  # length, flags, weight less one, index of the device
_U32 = struct.Struct("=I")
_PRIORITY, _GATEWAY, _DEVICE, _MULTIPATH, _TABLE, _VIA = 6, 5, 4, 9, 15, 18  # attributes


@dataclass(frozen=True, slots=True)
class Multipath(Plain):
    """The default route of one family in a table of ours."""

    kind: ClassVar[str] = "multipath"
    family: int  # 4 or 6
    table: int
    hops: tuple[str, ...]  # "DEVICE WEIGHT GATEWAY", sorted; the gateway is left out where there is none

    @property
    def place(self) -> Hashable:
        return self.family, self.table

    def apply(self, kernel: Kernel) -> None:
        kernel.routing(self.made())

    def undo(self, kernel: Kernel) -> None:
        head = self._head(_NOWHERE)
        kernel.routing(message(_DELROUTE, F_REQUEST | F_ACK, 1, head))

    def stands(self, look: Look) -> bool:
        return self.hops in hops_of(look.routing(*asked(self.family, self.table)), self.table)

    @property
    def label(self) -> str:
        return "the route that deals out flows"

    def made(self) -> bytes:
        """
        The message that makes it, in the place of what there is.

        :raises Missing: a device is not there.
        """
        hops = attribute(_MULTIPATH, b"".join(_hop(each, self.family) for each in self.hops))
        return message(NEWROUTE, F_REQUEST | F_ACK | F_CREATE | _REPLACE, 1, self._head(0) + hops)

    def _head(self, scope: int) -> bytes:
        family = AF_INET if self.family == 4 else AF_INET6
        head = ROUTE.pack(family, 0, 0, 0, 0, PROTOCOL, scope if self.family == 4 else 0, UNICAST, 0)
        return head + attribute(_TABLE, _U32.pack(self.table)) + attribute(_PRIORITY, _U32.pack(_METRIC))


def hop(device: str, weight: int, gateway: str) -> str:
    """One next hop, as `Multipath.hops` has it; its weight is at most 256."""
    return f"{device} {min(256, max(1, weight))} {gateway}".rstrip()


def _hop(text: str, family: int) -> bytes:
    device, weight, *gateway = text.split()
    try:
        index = if_nametoindex(device)
    except OSError:
        raise Missing(f"there is no device {device}") from None
    way = b""
    if gateway:
        address = ipaddress.ip_address(gateway[0])
        if address.version == family:
            way = attribute(_GATEWAY, address.packed)
        else:
            way = attribute(_VIA, struct.pack("=H", AF_INET if address.version == 4 else AF_INET6) + address.packed)
    return _HOP.pack(_HOP.size + len(way), _ONLINK if way else 0, int(weight) - 1, index) + way


def asked(family: int, table: int) -> tuple[int, bytes]:
    """Type and payload of the question for the routes in a table that are ours."""
    head = ROUTE.pack(AF_INET if family == 4 else AF_INET6, 0, 0, 0, 0, PROTOCOL, 0, 0, 0)
    return _GETROUTE, head + attribute(_TABLE, _U32.pack(table))


def hops_of(payloads: Sequence[bytes], table: int) -> frozenset[tuple[str, ...]]:
    """The next hops of each default route of ours with a metric like this, as `Multipath.hops` has them."""
    found = set()
    for payload in payloads:
        if len(payload) < ROUTE.size:
            continue
        _, length, _, _, _, protocol, _, kind, _ = ROUTE.unpack_from(payload)
        values = attributes(payload[ROUTE.size :])
        numbers = [_U32.unpack(values[each])[0] for each in (_TABLE, _PRIORITY) if len(values.get(each, b"")) == 4]
        if (length, protocol, kind) == (0, PROTOCOL, UNICAST) and numbers in ([table, _METRIC], [_METRIC]):
            found.add(tuple(sorted(_read(values))))
    return frozenset(found)


def _read(values: dict[int, bytes]) -> list[str]:
    """Of one route: it tells several next hops in another way than one."""
    if _MULTIPATH not in values:
        index = _U32.unpack(values[_DEVICE])[0] if len(values.get(_DEVICE, b"")) == 4 else 0
        return [hop(_name(index), 1, _gateway(values))]
    hops, data = list[str](), values[_MULTIPATH]
    while len(data) >= _HOP.size:
        size, _, weight, index = _HOP.unpack_from(data)
        if not _HOP.size <= size <= len(data):
            break
        hops.append(hop(_name(index), weight + 1, _gateway(dict(attribute_pairs(data[_HOP.size : size])))))
        data = data[size + (-size % 4) :]
    return hops


def _gateway(values: dict[int, bytes]) -> str:
    packed = values.get(_GATEWAY) or values.get(_VIA, b"")[2:]
    return str(ipaddress.ip_address(packed)) if len(packed) in (4, 16) else ""


def _name(index: int) -> str:
    try:
        return if_indextoname(index)
    except OSError:
        return ""
