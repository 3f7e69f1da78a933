"""
`policy.toml`: who may reach whom, at which ports. What no rule allows is refused.

The same is read from the file, and from what the CA has signed: see docs/policy.
"""

from __future__ import annotations

import ipaddress
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from morphnet.errors import ConfigError
from morphnet.text import is_dns_name, is_machine

ANYBODY, GATEWAY, WORLD = "*", "gateway", "world"
WORDS = (ANYBODY, GATEWAY, WORLD)  # that are no names of machines
MOST_RULES, MOST_GROUPS, MOST_NAMED = 500, 200, 2000  # the last: entries of one list, groups written out
LONGEST = 1 << 17  # characters of a file
ANY, ICMP, TCP, UDP, ICMP6 = 0, 1, 6, 17, 58
_PROTOCOLS = {"tcp": (TCP,), "udp": (UDP,), "icmp": (ICMP, ICMP6)}
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp))?")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NOT_WORLD = tuple(
    ipaddress.ip_network(each)
    for each in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "224.0.0.0/3", "::/8", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)


def is_public(address: bytes) -> bool:
    """
    Whether an address is one of the world: neither of a private network, nor of many, nor of the machine itself.

    :param address: 4 or 16 bytes.
    """
    found = ipaddress.ip_address(address)
    return not any(found.version == each.version and found in each for each in NOT_WORLD)


def called(name: str) -> tuple[str, ...]:
    """What rules may call a machine: one whose name is a word here they cannot, or it would be taken for that."""
    return () if name in WORDS else (name,)


class Who(NamedTuple):
    """One end of a packet."""

    names: tuple[str, ...]  # of a machine; GATEWAY and its name; WORLD; none
    address: bytes  # 4 or 16 bytes; b"" for one that is known by name alone


