"""Tunnels in turn, and what a benchmark of them says at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from morphnet.lab.rivals import Contender, contenders
from tests.bench.measured import Measured, tell

CABLE = "bare cable"  # no tunnel


def in_turn(rounds: int) -> Iterator[Contender]:
    """Every tunnel that is here, one after the other, so often."""
    there = [each for each in contenders() if each.absent() is None and each.name != CABLE]
    for _ in range(rounds):
        yield from there


def verdict(lines: Iterable[Measured]) -> int:
    """Tell them; 1 when a promise was broken."""
    broken = 0
    for line in lines:
        tell(line)
        broken += line.kept is False
    return 1 if broken else 0
