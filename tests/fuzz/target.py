"""One parser of bytes that somebody else wrote, as a function of these bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Reads = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """One parser."""

    name: str
    read: Reads
    declared: tuple[type[Exception], ...]  # what it may raise; anything else is a fault
    seeds: tuple[bytes, ...]  # good inputs: to begin with, and the proof that `read` reaches the parser
    covers: tuple[str, ...] = ()  # the functions of `wire` and `tunnel` that it is about


def of_text(read: Callable[[str], object]) -> Reads:
    """For a parser of text."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))
