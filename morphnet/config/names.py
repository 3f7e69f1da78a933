"""Settings of names: what a gateway answers, and what a client asks there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from morphnet.config import checks
from morphnet.errors import ConfigError
from morphnet.text import DOMAIN, is_dns_name

MOST_DOMAINS, MOST_RESOLVERS = 32, 3  # of a gateway; for one of them
LONGEST_DOMAIN = 253  # characters
MOST_TOLD = 16  # addresses, or relays, that a gateway tells its clients
ALL = "*"
EXAMPLE = "corp.example=10.0.0.53"
_TOLD = re.compile(r"[A-Za-z0-9._:\[\]-]*")


def is_domain(text: str) -> bool:
    """Whether names under it may be asked elsewhere: a domain in small letters, not the network's own."""
    own = text == DOMAIN or text.endswith(f".{DOMAIN}")
    return len(text) <= LONGEST_DOMAIN and is_dns_name(text.replace("_", "x")) and not own


def split_domain(text: str) -> tuple[str, str]:
    """
    :param text: DOMAIN=ADDRESS.
    :raises ConfigError: it is none.
    """
    domain, _, address = text.partition("=")
    domain = domain.lower().strip(".")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        parsed = None
    if not is_domain(domain) or parsed is None or parsed.is_unspecified or parsed.is_multicast:
        raise ConfigError(f"must hold entries like {EXAMPLE}, not {text[:80]!r}")
    return domain, str(parsed)


def by_domain(entries: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Resolvers by domain, in their order."""
    found: dict[str, tuple[str, ...]] = {}
    for domain, address in map(split_domain, entries):
        found[domain] = (*found.get(domain, ()), address)
    return found


def dns_wrong(value: tuple[str, ...]) -> str | None:
    """What is wrong with the DNS servers of a gateway."""
    return checks.addresses(value) or _many_wrong(value)


def relays_wrong(value: tuple[str, ...]) -> str | None:
    """What is wrong with relays that a gateway tells of."""
    strange = next((each for each in value if _TOLD.fullmatch(each) is None), "")
    letters = f"must be in letters of ASCII, not {strange[:60]!r}" if strange else None
    return checks.servers(value) or letters or _many_wrong(value)


def _many_wrong(value: tuple[str, ...]) -> str | None:
    return f"may hold at most {MOST_TOLD}" if len(value) > MOST_TOLD else None


def _domains_wrong(value: tuple[str, ...]) -> str | None:
    try:
        found = by_domain(value)
    except ConfigError as wrong:
        return str(wrong)
    if many := next((name for name, servers in found.items() if len(servers) > MOST_RESOLVERS), ""):
        return f"has more than {MOST_RESOLVERS} resolvers for {many}"
    return f"may have at most {MOST_DOMAINS} domains" if len(found) > MOST_DOMAINS else None


def _asked_wrong(value: tuple[str, ...]) -> str | None:
    for each in value:
        if each != ALL and not is_domain(each):
            return f"must hold domains like corp.example, or '{ALL}' for all that the gateway has, not {each[:80]!r}"
    return None


def _domains_of_table(value: object) -> object:
    """`[names.domains]`, each with an address or a list of them, as strings; all else as it is."""
    if not isinstance(value, dict):
        return value
    lists: dict[Any, Any] = {key: each if isinstance(each, list) else [each] for key, each in value.items()}
    return [f"{domain}={address}" for domain, each in lists.items() for address in each]


@dataclass(frozen=True, slots=True)
class NamesConfig:
    """What a gateway answers to those who ask it for names."""

    serve: bool = field(
        default=True,
        metadata={"help": "answer clients' questions for names: of this network, and of the world in their place"},
    )
    hosts: bool = field(default=True, metadata={"help": "let the gateway itself know its clients by name (/etc/hosts)"})
    domains: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": _domains_wrong,
            "reads": _domains_of_table,
            "help": f"DOMAIN=ADDRESS: names under it are asked there, like {EXAMPLE}; or [names.domains]",
        },
    )


@dataclass(frozen=True, slots=True)
class AskedNames:
    """What a client asks the gateway for in a split tunnel, besides the network's own names."""

    domains: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": _asked_wrong,
            "help": "domains of the gateway's that are asked there also in a split tunnel, like corp.example; '*': all",
        },
    )
