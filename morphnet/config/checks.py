"""What makes a single setting wrong, beyond its type."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from morphnet.config.redis_url import redis_url_of
from morphnet.errors import ConfigError

MOST_PACKETS = 1 << 23  # under one key; docs/protocol
LEAST_MTU, MOST_MTU = 576, 65535  # RFC 791; the IPv4 length field
LEAST_MTU6 = 1280  # RFC 8200 section 5

# Loopback, link-local, multicast: RFC 6890, RFC 4291 section 2.4.
_NO_POOL: tuple[Any, ...] = tuple(
    ipaddress.ip_network(each) for each in ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "fe80::/10", "ff00::/8")
)

Check = Callable[[Any], "str | None"]  # what is wrong, to be read after the setting's name; None for nothing

_INTERFACE = re.compile(r"[^\s/:]{1,15}")  # what Linux takes as the name of a device
_HOST = re.compile(r"[^\s:/\[\]]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")


def port(value: int) -> str | None:
    return None if 1 <= value <= 65535 else "must be a port, 1 to 65535"


def port_or_any(value: int) -> str | None:
    """0 stands for any."""
    return None if 0 <= value <= 65535 else "must be a port, 1 to 65535, or 0 for any"


def pool(version: int, longest: int) -> Check:
    example = "10.73.0.0/24" if version == 4 else "fd73::/64"

    def check(value: str) -> str | None:
        if not value:
            return None
        try:
            interface = ipaddress.ip_interface(value)
        except ValueError:
            interface = None
        if interface is None or interface.version != version or "/" not in value:
            return f"must be an IPv{version} prefix like {example}, or '' for none"
        if interface.ip != interface.network.network_address:
            return f"has bits set after the prefix: write {interface.network}"
        if any(interface.network.subnet_of(each) for each in _NO_POOL if each.version == version):
            return f"has no address that a machine can have: take a private network like {example}"
        if interface.network.prefixlen > longest:
            return f"is too small: /{longest} is the smallest pool"
        return None

    return check


def prefixes(value: tuple[str, ...]) -> str | None:
    for item in value:
        try:
            interface = None if item == "default" else ipaddress.ip_interface(item)
        except ValueError:
            return f"must hold 'default' or prefixes like 192.0.2.0/24, not {item[:60]!r}"
        if interface is not None and interface.ip != interface.network.network_address:
            return f"holds {item!r} with bits set after the prefix: write {interface.network}"
    return None


def networks(value: tuple[str, ...]) -> str | None:
    return "must hold prefixes like 192.0.2.0/24" if "default" in value else prefixes(value)


def addresses(value: tuple[str, ...]) -> str | None:
    for item in value:
        try:
            ipaddress.ip_address(item)
        except ValueError:
            return f"must hold IP addresses, not {item[:60]!r}"
    return None


def some_addresses(value: tuple[str, ...]) -> str | None:
    return addresses(value) if value else "must hold at least one address"


def interface(value: str) -> str | None:
    if _INTERFACE.fullmatch(value) and value not in (".", "..") and "\0" not in value:
        return None
    return f"must be the name of an interface (up to 15 letters), not {value[:60]!r}"


def interface_or_none(value: str) -> str | None:
    return interface(value) if value else None


def interfaces(value: tuple[str, ...]) -> str | None:
    return next((wrong for wrong in map(interface, value) if wrong is not None), None)


def server(value: str) -> str | None:
    host, port = value, ""
    if not value.endswith("]") and value.count(":"):
        host, _, port = value.rpartition(":")
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            return f"must be HOST or HOST:PORT, not {value[:60]!r}"
    return None if _HOST.fullmatch(host) else f"must be HOST, HOST:PORT or [IPv6]:PORT, not {value[:60]!r}"


def server_or_none(value: str) -> str | None:
    """The name of a machine that is called; "" for none."""
    return server(value) if value else None


def servers(value: tuple[str, ...]) -> str | None:
    return next((wrong for wrong in map(server, value) if wrong is not None), None)


def names(value: tuple[str, ...]) -> str | None:
    return next((wrong for wrong in map(name, value) if wrong is not None), None)


def name(value: str) -> str | None:
    if len(value) > 253 or not value.isprintable() or any(letter.isspace() for letter in value):
        return "must be a name without spaces"
    return None


def read_address(listen: str) -> tuple[str, int] | None:
    """
    The address and TCP port to listen on; None for "".

    :raises ConfigError: it is not ADDRESS:PORT, or it names every network at once.
    """
    if not listen:
        return None
    host, _, number = listen.rpartition(":")
    if not (host and number.isascii() and number.isdigit() and len(number) <= 5 and 1 <= int(number) <= 65535):
        raise ConfigError("must be ADDRESS:PORT like 127.0.0.1:2222, or '' for a unix socket")
    try:
        address = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        raise ConfigError(f"must begin with an IP address: write 127.0.0.1:{number}") from None
    if address.is_unspecified:
        raise ConfigError(f"would open the manhole to every network: write 127.0.0.1:{number}, or one address")
    return str(address), int(number)


def listen(value: str) -> str | None:
    try:
        read_address(value)
    except ConfigError as error:
        return str(error)
    return None


def redis(value: str) -> str | None:
    try:
        if value:
            redis_url_of(value)
    except ConfigError as error:
        return str(error)
    return None


def mtu(value: int) -> str | None:
    return None if LEAST_MTU <= value <= MOST_MTU else f"must be {LEAST_MTU} to {MOST_MTU} bytes"


def rekey_packets(value: int) -> str | None:
    return None if value <= MOST_PACKETS else f"must be at most {MOST_PACKETS} (2^23)"
