"""
What is carried: on a client the ports where programs may hand in datagrams, on a server the services these may reach.

In the configuration both are lists of strings, "127.0.0.1:51821=wireguard" and "wireguard=127.0.0.1:51820", so that the
command line can say them; a file may say them as tables as well.
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from morphnet.errors import ConfigError

MOST = 16  # entries, and services
_NAME = re.compile(r"[a-z0-9-]{1,32}")


class Place(NamedTuple):
    """A service, and an address and UDP port: where programs here send to, or where the service is."""

    service: str
    host: str
    port: int

    @property
    def shown(self) -> str:
        """ADDRESS:PORT, for a person."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def carry_number(service: str) -> int:
    """
    How the service of that name is called in datagrams: made from the name, so that both ends know it without a word.

    Source: docs/protocol section 4.
    """
    return zlib.crc32(service.encode()) & 0xFFFF


def entry(text: str) -> Place:
    """
    :param text: LISTEN=SERVICE.
    :raises ConfigError: it is none.
    """
    where, _, name = text.rpartition("=")
    return _place(name, where, "127.0.0.1:51821=wireguard", text)


def service(text: str) -> Place:
    """
    :param text: SERVICE=ADDRESS:PORT.
    :raises ConfigError: it is none.
    """
    name, _, where = text.partition("=")
    return _place(name, where, "wireguard=127.0.0.1:51820", text)


def _place(name: str, where: str, example: str, text: str) -> Place:
    host, _, port = where.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not 1 <= number <= 65535 or not _NAME.fullmatch(name):
        raise ConfigError(f"must hold entries like {example}, with a numeric address, not {text[:60]!r}")
    if address.is_unspecified or address.is_multicast:
        raise ConfigError(f"must name one address, like {example}, not {text[:60]!r}")
    return Place(name, str(address), number)


def entries_wrong(value: tuple[str, ...]) -> str | None:
    """What is wrong with a client's; several may lead to one service."""
    try:
        places = [entry(each) for each in value]
    except ConfigError as wrong:
        return str(wrong)
    if len({each[1:] for each in places}) < len(places):
        return "uses one address and port twice"
    return _collision({each.service for each in places}) or _too_many(value)


def services_wrong(value: tuple[str, ...]) -> str | None:
    """What is wrong with a server's."""
    try:
        names = [service(each).service for each in value]
    except ConfigError as wrong:
        return str(wrong)
    if len(set(names)) < len(names):
        return "has one name twice"
    return _collision(set(names)) or _too_many(value)


def _too_many(value: tuple[str, ...]) -> str | None:
    return f"may have at most {MOST} entries" if len(value) > MOST else None


def _collision(names: set[str]) -> str | None:
    seen: dict[int, str] = {}
    for name in sorted(names):
        other = seen.setdefault(carry_number(name), name)
        if other != name:
            return f"has '{other}' and '{name}', which look alike in datagrams: call one of them otherwise"
    return None


def entries_of_tables(value: object) -> object:
    """`[[carry]]` tables, or one `[carry]`, with `listen` and `to`, as strings; all else as it is."""
    tables: list[Any] = value if isinstance(value, list) else [value]
    if tables and all(isinstance(each, dict) and set(each) == {"listen", "to"} for each in tables):
        return [f"{each['listen']}={each['to']}" for each in tables]
    return value


def services_of_table(value: object) -> object:
    """`[carry.services]` as strings; all else as it is."""
    if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return [f"{name}={where}" for name, where in value.items()]
    return value


@dataclass(frozen=True, slots=True)
class CarryConfig:
    """What clients may reach on this server, or beside it, without an inner address."""

    services: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": services_wrong,
            "reads": services_of_table,
            "help": "NAME=ADDRESS:PORT (UDP) of what clients may reach by name, or as [carry.services]; none: nothing",
        },
    )
