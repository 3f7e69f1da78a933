"""Settings of networks behind a client, and of ports of a server that lead to clients."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any, NamedTuple

from morphnet.config import checks
from morphnet.errors import ConfigError

MOST_OFFERED, MOST_FORWARDS = 16, 64
LARGEST = {4: 8, 6: 16}  # least prefix lengths: what is larger is no network behind a machine, but the world
EXAMPLE = "443/tcp=laptop:443"
_FORWARD = re.compile(r"([0-9]{1,5})/(tcp|udp)=([A-Za-z0-9][A-Za-z0-9._-]{0,252}):([0-9]{1,5})")


@lru_cache(4096)
def unfit(network: str) -> str:
    """
    Why that can be behind no machine; "" when it can.

    :param network: in CIDR notation.
    """
    parsed = ipaddress.ip_network(network)
    address = parsed.network_address
    if parsed.prefixlen < LARGEST[parsed.version]:
        return f"is too large: /{LARGEST[parsed.version]} is the most"
    if address.is_loopback or address.is_multicast or address.is_link_local or address.is_unspecified:
        return "has no addresses that can be behind a machine"
    return ""


def written(network: str) -> str:
    """A network as everybody writes it, so that two that are the same are the same text; what is none as it is."""
    try:
        return str(ipaddress.ip_network(network))
    except ValueError:
        return network


def all_written(value: object) -> object:
    """The same for a list."""
    return [written(each) if isinstance(each, str) else each for each in value] if isinstance(value, list) else value


def overlaps(one: str, other: str) -> bool:
    """Whether two networks have an address in common."""
    first: Any = ipaddress.ip_network(one, strict=False)  # of either family, for which typeshed has no one name
    second: Any = ipaddress.ip_network(other, strict=False)
    return bool(first.version == second.version and first.overlaps(second))


def advertise_wrong(value: tuple[str, ...]) -> str | None:
    """What is wrong with networks that a client offers."""
    if wrong := checks.networks(value):
        return wrong
    parsed: list[Any] = [ipaddress.ip_network(each) for each in value]  # of either family
    for number, each in enumerate(parsed):
        if why := unfit(str(each)):
            return f"holds {each}, which {why}"
        for other in parsed[:number]:
            if each.version == other.version and each.overlaps(other):
                return f"holds {each} and {other}, which overlap: write one of them"
    return f"may have at most {MOST_OFFERED} networks" if len(value) > MOST_OFFERED else None


class Forward(NamedTuple):
    """A port of the server, and the client and port that it leads to."""

    protocol: str  # "tcp" or "udp"
    listen: int
    client: str
    port: int

    @property
    def shown(self) -> str:
        """For a person: "443/tcp"."""
        return f"{self.listen}/{self.protocol}"


def forward(text: str) -> Forward:
    """
    :param text: PORT/PROTOCOL=CLIENT:PORT.
    :raises ConfigError: it is none.
    """
    found = _FORWARD.fullmatch(text)
    ports = [int(found[number]) for number in (1, 4)] if found else [0]
    if found is None or not all(1 <= each <= 65535 for each in ports):
        raise ConfigError(f"must hold entries like {EXAMPLE}, with tcp or udp, not {text[:60]!r}")
    return Forward(found[2], ports[0], found[3], ports[1])


def forwards_wrong(value: tuple[str, ...]) -> str | None:
    """What is wrong with those of a server."""
    try:
        found = [forward(each) for each in value]
    except ConfigError as wrong:
        return str(wrong)
    if len({each[:2] for each in found}) < len(found):
        return "forwards one port twice"
    return f"may have at most {MOST_FORWARDS} entries" if len(value) > MOST_FORWARDS else None


def forwards_of_tables(value: object) -> object:
    """`[[forward]]` tables, or one `[forward]`, with `listen` and `to`, as strings; all else as it is."""
    tables: list[Any] = value if isinstance(value, list) else [value]
    if tables and all(isinstance(each, dict) and set(each) == {"listen", "to"} for each in tables):
        return [f"{each['listen']}={each['to']}" for each in tables]
    return value


def through(text: str) -> tuple[str, str]:
    """
    :param text: PEER=NETWORK.
    :raises ConfigError: it is none.
    """
    peer, _, network = text.partition("=")
    if not peer or checks.networks((network,)) or "/" not in network or unfit(network):
        raise ConfigError(f"must hold entries like home=192.168.7.0/24, not {text[:80]!r}")
    return peer, written(network)


def through_wrong(value: tuple[str, ...]) -> str | None:
    """What is wrong with networks that are reached through peers."""
    try:
        networks = [through(each)[1] for each in value]
    except ConfigError as wrong:
        return str(wrong)
    return "has one network twice" if len(set(networks)) < len(networks) else None


FORWARD = {
    "check": forwards_wrong,
    "reads": forwards_of_tables,
    "help": f"ports of this server that lead to clients, like {EXAMPLE}; or [[forward]] listen, to",
}
ADVERTISE = {
    "check": advertise_wrong,
    "reads": all_written,
    "help": "networks behind this machine that others shall reach through it, once they are approved on the gateway",
}
ADVERTISE_ROUTED = {"help": "leave the others' addresses as they are there: it must have a route back to this machine"}
THROUGH = {
    "check": through_wrong,
    "help": "PEER=NETWORK: a network behind a peer that advertises it, like home=192.168.7.0/24",
}
EXIT = {
    "check": checks.name,
    "help": "a peer through which everything goes to the world, while it is there; '' for none",
}
EXIT_FOR = {"check": checks.names, "help": "peers that may reach the world, and our networks, through this machine"}
ACCEPT_NETWORKS = {
    "help": "send through the tunnel also what is not in `routes`, if it is a private network behind another client"
    " that is approved on the gateway"
}
