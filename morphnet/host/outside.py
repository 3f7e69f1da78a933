"""
What stays outside of the tunnel, though it lies within what goes into it: the machine's own networks and the local one.

A route says where its packets go, and not who has set it. On a network that is not ours somebody else's DHCP server or
router sets some of them (option 121, a short netmask, router advertisements), to draw traffic out of a tunnel that was
to carry it ("TunnelVision", CVE-2024-3661; "LocalNet", CVE-2023-36672). So a route counts here by its device:

- by a device that leads out (an uplink, or whatever such a server has set routes by): the network there, and no more.
  It is what an address on that device says, private or link-local, no larger than LARGEST4 or LARGEST6; or the router;
- by any other device (containers, other tunnels, second networks), and to nowhere: all routes but those that DHCP, a
  router's advertisement or a redirect has made. The machine's operator, or a program of his, has set them.

What is not named here goes where the tunnel's routes say. So what we do not know of yet goes into the tunnel.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from morphnet.host.bases import STEP
from morphnet.host.facts import (
    BY_ADVERTISEMENT,
    BY_DHCP,
    BY_KERNEL,
    MAIN,
    PROTOCOL,
    UNICAST,
    Facts,
    LinkFact,
    RouteFact,
)

LARGEST4, LARGEST6 = 16, 48  # least prefix lengths of a local network: 65536 addresses, a site
_SHORT = 8  # bits; a gateway to more than that is a way out, by whatever name
_KNOWN = 8192  # prefixes that need not be read again: each is compared with many
_BY_REDIRECT = 1
_OTHERS = (_BY_REDIRECT, BY_ADVERTISEMENT, BY_DHCP)
_PRIVATE = tuple(
    ipaddress.ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)


@dataclass(frozen=True, slots=True)
class Network:
    """One network that is reached without the tunnel."""

    prefix: str  # in CIDR notation
    device: str  # "" for none
    local: bool  # of a network that somebody else may keep


def outside(facts: Facts, uplinks: Collection[str], base: int, ours: Collection[str]) -> list[Network]:
    """
    The networks that the machine reaches by itself.

    :param uplinks: the devices that we use as uplinks, besides those that lead out by the main table.
    :param base: first of our own tables, of which there are 100.
    :param ours: our own devices.
    """
    names = {link.index: link.name for link in facts.links}
    hidden = {link.index for link in facts.links if link.name in ours}
    by_device = dict[int, list[RouteFact]]()
    for route in facts.routes:
        if route.protocol != PROTOCOL:
            by_device.setdefault(route.index, []).append(route)
    leading = {link.index for link in facts.links if _leads_out(link, by_device.get(link.index, ()), uplinks)}
    own = {(each.index, str(_network(each.address, each.length))) for each in facts.addresses}
    routers = {(each.index, each.gateway) for each in facts.routes if each.is_way_out and each.gateway}
    found = dict[tuple[str, int], Network]()
    for route in facts.routes:
        if not route.prefix or route.index in hidden or (route.protocol == PROTOCOL and not _of_another(route, base)):
            continue
        local = route.index in leading
        if _is_local(route, own, routers) if local else _is_the_machines(route):
            found.setdefault((route.prefix, route.index), Network(route.prefix, names.get(route.index, ""), local))
    return list(found.values())


def elsewhere(facts: Facts, tun: str, base: int) -> list[Network]:
    """
    The networks that are reached by other devices than `tun`: on them, by routes, and by another of us; ways out are
    none.

    :param base: as for `outside`.
    """
    names = {link.index: link.name for link in facts.links}
    found = dict.fromkeys(
        Network(each.prefix, names.get(each.index, ""), False)
        for each in facts.routes
        if each.prefix
        and each.kind == UNICAST
        and (each.protocol != PROTOCOL or _of_another(each, base))
        and names.get(each.index) != tun
    )
    return [each for each in found if _network(each.prefix).prefixlen >= _SHORT]


def _of_another(route: RouteFact, base: int) -> bool:
    """Whether another of us sends that into its tunnel; the rest of its tables is copied from the machine's."""
    return route.kind == UNICAST and not base <= route.table < base + STEP and route.table % STEP == 0


def _leads_out(link: LinkFact, routes: Iterable[RouteFact], uplinks: Collection[str]) -> bool:
    """
    Whether somebody else may have a say in the routes by that device.

    :param routes: by it, ours left out.
    """
    if link.name in uplinks or any(each.is_way_out and each.table == MAIN for each in routes):
        return True
    return link.shared and any(
        each.is_way_out or (each.gateway and (each.protocol in _OTHERS or _network(each.prefix).prefixlen < _SHORT))
        for each in routes
        if each.kind == UNICAST
    )


def _is_local(route: RouteFact, own: Collection[tuple[int, str]], routers: Collection[tuple[int, str]]) -> bool:
    network = _network(route.prefix)
    if route.gateway or route.kind != UNICAST or not any(_within(network, each) for each in _PRIVATE):
        return False
    if network.prefixlen < (LARGEST4 if network.version == 4 else LARGEST6) and not network.is_link_local:
        return False
    told = route.protocol == BY_KERNEL or (route.index, route.prefix) in own
    return told or (route.index, str(network.network_address)) in routers


def _is_the_machines(route: RouteFact) -> bool:
    return route.protocol not in _OTHERS


def within(network: str, prefixes: Iterable[str]) -> bool:
    """Whether all of a network lies in one of these."""
    found = _network(network)
    return any(_within(found, _network(each)) for each in prefixes)


def overlapping(networks: Iterable[Network], inner: Iterable[str]) -> list[tuple[Network, str]]:
    """Local networks, each with an inner one that has some of the same addresses."""
    found = [_network(each) for each in inner]
    return [
        (each, str(other))
        for each in networks
        for other in found
        if each.local and other.version == _network(each.prefix).version and other.overlaps(_network(each.prefix))
    ]


def _within(network: Any, other: Any) -> bool:  # networks of either family, which typeshed has no one name for
    return network.version == other.version and bool(network.subnet_of(other))


def _network(address: str, length: int | None = None) -> Any:
    return _parsed(address if length is None else f"{address}/{length}")


@lru_cache(_KNOWN)
def _parsed(text: str) -> Any:
    return ipaddress.ip_network(text or "0.0.0.0/0", strict=False)
