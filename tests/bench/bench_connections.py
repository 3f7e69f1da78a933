"""
TCP by many connections at once: how much passes, what it costs, and how long an echo takes meanwhile.

    python -m tests.bench.bench_connections [--rounds 3] [--connections 1 10 100 1000 10000] [--seconds 4]

So many connections give from the client to the server as fast as TCP lets them, an echo goes through the tunnel every
20 ms, and every contender has its turn in each round, as in `bench_rivals`. The processor is that of the whole machine,
traffic and kernel included: with many connections the kernel's TCP takes much of it, in every tunnel and in none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Literal, NamedTuple

from morphnet.lab import gauge
from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.rivals import Contender, open_tunnel
from morphnet.lab.topologies import direct
from tests.bench.measured import CANNOT, Measured, enter_lab, middle
from tests.bench.turns import in_turn, verdict

SETTLED = 2.0  # seconds after which a tunnel that has just come up has found its size
OURS = "morphnet", "morphnet, pure"
MANY = 1000  # connections from which ours must be TIMES as fast as the best of the others
TIMES = 2.0
ECHO = 5.0  # ms within which half of the echoes must be back, with ours


class Reading(NamedTuple):
    """What one number of connections gave."""

    rate: float  # Gbit/s of payload
    processor: float  # seconds a gigabyte
    echo: float  # ms, the median
    longest: float  # ms


Rounds = dict[tuple[str, int], list[Reading]]
_TOLD: tuple[tuple[str, str, int, Literal["more", "less"]], ...] = (
    ("throughput", "Gbit/s", 3, "more"),
    ("processor", "s/GB", 2, "less"),
    ("round trip meanwhile, p50", "ms", 2, "less"),
    ("round trip meanwhile, longest", "ms", 1, "less"),
)


def readings(contender: Contender, options: argparse.Namespace) -> Iterator[tuple[int, Reading]]:
    """By the number of connections."""
    with Box(direct(v6=False)) as box, open_tunnel(contender, box) as ways:
        time.sleep(SETTLED)
        for connections in options.connections:
            found, echoes = gauge.by_many(box, ways, connections, options.seconds)
            yield connections, Reading(found.rate / 1e9, found.per_gigabyte, echoes.get("p50", 1e3), echoes["max"])


def told(found: Rounds) -> Iterator[Measured]:
    """Ours beside the fastest of the rivals at each number of connections."""
    rivals = {name for name, _ in found} - set(OURS)
    for (name, connections), rounds in found.items():
        if name not in OURS or not rivals:
            continue
        best = max(rivals, key=lambda rival: median([each.rate for each in found[rival, connections]]))
        for place, (what, unit, digits, better) in enumerate(_TOLD):
            theirs = middle([each[place] for each in found[best, connections]], digits)
            wanted = None
            if name == OURS[0] and connections >= MANY:
                wanted = {0: TIMES * theirs, 2: ECHO}.get(place)
            ours = [each[place] for each in rounds]
            case, each_round = f"{name}: {connections} connections, {what}", tuple(round(each, digits) for each in ours)
            yield Measured("connections", case, middle(ours, digits), unit, wanted, better, best, theirs, each_round)


def main() -> int:
    """1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_connections")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 10, 100, 1000, 10000])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", nargs="+", help="names of those that have a turn")
    options = parser.parse_args()
    if why_not():
        print(f"bench_connections: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_connections")
    found: Rounds = defaultdict(list)
    for contender in in_turn(options.rounds):
        if options.only and contender.name not in options.only:
            continue
        for connections, reading in readings(contender, options):
            found[contender.name, connections].append(reading)
    return verdict(told(found))


if __name__ == "__main__":
    sys.exit(main())
