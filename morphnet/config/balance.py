"""The settings of `mode = "balance"`: flows over several uplinks, without a server."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from morphnet.config import checks
from morphnet.errors import ConfigError

METHODS = ("ping", "dns", "tcp")
MOST = 64  # policies, and targets
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_EXAMPLE = "to:10.9.0.0/16=wan1, from:192.168.8.0/24=wan1, tcp:25=wan1, udp:53=wan1 or user:backup=wan1"

MODE = {
    "help": "tunnel, or balance: new flows are dealt out to the uplinks, without a server; see docs/balance.md",
    "choices": ("tunnel", "balance"),
}


class Pinned(NamedTuple):
    """A policy: what leaves by one uplink."""

    kind: str  # "to", "from", "tcp", "udp" or "user"
    value: str
    uplink: str


def policy(text: str) -> Pinned:
    """
    :param text: WHAT:VALUE=UPLINK.
    :raises ConfigError: it is none.
    """
    what, _, uplink = text.rpartition("=")
    kind, _, value = what.partition(":")
    if checks.interface(uplink) is None:
        if kind in ("to", "from"):
            try:
                return Pinned(kind, str(ipaddress.ip_network(value, strict=False)), uplink)
            except ValueError:
                pass
        elif kind in ("tcp", "udp") and value.isascii() and value.isdigit() and 1 <= int(value[:6]) <= 65535:
            return Pinned(kind, str(int(value)), uplink)
        elif kind == "user" and _USER.fullmatch(value):
            return Pinned(kind, value, uplink)
    raise ConfigError(f"must hold entries like {_EXAMPLE}, not {text[:60]!r}")


def _policies(value: tuple[str, ...]) -> str | None:
    try:
        found = [policy(each) for each in value]
    except ConfigError as wrong:
        return str(wrong)
    if len({each[:2] for each in found}) < len(found):
        return "sends the same by two uplinks"
    return f"may have at most {MOST} entries" if len(found) > MOST else None


def weights_of(value: tuple[str, ...]) -> dict[str, int]:
    """
    :param value: UPLINK=PARTS each.
    :raises ConfigError: one is something else.
    """
    found = dict[str, int]()
    for each in value:
        name, _, parts = each.partition("=")
        if checks.interface(name) is not None or not re.fullmatch(r"[0-9]{1,3}", parts, re.ASCII):
            raise ConfigError(f"must hold entries like wan0=3, not {each[:40]!r}")
        if not 1 <= int(parts) <= 100 or name in found:
            raise ConfigError("must have each uplink once, with 1 to 100 parts")
        found[name] = int(parts)
    return found


def _weights(value: tuple[str, ...]) -> str | None:
    try:
        weights_of(value)
    except ConfigError as wrong:
        return str(wrong)
    return None


def _targets(value: tuple[str, ...]) -> str | None:
    wrong = checks.addresses(value)
    if wrong is not None:
        return wrong
    for version in (4, 6):
        own = {each for each in value if ipaddress.ip_address(each).version == version}
        if len(own) == 1:
            return f"must have two IPv{version} addresses or none: one that is dead must not look like a dead uplink"
    return None if 2 <= len(value) <= MOST else "must have at least two addresses"


def _methods(value: tuple[str, ...]) -> str | None:
    if set(value) - set(METHODS):
        return f"must be of {', '.join(METHODS)}"
    if len(set(value)) < 2:
        return "must be at least two: one that is filtered must not look like a dead uplink"
    return None


@dataclass(frozen=True, slots=True)
class BalanceConfig:
    """New flows are dealt out to all uplinks that lead out."""

    targets: tuple[str, ...] = field(
        default=("1.1.1.1", "9.9.9.9", "2606:4700:4700::1111", "2620:fe::fe"),
        metadata={
            "check": _targets,
            "help": "name servers that are asked whether an uplink leads out: two or more of each family, numeric",
        },
    )
    methods: tuple[str, ...] = field(
        default=METHODS, metadata={"check": _methods, "help": "how they are asked: two or more of ping, dns and tcp"}
    )
    tcp_port: int = field(default=443, metadata={"check": checks.port, "help": "TCP port where they take connections"})
    every_s: float = field(default=1.0, metadata={"help": "seconds between questions, while an uplink is up"})
    portal: bool = field(
        default=True,
        metadata={"help": "look for captive portals: who answers for an address that nobody has is one"},
    )
    weights: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": _weights,
            "help": "UPLINK=PARTS: how many flows each gets; none: by the most that each has carried",
        },
    )
    last: tuple[str, ...] = field(
        default=(), metadata={"check": checks.interfaces, "help": "uplinks to use only while no other leads out"}
    )
    policies: tuple[str, ...] = field(
        default=(),
        metadata={
            "check": _policies,
            "help": "to:NETWORK, from:NETWORK, tcp:PORT, udp:PORT or user:NAME, =UPLINK: leaves by it if it leads out",
        },
    )
