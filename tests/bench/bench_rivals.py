"""
The data path beside its rivals: TCP, small packets, echoes, processor and memory, one tunnel after the other.

    python -m tests.bench.bench_rivals [bulk packets echo] [--rounds 3] [--seconds 3]

Two namespaces and a bare cable, a process a side; all contenders in turn in each round (morphnet/lab/rivals.py says how
each is started), so that a ratio holds when the machine's speed drifts. Packets are sent without segmentation offload.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median

from morphnet.lab import gauge
from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.rivals import Contender, Ways, contenders, open_tunnel
from morphnet.lab.topologies import direct
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell

CABLE, OURS = "bare cable", ("morphnet", "morphnet, pure")
# (case, of ours, rival): the ratio that it must reach, or must not exceed where less is better; issue 3
WANTED: dict[tuple[str, str, str], float] = {
    ("TCP down", "morphnet", "wireguard-go"): 12.0,
    ("TCP up", "morphnet", "wireguard-go"): 12.0,
    ("TCP down", "morphnet, pure", "wireguard-go"): 5.5,
    ("TCP up", "morphnet, pure", "wireguard-go"): 5.5,
    ("TCP down", "morphnet", "OpenVPN"): 8.0,
    ("TCP up", "morphnet", "OpenVPN"): 8.0,
    ("TCP down", "morphnet, pure", "OpenVPN"): 3.8,
    ("TCP up", "morphnet, pure", "OpenVPN"): 3.8,
    ("1200-byte packets", "morphnet", "wireguard-go"): 1.0,
    ("1200-byte packets", "morphnet, pure", "OpenVPN"): 1.5,
    ("added round trip", "morphnet", "wireguard-go"): 1.0,
}
UNITS = {"TCP": "Gbit/s", "processor": "s/GB", "memory": "MB", "64": "packets/s", "1200": "packets/s", "added": "ms"}
LESS = ("processor", "memory", "added")
Rounds = dict[tuple[str, str], list[float]]  # (case, contender) -> what each round gave


def bulk(box: Box, ways: Ways, seconds: float) -> Iterator[tuple[str, float]]:
    """TCP both ways, one stream and sixteen, what it costs, and how much memory."""
    down, up = (gauge.bulk(box, ways, direction, seconds) for direction in ("down", "up"))
    yield "TCP down", down.rate / 1e9
    yield "TCP up", up.rate / 1e9
    yield "processor, TCP down", down.per_gigabyte
    yield "processor, TCP up", up.per_gigabyte
    many = gauge.bulk(box, ways, "down", seconds, 16)
    yield "TCP down, 16 streams", many.rate / 1e9
    if ways.pids:
        yield "memory of the client", many.memory / 1e6


def packets(box: Box, ways: Ways, seconds: float) -> Iterator[tuple[str, float]]:
    """UDP at under 1 % loss."""
    for size in (1200, 64):
        yield f"{size}-byte packets", gauge.packets(box, ways, size)


def echo(box: Box, ways: Ways, seconds: float) -> Iterator[tuple[str, float]]:
    """Round trips on an idle tunnel."""
    yield "round trip", gauge.round_trip(box, ways) * 1000


BENCHES: dict[str, Callable[[Box, Ways, float], Iterator[tuple[str, float]]]] = {
    "bulk": bulk,
    "packets": packets,
    "echo": echo,
}


def measure(names: list[str], rounds: int, seconds: float) -> Rounds:
    """Every contender in turn, as often as asked for."""
    there, found = list[Contender](), defaultdict[tuple[str, str], list[float]](list)
    for contender in contenders():
        absent = contender.absent()
        if absent:
            print(f"bench_rivals: {absent}", file=sys.stderr)
        else:
            there.append(contender)
    for number in range(rounds):
        for contender in there:
            with Box(direct(v6=False)) as box, open_tunnel(contender, box) as ways:
                for name in names:
                    for case, value in BENCHES[name](box, ways, seconds):
                        found[case, contender.name].append(value)
                        print(f"round {number + 1}: {contender.name}, {case}: {value:.3f}", file=sys.stderr, flush=True)
    for name in {name for case, name in found if case == "round trip"} - {CABLE}:
        bare = found["round trip", CABLE]
        found["added round trip", name] = [
            ours - theirs for ours, theirs in zip(found["round trip", name], bare, strict=True)
        ]
    return found


def told(found: Rounds) -> Iterator[Measured]:
    """Each of ours beside each rival, as one line a case."""
    for (case, name), rounds in sorted(found.items()):
        if name not in OURS:
            continue
        rivals = [rival for other, rival in found if other == case and rival not in OURS]
        unit = next((unit for start, unit in UNITS.items() if case.startswith(start)), "ms")
        better = "less" if case.startswith(LESS) else "more"
        for rival in rivals or [""]:
            theirs = found.get((case, rival))
            wanted = WANTED.get((case, name, rival))
            value = middle(rounds, 3)
            yield Measured(
                "rivals",
                f"{name}: {case}",
                value,
                unit,
                round(wanted * median(theirs), 3) if wanted and theirs else None,
                "less" if better == "less" else "more",
                rival,
                middle(theirs, 3) if theirs else None,
                tuple(round(each, 3) for each in rounds),
            )


def main() -> int:
    """Run what was asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_rivals")
    parser.add_argument("names", nargs="*", metavar="WHAT", help=", ".join(BENCHES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load of TCP")
    options = parser.parse_args()
    if why_not():
        print(f"bench_rivals: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_rivals")
    broken = 0
    for measured in told(measure(options.names or list(BENCHES), options.rounds, options.seconds)):
        tell(measured)
        broken += measured.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
