"""The legacy tables of iptables, as `iptables-legacy -S` prints them, made into steps for a probe."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from morphnet.host.verdicts import ESTABLISHED, NEW, Probe, Step

_TARGETS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_STATES = {"ESTABLISHED": ESTABLISHED, "NEW": NEW}


@dataclass(frozen=True, slots=True)
class Listing:
    """A table, line by line."""

    policies: dict[str, str] = field(
        default_factory=dict
    )  # "accept" or "drop", of each chain that comes with the table
    rules: dict[str, list[list[str]]] = field(default_factory=dict)  # words of each rule, by chain


def listing(text: str) -> Listing:
    """Parse the output of `iptables-legacy -S`."""
    found = Listing()
    for line in text.splitlines():
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if words[:1] == ["-P"] and len(words) >= 3:
            found.policies[words[1]] = "drop" if words[2] == "DROP" else "accept"
            found.rules.setdefault(words[1], [])
        elif words[:1] == ["-N"] and len(words) >= 2:
            found.rules.setdefault(words[1], [])
        elif words[:1] == ["-A"] and len(words) >= 2:
            found.rules.setdefault(words[1], []).append(words[2:])
    return found


def steps(table: Listing, probe: Probe) -> Callable[[str], list[Step]]:
    """What gives the steps of a chain."""
    return lambda chain: [_step(words, table, probe) for words in table.rules.get(chain, [])]


def _step(words: list[str], table: Listing, probe: Probe) -> Step:
    matches: bool | None = True
    verdict, chain, inverted, rest = "", "", False, list(words)
    while rest:
        word = rest.pop(0)
        if word == "!":
            inverted = True
            continue
        value = rest.pop(0) if rest and not rest[0].startswith("-") and rest[0] != "!" else ""
        if word in ("-j", "-g"):
            verdict, chain = _target(value, word, table)
            break  # what follows are the target's own words
        if word not in ("-m", "--comment"):
            said = _says(word, value, probe)
            said = said if said is None else said != inverted
            if matches is not False:
                matches = said if said is not True else matches
        inverted = False
    return Step(matches, verdict, chain)


def _target(value: str, word: str, table: Listing) -> tuple[str, str]:
    if value in table.rules:
        return ("goto" if word == "-g" else "jump"), value
    return _TARGETS.get(value, ""), ""


def _says(word: str, value: str, probe: Probe) -> bool | None:
    """Whether one condition holds of the probe."""
    match word:
        case "-i":
            return _is_device(value, probe.arrives)
        case "-o":
            return _is_device(value, probe.leaves)
        case "-s" | "-d":
            address = ipaddress.ip_address(probe.source if word == "-s" else probe.to)
            try:
                return address in ipaddress.ip_network(value, strict=False)
            except ValueError:
                return None
        case "-p":
            return value in ("tcp", "6", "all")
        case "--ctstate" | "--state":
            return any(_STATES.get(each) == probe.state for each in value.split(","))
    return None


def _is_device(pattern: str, device: str) -> bool:
    return device.startswith(pattern[:-1]) if pattern.endswith("+") else device == pattern
