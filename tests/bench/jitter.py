"""
Uplinks that jitter: one, beside a bare TCP that has the same wire in turn; two bonded, as a share of the ceiling.

    20M/jitter50ms/ordered/down/one     packets behind a late one wait for it, as in most radio links
    20M/jitter50ms/loose/down/two       packets overtake each other

Both directions of each wire jitter. An echo runs beside the tunnel's stream.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from morphnet.config.roles import Tuning
from morphnet.lab.topologies import SERVER, Uplink, Way
from morphnet.lab.vpn import INNER_SERVER, last_line
from tests.bench.measured import Measured
from tests.lab.bonded import DIRECTIONS, TCP_PAYLOAD, Bonded, after, ceiling

FIGURE = "jitter"
DELAY = 0.010  # seconds one way, without jitter
SECONDS, RAMP = 16.0, 6.0  # of a load, and of these not counted
ONE, TWO = 90.0, 85.0  # % of the bare TCP, and of the ceiling
ECHO_EVERY = 0.02  # seconds
RATES, JITTERS = (20, 100), (10, 20, 50, 100)  # Mbit/s, ms
COUNTS = {"one": 1, "two": 2}
_NAME = re.compile(
    r"(?P<rate>\d+)M/jitter(?P<jitter>\d+)ms/(?P<order>ordered|loose)/(?P<direction>down|up)/(?P<count>one|two)"
)


@dataclass(frozen=True)
class Jittery:
    """Uplinks of one kind, and the direction of the load."""

    rate: int  # Mbit/s of each
    jitter: int  # ms: each packet takes 0 to this longer
    order: str  # "ordered" or "loose"
    direction: str
    count: str  # "one" or "two"

    @property
    def name(self) -> str:
        """As it is asked for."""
        return f"{self.rate}M/jitter{self.jitter}ms/{self.order}/{self.direction}/{self.count}"

    def uplinks(self) -> list[Uplink]:
        """Their wires."""
        more: dict[str, Any] = {"jitter": self.jitter / 1000, "jitter_reorders": self.order == "loose"}
        way = Way(DELAY, self.rate * 1e6, more=more)
        return [Uplink(way, way)] * COUNTS[self.count]

    @property
    def echo_within(self) -> float:
        """Milliseconds that an echo may take: both ways there and back, and the queue that the tunnel may have."""
        return 2 * 1000 * DELAY + 2 * self.jitter + Tuning().queue_ms


def jittery(name: str) -> Jittery | None:
    """The case of that name, if it is one."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    rate, jitter = int(found["rate"]), int(found["jitter"])
    return Jittery(rate, jitter, found["order"], found["direction"], found["count"])


def jitters() -> Iterator[Jittery]:
    """All of them."""
    for rate, jitter, order, direction, count in product(RATES, JITTERS, ("ordered", "loose"), DIRECTIONS, COUNTS):
        yield Jittery(rate, jitter, order, direction, count)


def measure(case: Jittery) -> Iterator[Measured]:
    """
    Its figures.

    :raises NotInTime: a load stood still.
    """
    with Bonded(case.uplinks()) as tunnel:
        running: list[subprocess.Popen[Any]] = []

        def begin(at: float) -> None:
            if at >= RAMP and not running:
                words = ("--count", str(round((SECONDS - RAMP - 1) / ECHO_EVERY)), "--interval", str(ECHO_EVERY))
                running.append(tunnel.tool("client", "morphnet.lab.ping", INNER_SERVER, *words))

        rate = after(tunnel.tcp(case.direction, SECONDS, watch=begin), RAMP)
        echo = last_line(running[0], 20)["rtt_ms"]
        share = 100 * rate / ceiling([case.rate * 1e6] * tunnel.count, TCP_PAYLOAD)
        if case.count == "one":
            bare = after(tunnel.streams(case.direction, SECONDS, 1, SERVER), RAMP)
            yield Measured(FIGURE, f"{case.name}, bare TCP", round(bare, 2), "Mbit/s")
            of_bare = round(100 * rate / bare, 1)
            yield Measured(FIGURE, f"{case.name}, of the bare TCP", of_bare, "%", ONE)
        wanted = TWO if case.count == "two" else None
        yield Measured(FIGURE, f"{case.name}, of the ceiling", round(share, 1), "%", wanted)
        yield Measured(FIGURE, f"{case.name}, echo p95", round(echo["p95"], 1), "ms", case.echo_within, "less")
