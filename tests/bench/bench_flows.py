"""
Small packets of many flows: what a tunnel takes when hardly two packets that follow each other are of one flow.

    python -m tests.bench.bench_flows [--rounds 3] [--flows 1 10 100 1000 10000] [--rate 100000] [--seconds 2]

So many packets of 64 bytes a second are offered from the client to the server, in turn among so many flows; what
arrives is told, and what a packet costs each end. Every contender in turn in each round, as in `bench_rivals`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Literal

from morphnet.lab import gauge
from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.rivals import Contender, open_tunnel
from morphnet.lab.topologies import direct
from tests.bench.measured import CANNOT, Measured, enter_lab, middle
from tests.bench.turns import in_turn, verdict

SIZE = 64  # bytes
SETTLED = 2.0  # seconds after which a tunnel that has just come up has found its size
OURS = "morphnet", "morphnet, pure"
Reading = tuple[float, float]  # packets a second that arrive, and microseconds of processor a packet and end
Rounds = dict[tuple[str, int], list[Reading]]


def worked(pid: int) -> float:
    """Seconds of processor that a process has had."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def readings(contender: Contender, options: argparse.Namespace) -> Iterator[tuple[int, Reading]]:
    """By the number of flows."""
    with Box(direct(v6=False)) as box, open_tunnel(contender, box) as ways:
        time.sleep(SETTLED)
        for flows in options.flows:
            before = sum(map(worked, ways.pids))
            _, arrived = gauge.offered(box, ways, SIZE, options.rate, options.seconds, flows)
            spent = (sum(map(worked, ways.pids)) - before) / len(ways.pids)
            yield flows, (arrived, spent / max(1, arrived * options.seconds) * 1e6)


def told(found: Rounds) -> Iterator[Measured]:
    """Ours beside the best of the rivals at each number of flows."""
    rivals = {name for name, _ in found} - set(OURS)
    for (name, flows), rounds in found.items():
        if name not in OURS or not rivals:
            continue
        best = max(rivals, key=lambda rival: median([each[0] for each in found[rival, flows]]))
        for place, (what, unit, digits) in enumerate((("arrive", "packets/s", 0), ("processor", "us", 1))):
            ours = [each[place] for each in rounds]
            theirs = middle([each[place] for each in found[best, flows]], digits)
            wanted = theirs if name == OURS[0] and not place else None
            case, each_round = f"{name}: {flows} flows, {what}", tuple(round(each, digits) for each in ours)
            better: Literal["more", "less"] = "less" if place else "more"
            yield Measured("flows", case, middle(ours, digits), unit, wanted, better, best, theirs, each_round)


def main() -> int:
    """1 when a rival is better."""
    parser = argparse.ArgumentParser(prog="bench_flows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flows", type=int, nargs="+", default=[1, 10, 100, 1000, 10000])
    parser.add_argument("--rate", type=float, default=100e3, help="packets a second")
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    if why_not():
        print(f"bench_flows: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_flows")
    found: Rounds = defaultdict(list)
    for contender in in_turn(options.rounds):
        for flows, reading in readings(contender, options):
            found[contender.name, flows].append(reading)
    return verdict(told(found))


if __name__ == "__main__":
    sys.exit(main())
