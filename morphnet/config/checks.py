"""What makes a single setting wrong, beyond its type."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from morphnet.config.roles import ClientConfig, ManholeConfig, RelayConfig, ServerConfig, redis_url_of
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


def _port(value: int) -> str | None:
    return None if 1 <= value <= 65535 else "must be a port, 1 to 65535"


def _pool(version: int, longest: int) -> Check:
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


def _prefixes(value: tuple[str, ...]) -> str | None:
    for item in value:
        try:
            interface = None if item == "default" else ipaddress.ip_interface(item)
        except ValueError:
            return f"must hold 'default' or prefixes like 192.0.2.0/24, not {item[:60]!r}"
        if interface is not None and interface.ip != interface.network.network_address:
            return f"holds {item!r} with bits set after the prefix: write {interface.network}"
    return None


def _networks(value: tuple[str, ...]) -> str | None:
    return "must hold prefixes like 192.0.2.0/24" if "default" in value else _prefixes(value)


def _addresses(value: tuple[str, ...]) -> str | None:
    for item in value:
        try:
            ipaddress.ip_address(item)
        except ValueError:
            return f"must hold IP addresses, not {item[:60]!r}"
    return None


def _some_addresses(value: tuple[str, ...]) -> str | None:
    return _addresses(value) if value else "must hold at least one address"


def _interface(value: str) -> str | None:
    if _INTERFACE.fullmatch(value) and value not in (".", "..") and "\0" not in value:
        return None
    return f"must be the name of an interface (up to 15 letters), not {value[:60]!r}"


def _interface_or_none(value: str) -> str | None:
    return _interface(value) if value else None


def _interfaces(value: tuple[str, ...]) -> str | None:
    return next((wrong for wrong in map(_interface, value) if wrong is not None), None)


def _server(value: str) -> str | None:
    host, port = value, ""
    if not value.endswith("]") and value.count(":"):
        host, _, port = value.rpartition(":")
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            return f"must be HOST or HOST:PORT, not {value[:60]!r}"
    return None if _HOST.fullmatch(host) else f"must be HOST, HOST:PORT or [IPv6]:PORT, not {value[:60]!r}"


def _servers(value: tuple[str, ...]) -> str | None:
    return next((wrong for wrong in map(_server, value) if wrong is not None), None)


def _names(value: tuple[str, ...]) -> str | None:
    return next((wrong for wrong in map(_name, value) if wrong is not None), None)


def _name(value: str) -> str | None:
    if len(value) > 253 or not value.isprintable() or any(letter.isspace() for letter in value):
        return "must be a name without spaces"
    return None


def _listen(value: str) -> str | None:
    try:
        ManholeConfig(listen=value).address()
    except ConfigError as error:
        return str(error)
    return None


def _redis(value: str) -> str | None:
    try:
        if value:
            redis_url_of(value)
    except ConfigError as error:
        return str(error)
    return None


def _mtu(value: int) -> str | None:
    return None if LEAST_MTU <= value <= MOST_MTU else f"must be {LEAST_MTU} to {MOST_MTU} bytes"


def _rekey_packets(value: int) -> str | None:
    return None if value <= MOST_PACKETS else f"must be at most {MOST_PACKETS} (2^23)"


CHECKS: dict[str, Check] = {
    "ServerConfig.name": _name,
    "ServerConfig.listen": _some_addresses,
    "ServerConfig.control_port": _port,
    "ServerConfig.data_port": _port,
    "ServerConfig.tun": _interface,
    "ServerConfig.pool4": _pool(4, 30),
    "ServerConfig.pool6": _pool(6, 126),
    "ServerConfig.dns": _addresses,
    "ServerConfig.reachable_from": _networks,
    "RelayConfig.name": _name,
    "RelayConfig.listen": _some_addresses,
    "RelayConfig.relay_port": _port,
    "RelayConfig.echo_port": _port,
    "RelayConfig.proxy_port": _port,
    "RelayConfig.control_port": _port,
    "RelayConfig.redis_url": _redis,
    "RelayConfig.pool4": _pool(4, 30),
    "RelayConfig.pool6": _pool(6, 126),
    "MeshConfig.relays": _servers,
    "ServerConfig.relays": _servers,
    "RelayConfig.announce": _servers,
    "MeshConfig.peers": _names,
    "MeshConfig.networks": _prefixes,
    "MeshConfig.port": _port,
    "MeshConfig.stream_port": _port,
    "MeshConfig.ethernet": _interface_or_none,
    "MeshConfig.bridge": _interface_or_none,
    "ClientConfig.server": _server,
    "ClientConfig.server_name": _name,
    "ClientConfig.name": _name,
    "ClientConfig.tun": _interface,
    "ClientConfig.uplinks": _interfaces,
    "ClientConfig.exclude": _interfaces,
    "ClientConfig.routes": _prefixes,
    "Tuning.mtu": _mtu,
    "Tuning.rekey_packets": _rekey_packets,
    "ManholeConfig.listen": _listen,
}


def check_whole(config: Any) -> tuple[str, str] | None:
    """What is wrong between settings: the key to point at, and the sentence."""
    if isinstance(config, ClientConfig) and not config.server and not config.mesh.relays:
        return (
            "server",
            "'server' is missing (HOST or HOST:PORT of the server's control link);"
            " write it into the configuration file, or give --server, or [mesh] relays for peers alone",
        )
    if isinstance(config, ServerConfig | RelayConfig):
        if not config.pool4 and not config.pool6:
            return "pool4", "'pool4' and 'pool6' are both empty: clients need an address of one kind"
        if isinstance(config, ServerConfig) and config.pool6 and config.tuning.mtu < LEAST_MTU6:
            return "tuning.mtu", f"'mtu' must be at least {LEAST_MTU6} with IPv6 inside (or set pool6 = '')"
    return None
