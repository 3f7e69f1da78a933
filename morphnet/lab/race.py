"""
Tunnels in turn through the same loads, round after round, so that a ratio holds when the machine's speed drifts.

    for reading in race(contenders(), ["bulk", "echo"], rounds=3, seconds=3.0): ...

Two namespaces and a bare cable between them, a process a side. lab/rivals says how each tunnel is started, lab/gauge
how each load is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from morphnet.lab import gauge
from morphnet.lab.box import Box
from morphnet.lab.rivals import Contender, Ways, open_tunnel
from morphnet.lab.topologies import direct

GIGA, MEGA = 1e9, 1e6


@dataclass(frozen=True)
class Case:
    """What is measured."""

    name: str  # as "TCP down"
    unit: str
    better: Literal["more", "less"] = "more"


@dataclass(frozen=True)
class Reading:
    """One measured value of one tunnel."""

    contender: str
    case: Case
    value: float


DOWN, UP = Case("TCP down", "Gbit/s"), Case("TCP up", "Gbit/s")
COST_DOWN, COST_UP = (Case(f"processor, TCP {way}", "s/GB", "less") for way in ("down", "up"))
MANY = Case("TCP down, 16 streams", "Gbit/s")
MEMORY = Case("memory of the client", "MB", "less")
LARGE, SMALL = Case("1200-byte packets", "packets/s"), Case("64-byte packets", "packets/s")
ECHO = Case("round trip", "ms", "less")


def _bulk(box: Box, ways: Ways, seconds: float) -> Iterator[tuple[Case, float]]:
    """TCP both ways, one stream and sixteen, what it costs, and how much memory."""
    down = gauge.bulk(box, ways, "down", seconds)
    yield DOWN, down.rate / GIGA
    yield COST_DOWN, down.per_gigabyte
    up = gauge.bulk(box, ways, "up", seconds)
    yield UP, up.rate / GIGA
    yield COST_UP, up.per_gigabyte
    yield MANY, gauge.bulk(box, ways, "down", seconds, 16).rate / GIGA
    if ways.pids:
        yield MEMORY, gauge.most_resident(ways.pids[0]) / MEGA


def _packets(box: Box, ways: Ways, seconds: float) -> Iterator[tuple[Case, float]]:
    """UDP at under 1 % loss, each packet on its own."""
    yield LARGE, gauge.packets(box, ways, 1200)
    yield SMALL, gauge.packets(box, ways, 64)


def _echo(box: Box, ways: Ways, seconds: float) -> Iterator[tuple[Case, float]]:
    """Round trips on an idle tunnel."""
    yield ECHO, gauge.round_trip(box, ways) * 1000


LOADS: dict[str, Callable[[Box, Ways, float], Iterator[tuple[Case, float]]]] = {
    "bulk": _bulk,
    "packets": _packets,
    "echo": _echo,
}


def race(
    contenders: Iterable[Contender], loads: Sequence[str], *, rounds: int = 1, seconds: float = 3.0
) -> Iterator[Reading]:
    """
    Every contender through every load, as often as asked for; each reading as soon as there is one.

    :param loads: names in LOADS.
    :param seconds: that each load of TCP lasts.
    :raises NotInTime: a tunnel does not come up, or lets nothing through.
    """
    entered = tuple(contenders)
    for _ in range(rounds):
        for contender in entered:
            with Box(direct(v6=False)) as box, open_tunnel(contender, box) as ways:
                for load in loads:
                    for case, value in LOADS[load](box, ways, seconds):
                        yield Reading(contender.name, case, value)
