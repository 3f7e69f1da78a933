"""
Whose a name is: the network's own, which we answer, somebody's by a split domain, or the world's.

A name under the network's domain, or of an inner address, is answered here or nowhere: it is asked of nobody else.

Source: docs/names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from morphnet.text import DOMAIN, is_machine, is_number, is_occupied

GATEWAY = "gateway"  # what every gateway is called besides its own name
_BITS = {4: 8, 6: 4}  # of an address in one label


@dataclass(frozen=True, slots=True)
class Known:
    """What we say of a name of our own."""

    exists: bool
    addresses: tuple[str, ...] = ()  # of both families
    pointer: str = ""  # the name that an address has


@dataclass(frozen=True, slots=True)
class Ask:
    """Who is to be asked instead."""

    servers: tuple[str, ...]
    private: bool  # the operator has named them: an inner address in their answer is meant


class Zone:
    """
    The network's own names.

    :param pools: the inner networks, in CIDR notation.
    """

    def __init__(self, pools: Iterable[str]) -> None:
        self.reverse = tuple(zone for pool in pools for zone in reverse_zones(pool))
        self._addresses: dict[str, tuple[str, ...]] = {}  # by name, without the domain
        self._names: dict[str, str] = {}  # by the reverse name of an address

    def are(self, names: Mapping[str, Sequence[str]]) -> None:
        """
        These are the machines now; of two with one address the first has its name.

        :param names: inner addresses by name. They come from certificates: what may name no machine is left out.
        """
        self._addresses = {name: tuple(each) for name, each in names.items() if is_good(name)}
        self._names = {}
        for name, addresses in self._addresses.items():
            for address in addresses:
                self._names.setdefault(ipaddress.ip_address(address).reverse_pointer, name)

    @property
    def count(self) -> int:
        """Names that are known."""
        return len(self._addresses)

    def look(self, name: str) -> Known | None:
        """
        What is known of a name; None: it is not ours.

        :param name: in small letters, without a dot at its end.
        """
        if name in self._names:
            return Known(True, pointer=f"{self._names[name]}.{DOMAIN}")
        if name == DOMAIN:
            return Known(True)
        if is_under(name, (DOMAIN,)):
            return self._named(name.removesuffix(f".{DOMAIN}"))
        if name and "." not in name:  # nobody in the world has an address under such a name
            return self._named(name)
        return Known(name in self.reverse) if is_under(name, self.reverse) else None

    def _named(self, name: str) -> Known:
        addresses = self._addresses.get(name)
        return Known(addresses is not None, addresses or ())


class Naming:
    """
    Where each name goes.

    :param domains: who is asked for what is under each domain; the longest that fits counts.
    :param rest: who is asked for all other names.
    """

    def __init__(
        self, zone: Zone | None, domains: Mapping[str, Sequence[str]], rest: Callable[[], Sequence[str]]
    ) -> None:
        self.zone, self._rest = zone, rest
        self.domains: Mapping[str, Sequence[str]] = dict(domains)

    def where(self, name: str, *, of_zone: bool = False) -> Known | Ask:
        """
        :param name: as in `Zone.look`.
        :param of_zone: what is asked is who answers for it, or its keys: names of one label in the world have these.
        """
        known = self.zone.look(name) if self.zone is not None else None
        if known is not None and ("." in name or known.exists):
            return known
        ends = name
        while ends:
            if ends in self.domains:
                return Ask(tuple(self.domains[ends]), True)
            ends = ends.partition(".")[2]
        return known if known is not None and not of_zone else Ask(tuple(self._rest()), False)


def inner(pools: Sequence[str]) -> Callable[[str], bool]:
    """
    Whether an address is in one of these networks.

    :param pools: in CIDR notation.
    """
    networks = [ipaddress.ip_network(each) for each in pools]

    def is_inner(host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in each for each in networks if each.version == address.version)

    return is_inner


def is_good(name: str) -> bool:
    """Whether a machine can be asked for by that name: no address, and nothing that programs look up unasked."""
    return is_machine(name) and not is_number(name) and not is_occupied(name)


def is_under(name: str, domains: Iterable[str]) -> bool:
    """Whether it is one of the domains, or a name in one."""
    return any(name == each or name.endswith(f".{each}") for each in domains)


def reverse_zones(network: str) -> tuple[str, ...]:
    """
    The domains of the names of its addresses, and of no others: at most 128.

    >>> reverse_zones("10.73.0.0/24")
    ('0.73.10.in-addr.arpa',)

    Source: RFC 1035 section 3.5, RFC 3596 section 2.5.
    """
    parsed = ipaddress.ip_network(network, strict=False)
    bits = _BITS[parsed.version]
    prefix = -(-parsed.prefixlen // bits) * bits
    labels = (parsed.max_prefixlen - prefix) // bits
    found = []
    for each in parsed.subnets(new_prefix=prefix):
        words = each.network_address.reverse_pointer.split(".")
        found.append(".".join(words[labels:]))
    return tuple(found)
