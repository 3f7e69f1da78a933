"""What a field of a control message may hold. Each check turns a JSON value into ours or raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Field(Protocol):
    """One check."""

    def read(self, value: object) -> object:
        """
        The value as we keep it.

        :raises ValueError: of the wrong type or out of range; the text never repeats the value.
        """
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, both ends included."""

    least: int
    most: int

    def read(self, value: object) -> int:
        """As above."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("not a whole number")
        if not self.least <= value <= self.most:
            raise ValueError(f"not in {self.least} .. {self.most}")
        return value


@dataclass(frozen=True, slots=True)
class Truth:
    """true or false."""

    def read(self, value: object) -> bool:
        """As above."""
        if not isinstance(value, bool):
            raise ValueError("neither true nor false")
        return value


@dataclass(frozen=True, slots=True)
class Real:
    """A number, both ends included; never NaN or infinite."""

    least: float
    most: float

    def read(self, value: object) -> float:
        """As above."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError("not a number")
        if not self.least <= value <= self.most:  # false for NaN as well
            raise ValueError(f"not in {self.least:g} .. {self.most:g}")
        return float(value)


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is all `pattern`, and that `holds`."""

    pattern: re.Pattern[str]
    holds: Callable[[str], bool] | None = None

    def read(self, value: object) -> str:
        """As above."""
        if not isinstance(value, str):
            raise ValueError("not a text")
        if self.pattern.fullmatch(value) is None or (self.holds is not None and not self.holds(value)):
            raise ValueError("not of the right form")
        return value


@dataclass(frozen=True, slots=True)
class Several:
    """A list of at most `most` texts."""

    each: Text
    most: int

    def read(self, value: object) -> tuple[str, ...]:
        """As above."""
        if not isinstance(value, list | tuple):
            raise ValueError("not a list")
        if len(value) > self.most:
            raise ValueError(f"more than {self.most} in the list")
        return tuple(self.each.read(one) for one in value)


@dataclass(frozen=True, slots=True)
class Optionally:
    """Null, or a number."""

    inner: Real

    def read(self, value: object) -> float | None:
        """As above."""
        return None if value is None else self.inner.read(value)


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def is_address(text: str) -> bool:
    """An address of either family."""
    return text != "" and (is_address4(text) or is_address6(text))


def is_address4(text: str) -> bool:
    """An IPv4 address, or nothing."""
    return text == "" or _parses(ipaddress.IPv4Address, text)


def is_address6(text: str) -> bool:
    """An IPv6 address without a zone, or nothing."""
    return text == "" or _parses(ipaddress.IPv6Address, text)


def is_network(text: str) -> bool:
    """A network of either family, in CIDR notation."""
    return _parses(ipaddress.ip_network, text)


def is_interface4(text: str) -> bool:
    """An IPv4 address that a machine may have inside and its prefix length, or nothing."""
    return text == "" or ("/" in text and _parses(ipaddress.IPv4Interface, text) and _is_a_machines(text))


def is_interface6(text: str) -> bool:
    """The same of IPv6."""
    return text == "" or ("/" in text and _parses(ipaddress.IPv6Interface, text) and _is_a_machines(text))


def _is_a_machines(text: str) -> bool:
    """Not one that means the machine itself, nobody, many, or whoever is on the link."""
    address = ipaddress.ip_interface(text).ip
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local)


PEM = Text(re.compile(r"[A-Za-z0-9+/=\r\n -]{1,32768}"))
