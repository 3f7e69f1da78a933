"""
What of the inner network a client reaches through its tunnel by what the server says: never more than was configured.

The server says which addresses we have, of which network they are, and where it is itself inside. Its word makes no
route by itself: what it names must lie in a network that the operator named, in `routes` or as [mesh] networks.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from morphnet.config.roles import ClientConfig
from morphnet.wire.messages.control import Welcome


@dataclass(frozen=True, slots=True)
class Inside:
    """What a welcome comes to."""

    addresses: tuple[str, ...]  # ours, each for itself alone
    networks: tuple[str, ...]  # reached through the tunnel, in CIDR notation
    gateways: tuple[str, ...]  # the server's own addresses, each for itself alone
    left_out: tuple[str, ...]  # networks that the server named and nobody here


def inside(welcome: Welcome, networks: Sequence[str], routes: Sequence[str]) -> Inside:
    """
    What of a welcome is ours to use.

    :param networks: the inner networks that this machine was told of, in CIDR notation.
    :param routes: what goes into the tunnel: "default", or networks.
    """
    named = _parsed(each for each in (*networks, *routes) if each != "default")
    told = [ipaddress.ip_interface(each) for each in (welcome.inner4, welcome.inner6) if each]
    gateways = _parsed(each for each in (welcome.gateway4, welcome.gateway6) if each)
    whole = _whole(routes)
    return Inside(
        addresses=tuple(str(each.ip) for each in told),
        networks=tuple(str(each.network) for each in told if _within(each.network, named)),
        gateways=tuple(str(each.network_address) for each in gateways if _within(each, named)),
        left_out=tuple(
            str(each.network) for each in told if each.version not in whole and not _within(each.network, named)
        ),
    )


def dns_servers(welcome: Welcome, config: ClientConfig) -> tuple[str, ...]:
    """
    The DNS servers that this machine shall ask.

    They would be asked for every name, also of what is not to go through a split tunnel, and could answer what they
    like: there the operator has to want it. An address that means this very machine is none of a server's to name: what
    answers there asks the local network, it may be.
    """
    wanted = config.dns and (takes_all(config.routes) or config.dns_split)
    return tuple(filter(_is_elsewhere, welcome.dns)) if wanted else ()


def _is_elsewhere(host: str) -> bool:
    address: Any = ipaddress.ip_address(host)
    address = getattr(address, "ipv4_mapped", None) or address
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


def takes_all(routes: Sequence[str]) -> bool:
    """Whether all of a family goes into the tunnel, names that are looked up among it."""
    return bool(_whole(routes))


def by_family(addresses: Sequence[str]) -> tuple[str, str]:
    """The first IPv4 and the first IPv6 address; "" where there is none."""
    four, six = (next((each for each in addresses if (":" in each) == v6), "") for v6 in (False, True))
    return four, six


def _parsed(texts: Iterable[str]) -> list[Any]:  # networks of either family, which typeshed has no one name for
    return [ipaddress.ip_network(each, strict=False) for each in texts]


def _within(network: Any, named: Iterable[Any]) -> bool:
    return any(each.version == network.version and network.subnet_of(each) for each in named)


def _whole(routes: Sequence[str]) -> set[int]:
    """The families that go into the tunnel as a whole, where nothing is left out."""
    return {family for family, everything in ((4, "0.0.0.0/0"), (6, "::/0")) if {"default", everything} & {*routes}}