@dataclass(frozen=True, slots=True)
class Ports:
    """What may be reached at an address."""

    protocol: int  # as in an IP header, or ANY
    first: int = 0
    last: int = 65535

    def hold(self, protocol: int, port: int) -> bool:
        """:param port: -1 for what has none, or where it is not known."""
        if self.protocol == ANY:
            return True
        if self.protocol != protocol:
            return False
        return self.first <= port <= self.last or (not self.first and self.last == 65535)


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[allow]]`; its groups are written out."""

    number: int  # in the file, from 1
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    ports: tuple[str, ...]

    @property
    def shown(self) -> str:
        """For a person."""
        sides = ", ".join(self.sources), ", ".join(self.targets), ", ".join(self.ports)
        return f"rule {self.number}: from {sides[0]} to {sides[1]}, ports {sides[2]}"


class Side:
    """All `from`, or all `to`, of the rules: which of them mean somebody?"""

    def __init__(self, entries: Iterable[Iterable[str]]) -> None:
        self._named: dict[str, set[int]] = {}
        self._networks: dict[tuple[int, int, int], set[int]] = {}
        for number, several in enumerate(entries):
            for each in several:
                if "/" in each:
                    self._networks.setdefault(_prefix(each), set()).add(number)
                else:
                    self._named.setdefault(each, set()).add(number)
        self._masks = {prefix[:2] for prefix in self._networks}

    def holding(self, who: Who) -> set[int]:
        """Places of the rules, from 0."""
        found = set(self._named.get(ANYBODY, ()))
        for name in who.names:
            found |= self._named.get(name, set())
        number = int.from_bytes(who.address, "big")
        for size, rest in self._masks:
            if size == len(who.address):
                found |= self._networks.get((size, rest, number >> rest), set())
        return found


class Policy:
    """
    All rules. Their order does not matter: each of them allows something, and nothing else is.

    :param is_open: no policy: everybody may everything, as before there was one.
    """

    def __init__(self, rules: Iterable[Rule] = (), *, is_open: bool = False) -> None:
        self.rules, self.is_open = tuple(rules), is_open
        self._ports = [tuple(each for text in rule.ports for each in _ports(text)) for rule in self.rules]
        self._sources, self._targets = (
            Side(rule.sources for rule in self.rules),
            Side(rule.targets for rule in self.rules),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and (self.rules, self.is_open) == (other.rules, other.is_open)

    def __hash__(self) -> int:
        return hash((self.rules, self.is_open))

    @property
    def named(self) -> frozenset[str]:
        """All machines that it names."""
        entries = (each for rule in self.rules for each in (*rule.sources, *rule.targets))
        return frozenset(each for each in entries if each not in WORDS and "/" not in each)

    @property
    def written(self) -> tuple[tuple[Rule, tuple[Ports, ...]], ...]:
        """Each rule with its ports."""
        return tuple(zip(self.rules, self._ports, strict=True))

    def between(self, source: Who, target: Who) -> list[tuple[Rule, tuple[Ports, ...]]]:
        """The rules that say something of these two."""
        both = self._sources.holding(source) & self._targets.holding(target)
        return [(self.rules[place], self._ports[place]) for place in sorted(both)]

    def allows(self, source: Who, target: Who, protocol: int, port: int) -> Rule | None:
        """The first rule by which a packet may begin something; None: it may not."""
        return allowing(self.between(source, target), protocol, port)

    def as_text(self) -> str:
        """As it is signed: all that `from_text` needs."""
        rules = [{"from": rule.sources, "to": rule.targets, "ports": rule.ports} for rule in self.rules]
        return json.dumps({"open": True} if self.is_open else {"allow": rules}, separators=(",", ":"))


def allowing(rules: Iterable[tuple[Rule, tuple[Ports, ...]]], protocol: int, port: int) -> Rule | None:
    """The first of these rules whose ports hold that one."""
    for rule, ports in rules:
        if any(each.hold(protocol, port) for each in ports):
            return rule
    return None


def _prefix(network: str) -> tuple[int, int, int]:
    """Bytes of an address, bits behind the prefix, the prefix."""
    parsed = ipaddress.ip_network(network)
    rest = parsed.max_prefixlen - parsed.prefixlen
    return parsed.max_prefixlen // 8, rest, int(parsed.network_address) >> rest


def _ports(text: str) -> list[Ports]:
    """:raises ConfigError: it is none of "22/tcp", "443", "8000-8100/udp", "tcp", "udp", "icmp", "*"."""
    if text == "*":
        return [Ports(ANY)]
    if text in _PROTOCOLS:
        return [Ports(protocol) for protocol in _PROTOCOLS[text]]
    found = _PORTS.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found is not None else (0, 0)
    if found is None or not 0 < first <= last <= 65535:
        raise ConfigError(f'{text!r} are no ports: write "22/tcp", "443" (both), "8000-8100/udp", "tcp", "icmp" or "*"')
    return [Ports(protocol, first, last) for protocol in (_PROTOCOLS[found[3]] if found[3] else (TCP, UDP))]


def asked_ports(text: str) -> list[tuple[int, int]]:
    """
    Protocol and port of what somebody asks about, -1 for none: "22/tcp", "443" (both), "icmp".

    :raises ConfigError: it is not one port.
    """
    found = _ports(text)
    if any(each.protocol == ANY or (each.first != each.last and text != "icmp") for each in found):
        raise ConfigError(f'{text!r} is not one port: ask about "22/tcp", "443" or "icmp"')
    return [(each.protocol, -1 if text == "icmp" else each.first) for each in found]


# -- reading -----------------------------------------------------------------------------------------------------------


def from_toml(text: str) -> Policy:
    """
    What a policy.toml says.

    :raises ConfigError: something in it is wrong; the sentence says what and where.
    """
    if len(text) > LONGEST:
        raise ConfigError(f"the policy is longer than {LONGEST} characters")
    try:
        return _read(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise ConfigError(f"the policy is no TOML: {wrong}") from None


def from_text(text: str) -> Policy:
    """
    What `as_text` has said.

    :raises ConfigError: it has not.
    """
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError("the policy cannot be read") from None
    if table == {"open": True}:
        return Policy(is_open=True)
    return _read(table)


def _read(table: object) -> Policy:
    if not isinstance(table, dict) or (unknown := table.keys() - {"groups", "allow"}):
        name = min(unknown) if isinstance(table, dict) else ""
        raise ConfigError(f"the policy has {name!r}, which is neither groups nor allow")
    groups, rules = _groups(table.get("groups", {})), table.get("allow", [])
    if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        raise ConfigError("each rule of the policy begins with [[allow]]")
    if len(rules) > MOST_RULES:
        raise ConfigError(f"the policy has {len(rules)} rules: at most {MOST_RULES} are possible")
    return Policy(_rule(number, each, groups) for number, each in enumerate(rules, 1))


def _groups(table: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(table, dict) or len(table) > MOST_GROUPS:
        raise ConfigError(f"[groups] of the policy is a table of at most {MOST_GROUPS}")
    found = {}
    for name, members in table.items():
        if _GROUP.fullmatch(name) is None:
            raise ConfigError(f"{name!r} is no name for a group: letters, digits, '.', '_' and '-'")
        where = f"group {name}"
        found[name] = tuple(_machine(each, where) for each in _texts(members, where))
    return found


def _rule(number: int, table: Mapping[str, Any], groups: Mapping[str, tuple[str, ...]]) -> Rule:
    where = f"rule {number}"
    if unknown := table.keys() - {"from", "to", "ports"}:
        raise ConfigError(f"{where} of the policy has {min(unknown)!r}: it may have from, to and ports")
    sides = []
    for side in ("from", "to"):
        if side not in table:
            raise ConfigError(f"{where} of the policy does not say {side} whom: write * for everybody")
        entries = [each for text in _texts(table[side], where) for each in _entry(text, groups, where)]
        if len(entries) > MOST_NAMED:
            raise ConfigError(f"{where} of the policy names more than {MOST_NAMED}")
        sides.append(tuple(dict.fromkeys(entries)))
    ports = _texts(table.get("ports", "*"), where)
    for each in ports:
        try:
            _ports(each)
        except ConfigError as wrong:
            raise ConfigError(f"{where} of the policy: {wrong}") from None
    return Rule(number, sides[0], sides[1], ports)


def _texts(value: object, where: str) -> tuple[str, ...]:
    """A text, or a list of them."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(each, str) for each in listed):
        raise ConfigError(f"{where} of the policy needs a text, or a list of texts")
    return tuple(listed)


def _entry(text: str, groups: Mapping[str, tuple[str, ...]], where: str) -> tuple[str, ...]:
    if text in WORDS:
        return (text,)
    if text.startswith("@"):
        if text[1:] not in groups:
            raise ConfigError(f"{where} of the policy: there is no group {text[1:]!r} in [groups]")
        return groups[text[1:]]
    return (_machine(text, where),)


def _machine(text: str, where: str) -> str:
    """A machine by its name, or a network; one address is a network as well."""
    try:
        if "%" not in text:  # one device's, which addresses in packets do not say
            return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    if text in WORDS or "/" in text or not (is_machine(text) or is_dns_name(text)):
        raise ConfigError(f"{where} of the policy: {text!r} is no name of a machine, and no network")
    return text
