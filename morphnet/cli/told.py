"""
What a server tells a machine that joins, as far as it goes into the machine's configuration.

Its word decides what enters the tunnel from then on, so not everything it may say is taken: an inner network must be a
private one, and not where this machine is already.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import RELAY_PORT
from morphnet.errors import ConfigError
from morphnet.pki.names import split_address

# RFC 1918, RFC 6598, RFC 4193.
_PRIVATE = [
    ipaddress.ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
_UP, _GLOBAL = 0x1, 0x00


def networks_told(told: Iterable[str], local: Sequence[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Which inner networks are taken, and a sentence for each other one.

    :param told: in CIDR notation.
    :param local: the networks that this machine is on, as ipaddress has them.
    """
    taken, sentences = list[str](), list[str]()
    for text in told:
        network = ipaddress.ip_network(text, strict=False)
        near = next((each for each in local if each.version == network.version and each.overlaps(network)), None)
        why = "it is not private" if not _is_private(network) else f"this machine is on {near}" if near else ""
        if not why or str(network) in MeshConfig().networks:
            taken.append(str(network))
        else:
            sentences.append(f"{network} is left out, since {why}: add it to [mesh] networks if it is right")
    return tuple(taken), tuple(sentences)


def _is_private(network: Any) -> bool:  # typeshed has no one name for both families
    return any(each.version == network.version and network.subnet_of(each) for each in _PRIVATE)


def relays_told(told: Iterable[str]) -> tuple[str, ...]:
    """Those that can be called."""
    return tuple(each for each in told if _is_place(each))


def _is_place(text: str) -> bool:
    try:
        split_address(text, RELAY_PORT)
    except ConfigError:
        return False
    return True


def local_networks(proc: Path = Path("/proc/net")) -> list[Any]:
    """The networks that this machine is on, besides loopback. Source: proc(5), net/ipv6/addrconf.c."""
    found: list[Any] = []
    for line in _lines(proc / "route")[1:]:
        device, destination, gateway, flags, *_, mask = line.split()[:8]
        if int(flags, 16) & _UP and not int(gateway, 16) and int(mask, 16) and device != "lo":
            parts = (".".join(map(str, struct.pack("=I", int(each, 16)))) for each in (destination, mask))
            found.append(ipaddress.ip_network("/".join(parts)))
    for line in _lines(proc / "if_inet6"):
        address, _, length, scope, *_ = line.split()
        if int(scope, 16) == _GLOBAL:
            found.append(ipaddress.ip_network((bytes.fromhex(address), int(length, 16)), strict=False))
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []  # this family is not spoken here
