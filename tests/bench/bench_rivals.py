"""
The data path beside its rivals: TCP, small packets, echoes, processor and memory, one tunnel after the other.

    python -m tests.bench.bench_rivals [bulk packets echo] [--rounds 3] [--seconds 3]

morphnet/lab/race.py says what is measured, morphnet/lab/rivals.py how each contender is started. Packets are sent
without segmentation offload.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from morphnet.lab.enter import why_not
from morphnet.lab.race import DOWN, ECHO, LARGE, LOADS, MEMORY, UP, Case, Reading, race
from morphnet.lab.rivals import contenders
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell

CABLE, COMPILED, PURE = "bare cable", "morphnet", "morphnet, pure"
WIREGUARD, OPENVPN = "wireguard-go", "OpenVPN"
# (case, of ours, rival): the ratio that it must reach, or must not exceed where less is better
WANTED: dict[tuple[Case, str, str], float] = {
    (DOWN, COMPILED, WIREGUARD): 12.0,
    (UP, COMPILED, WIREGUARD): 12.0,
    (DOWN, PURE, WIREGUARD): 5.5,
    (UP, PURE, WIREGUARD): 5.5,
    (DOWN, COMPILED, OPENVPN): 8.0,
    (UP, COMPILED, OPENVPN): 8.0,
    (DOWN, PURE, OPENVPN): 3.8,
    (UP, PURE, OPENVPN): 3.8,
    (LARGE, COMPILED, WIREGUARD): 1.0,
    (LARGE, PURE, OPENVPN): 1.5,
    (ECHO, COMPILED, WIREGUARD): 1.0,
}
MOST_MEMORY = 80.0  # MB
Rounds = dict[tuple[Case, str], list[float]]  # what each round gave


def told(found: Rounds) -> Iterator[Measured]:
    """Each of ours beside each rival, one line for each pair; the cable is nobody's rival where nothing is promised."""
    for (case, name), rounds in found.items():
        if name not in (COMPILED, PURE):
            continue
        rivals = {rival: theirs for (other, rival), theirs in found.items() if other == case}
        for rival, theirs in rivals.items():
            if rival in (COMPILED, PURE):
                continue
            ratio = WANTED.get((case, name, rival))
            wanted = round(ratio * median(theirs), 3) if ratio else None
            if case == MEMORY:
                wanted = MOST_MEMORY
            told = tuple(round(each, 3) for each in rounds)
            value, beside = middle(rounds, 3), middle(theirs, 3)
            yield Measured("rivals", f"{name}: {case.name}", value, case.unit, wanted, case.better, rival, beside, told)


def measured(readings: Iterator[Reading]) -> Rounds:
    """All readings, each told on stderr as it comes."""
    found = defaultdict[tuple[Case, str], list[float]](list)
    for reading in readings:
        found[reading.case, reading.contender].append(reading.value)
        line = f"{reading.contender}, {reading.case.name}: {reading.value:.3f} {reading.case.unit}"
        print(line, file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Run what was asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_rivals")
    parser.add_argument("names", nargs="*", metavar="WHAT", help=", ".join(LOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load of TCP")
    options = parser.parse_args()
    if why_not():
        print(f"bench_rivals: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_rivals")
    there = [contender for contender in contenders() if contender.absent() is None]
    for absent in filter(None, (contender.absent() for contender in contenders())):
        print(f"bench_rivals: {absent}", file=sys.stderr)
    readings = race(there, options.names or list(LOADS), rounds=options.rounds, seconds=options.seconds)
    broken = 0
    for line in told(measured(readings)):
        tell(line)
        broken += line.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
