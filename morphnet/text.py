"""What may stand in a line: names of machines, and text on its way to a terminal or a log."""

from __future__ import annotations

import hmac
import re

DOMAIN = "morph"  # under which every machine of a network has its name
LONGEST_NAME = 63  # characters of a machine's name; it is a common name (at most 64) and may be one DNS label

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile("[0-9]+|0x[0-9a-f]*")

# Names that every machine has for itself, or that programs look up without being asked.
_OCCUPIED = frozenset({"localhost", "localdomain", "broadcasthost", "ip6-localhost", "ip6-loopback", "wpad", "isatap"})


def printable(text: str) -> str:
    """
    `text` in one line that a terminal only shows: what could steer it, hide or turn round what follows is "?".

    Source: Unicode's categories Cc, Cf, Cs, Co, Cn, Zl and Zp, as str.isprintable has them.
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def is_dns_name(text: str) -> bool:
    """Whether it has the form of a DNS name in small letters, whatever it may mean."""
    return _NAME.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """
    Whether programs take it for an IPv4 address, in one of the ways to write one: 10.73.0.3, 0x7f.1, 2130706433.

    Source: URL Standard (WHATWG) section 3.5, "ends in a number"; inet_aton(3).
    """
    return _NUMBER.fullmatch(text.lower().removesuffix(".").rpartition(".")[2]) is not None


def is_machine(text: str) -> bool:
    """
    Whether a machine of a network may show itself under this name: a DNS name in small letters, and no address.

    A number without a dot may: nothing that we do with a name takes it for an address, and there may be such machines.
    """
    return len(text) <= LONGEST_NAME and is_dns_name(text) and (text.isdigit() or not is_number(text))


def is_occupied(text: str) -> bool:
    """Whether it means something on every machine already."""
    labels = text.lower().removesuffix(".").split(".")
    return labels[-1] in _OCCUPIED or labels[0] in _OCCUPIED


def same_name(one: str, other: str) -> bool:
    """Whether two names are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
