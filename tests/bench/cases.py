"""The cases of the benchmark of fairness, each with a name that says all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from morphnet.errors import ConfigError
from morphnet.lab.topologies import Way
from tests.bench.jitter import Jittery, jitters, jittery

RATES, RTTS = (10, 20, 100, 500), (10, 40, 100)  # Mbit/s, ms
QUEUES = ("0.5bdp", "1bdp", "4bdp", "codel")
BESIDE = (1, 2, 4)
CONGESTIONS = ("cubic", "bbr")
CODEL_HOLDS = 1000  # ms: the queue that CoDel keeps short

# 100M/20ms/q100ms/down/1cubic[/4inner][/late]
_NAME = re.compile(
    r"(?P<rate>\d+)M/(?P<rtt>\d+)ms/(?P<queue>codel|q[\d.]+ms|[\d.]+bdp)/(?P<direction>down|up)"
    r"/(?P<beside>\d+)(?P<congestion>cubic|bbr|reno|tunnel)(/(?P<streams>\d+)inner)?(?P<late>/late)?"
)


@dataclass(frozen=True)
class Case:
    """A bottleneck, and who meets at it."""

    rate: int  # Mbit/s
    rtt: int  # ms, without any queue
    queue: str  # "q100ms", "4bdp" or "codel"
    direction: str = "down"
    beside: int = 1  # streams of somebody else
    congestion: str = "cubic"  # of theirs
    streams: int = 1  # in the tunnel
    late: bool = False  # it is the tunnel that comes second

    @property
    def name(self) -> str:
        """As it is asked for."""
        more = f"/{self.streams}inner" if self.streams > 1 else ""
        more += "/late" if self.late else ""
        return f"{self.rate}M/{self.rtt}ms/{self.queue}/{self.direction}/{self.beside}{self.congestion}{more}"

    @property
    def tunnels(self) -> bool:
        """Whether it is another tunnel that is beside ours."""
        return self.congestion == "tunnel"

    def way(self) -> Way:
        """What the wire does, in both directions."""
        more: dict[str, Any] = {"codel": True, "queue_ms": CODEL_HOLDS}
        if self.queue.startswith("q"):
            more = {"queue_ms": float(self.queue[1:-2])}
        elif self.queue.endswith("bdp"):
            more = {"queue_ms": float(self.queue[:-3]) * self.rtt}
        return Way(self.rtt / 2000, self.rate * 1e6, more=more)


def named(name: str) -> Case:
    """
    The case of that name, whether or not it is in the matrix.

    :raises ConfigError: it is no name of a case.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ConfigError(f"{name} is no case; write it as 100M/20ms/q100ms/down/1cubic, or */codel/* for several")
    rate, rtt, beside = int(found["rate"]), int(found["rtt"]), int(found["beside"])
    streams = int(found["streams"] or 1)
    queue, direction = found["queue"], found["direction"]
    return Case(rate, rtt, queue, direction, beside, found["congestion"], streams, bool(found["late"]))


def _both(case: Case) -> tuple[Case, Case]:
    return replace(case, direction="down"), replace(case, direction="up")


# What was measured before the windows knew of others: a home with somebody else in it.
HOME = (
    *_both(Case(100, 20, "q100ms")),
    *_both(Case(20, 40, "q100ms")),
    *_both(Case(100, 20, "q10ms")),
    *_both(Case(100, 20, "q50ms")),
    *_both(Case(100, 20, "q100ms", congestion="bbr")),
)
QUICK: tuple[Case | Jittery, ...] = (
    *_both(Case(100, 20, "q100ms")),
    Case(20, 40, "q100ms"),
    Case(100, 20, "q10ms"),
    Case(100, 20, "q100ms", congestion="bbr"),
    Case(100, 20, "q100ms", beside=4),
    Case(20, 40, "codel"),
    Case(100, 20, "q100ms", late=True),
    Case(100, 20, "q100ms", congestion="tunnel"),
    *(Jittery(20, 50, "ordered", "down", count) for count in ("one", "two")),
)
_MORE = (
    *(Case(100, 40, "1bdp", streams=4, beside=beside) for beside in BESIDE),
    *(Case(100, 40, queue, beside=1, congestion="tunnel") for queue in QUEUES),
    *(Case(100, 40, queue, late=True) for queue in QUEUES),
)


def matrix() -> Iterator[Case]:
    """All of them."""
    for rate, rtt, queue, direction in product(RATES, RTTS, QUEUES, ("down", "up")):
        for beside, congestion in product(BESIDE, CONGESTIONS):
            yield Case(rate, rtt, queue, direction, beside, congestion)
    yield from _MORE


def known() -> dict[str, Case | Jittery]:
    """Every case that a pattern may mean, by name."""
    cases: tuple[Case | Jittery, ...] = (*QUICK, *HOME, *matrix(), *jitters())
    return {case.name: case for case in cases}


def chosen(words: Sequence[str], quick: bool) -> list[Case | Jittery]:
    """
    What was asked for: names, and patterns over all that are known; without any, the home, or the quick ones.

    :raises ConfigError: a word is neither.
    """
    found = list[Case | Jittery]()
    for word in words:
        fits = [case for name, case in known().items() if fnmatchcase(name, word)]
        found += fits or [jittery(word) or named(word)]
    return list(dict.fromkeys(found)) or list(QUICK if quick else HOME)
