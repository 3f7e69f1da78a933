"""
How the uplinks of a client may be used: `[uplinks.NAME]`.

In the configuration each is one string, "wwan* backup metered cap=20GB rate=8Mbit/s", so that the command line can say
it; a file may say them as tables as well. The name may be a pattern. For a device its exact name counts before any
pattern, and of several patterns the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from morphnet.errors import ConfigError

MOST = 64  # sections
LEAST_RATE = 1000.0  # bytes a second
PRIORITIES = 100  # 0 .. 99
_NAME = re.compile(r"[^\s/:\0]{1,15}")  # a device, or a pattern of devices
_BYTES = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([kMGT]?)(i?)B?")
_BITS = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([kMG]?)bit/s")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}
AT_CAP = ("last", "never")


@dataclass(frozen=True, slots=True)
class UplinkPolicy:
    """One section."""

    name: str  # of a device, or a pattern
    priority: int = 10  # those with the least one carry, as long as one of them works
    backup: bool = False  # used only while no other works; kept warm
    metered: bool = False  # its bytes cost
    never: bool = False  # left alone
    cap: int = 0  # bytes a month, both ways together; 0: none
    cap_day: int = 1  # of the month, on which the count begins anew
    at_cap: str = "last"  # used only while nothing else works, or "never"
    rate_up: float = 0.0  # bytes a second, 0: no bound
    rate_down: float = 0.0

    def matches(self, device: str) -> bool:
        """Whether it is about that device."""
        return fnmatchcase(device, self.name)


PLAIN = UplinkPolicy("*")


def policy_for(device: str, policies: Iterable[UplinkPolicy]) -> UplinkPolicy:
    """What holds for a device: its exact name comes before patterns, of which the first counts."""
    found = [each for each in policies if each.matches(device)]
    exact = [each for each in found if each.name == device]
    return (exact or found or [PLAIN])[0]


def _amount(text: str, what: str) -> int:
    found = _BYTES.fullmatch(text)
    octets = float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2]] if found else 0
    if not 1 <= octets < 1 << 62:
        raise ConfigError(f"has {what} = {text[:40]!r}: write bytes like 20 GB")
    return round(octets)


def _rate(text: str, what: str) -> float:
    found = _BITS.fullmatch(text)
    octets = float(found[1]) * 1000 ** _POWERS[found[2]] / 8 if found else 0.0
    if not LEAST_RATE <= octets < 1e11:
        raise ConfigError(f"has {what} = {text[:40]!r}: write bits a second like 8 Mbit/s, 8 kbit/s at least")
    return octets


def _number(text: str, what: str, least: int, most: int) -> int:
    if re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) and least <= int(text) <= most:
        return int(text)
    raise ConfigError(f"has {what} = {text[:40]!r}: it must be {least} to {most}")


def _truth(text: str, what: str) -> bool:
    if text not in ("true", "false"):
        raise ConfigError(f"has {what} = {text[:40]!r}: it must be true or false")
    return text == "true"


def _with(policy: UplinkPolicy, key: str, text: str) -> UplinkPolicy:
    """The policy with one setting more."""
    match key:
        case "backup":
            return replace(policy, backup=_truth(text, key))
        case "metered":
            return replace(policy, metered=_truth(text, key))
        case "never":
            return replace(policy, never=_truth(text, key))
        case "priority":
            return replace(policy, priority=_number(text, key, 0, PRIORITIES - 1))
        case "cap_day":
            return replace(policy, cap_day=_number(text, key, 1, 31))
        case "cap":
            return replace(policy, cap=_amount(text, key))
        case "rate":
            return replace(policy, rate_up=_rate(text, key), rate_down=_rate(text, key))
        case "rate_up":
            return replace(policy, rate_up=_rate(text, key))
        case "rate_down":
            return replace(policy, rate_down=_rate(text, key))
        case "at_cap" if text in AT_CAP:
            return replace(policy, at_cap=text)
        case "at_cap":
            raise ConfigError(f"has at_cap = {text[:40]!r}: it must be last or never")
    known = ["rate", *(each.name for each in fields(UplinkPolicy) if each.name != "name")]
    import difflib  # only for who has made a mistake

    near = difflib.get_close_matches(key, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
    raise ConfigError(f"says {key[:40]!r} of {policy.name!r}, and there is no such setting{hint}")


def policy(text: str) -> UplinkPolicy:
    """
    :param text: NAME, and words like backup, cap=20GB.
    :raises ConfigError: it is none.
    """
    name, *words = text.split() or [""]
    if not _NAME.fullmatch(name):
        raise ConfigError(f"must name devices, or patterns like wwan*, of at most 15 letters, not {name[:40]!r}")
    found = UplinkPolicy(name)
    for word in words:
        key, has_value, value = word.partition("=")
        found = _with(found, key, value if has_value else "true")
    return found


def policies_wrong(value: tuple[str, ...]) -> str | None:
    try:
        found = [policy(each) for each in value]
    except ConfigError as wrong:
        return str(wrong)
    if len({each.name for each in found}) < len(found):
        return "names an uplink twice"
    return f"may have at most {MOST} entries" if len(found) > MOST else None


def policies_of_tables(value: object) -> object:
    """`[uplinks.NAME]` tables as strings; all else as it is."""
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        return value
    return [" ".join([name, *(_word(*each) for each in table.items())]) for name, table in value.items()]


def _word(key: str, value: Any) -> str:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    return f"{key}={''.join(text.split())}"


POLICIES: dict[str, Any] = {
    "check": policies_wrong,
    "reads": policies_of_tables,
    "help": "NAME backup, metered, never, priority=, cap=, rate=: how an uplink may be used; or as [uplinks.NAME], see"
    " docs/uplinks.md",
}
