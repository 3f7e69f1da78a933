"""
The paths' windows in the seeded simulation: what one TCP stream gets, in virtual time.

    python -m tests.bench.bench_windows [--seeds 3] [--list] [--check] [PATTERN ...]

    beside/20M/40ms/2.5/1cubic/ours    beside others: of the fair share, the queue in round trips, or `codel`
    beside/20M/40ms/2.5/1cubic/theirs  what the others have, of what is fair for them
    late/20M/40ms/2.5/1cubic/ours      the same when the others are there first
    two/20M/40ms/2.5/0s                two tunnels, one so much later: the lesser share, of half of the wire
    unequal/20+2M/20+60ms/1%           of the ceiling of all in the second half of 20 s; the loss is on the last
    unequal/20+2M/20+60ms/1%/first     the same in the first half
    jitter/50ms/ordered/one            of the wire; beside it what bare TCP gets there. `loose`: packets overtake
    jitter/50ms/ordered/two            of the ceiling of both; beside it what bare TCP gets on one wire of both rates

A value of the last four is the mean over the seeds. Without a pattern the quick ones, some minutes; 100 Mbit/s
take minutes each. Neither lab nor root is needed, and the numbers are the same on every machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from statistics import fmean

from morphnet.config.roles import Tuning
from tests.bench.measured import Measured, tell
from tests.inner_tcp import IP_UDP, bulk
from tests.simulation import Link, World
from tests.tunnel.scenes import MBIT
from tests.tunnel.test_beside import beside, late, wire
from tests.tunnel.test_jittery import OUTER, RATE, bare, share
from tests.tunnel.test_two_tunnels import two

FIGURE = "windows"
QUICK = ("late/20M/40ms/2.5/1cubic", "beside/20M/40ms/2.5/1*", "unequal/20+2M/*", "jitter/*")
RATES, WIRES, QUEUES = (10, 20, 100, 500), (10, 40, 100), ("0.5", "1", "2.5", "4", "codel")  # Mbit/s, ms, round trips
OTHERS = ("1cubic", "2cubic", "4cubic", "1bbr", "2bbr", "4bbr")
PROFILES = ("100+100", "100+20", "40+5", "20+2")  # Mbit/s
RTTS = ("10+10", "20+60", "100+10", "10+100")  # ms
JITTERS = (10, 20, 50, 100)  # ms
OURS, THEIRS = 80.0, 50.0  # % of what is fair
ONE, TWO = 90.0, 85.0  # % of the bare TCP, of the ceiling
SOUND, LOSSY = 95.0, 85.0  # % of the ceiling


def cases() -> Iterator[str]:
    """All of them by name, without whose share it is."""
    for way, rate, rtt, queue, others in product(("beside", "late"), RATES, WIRES, QUEUES, OTHERS):
        if way == "beside" or others.endswith("cubic"):
            yield f"{way}/{rate}M/{rtt}ms/{queue}/{others}"
    for rate, rtt, queue, later in product(RATES, WIRES, QUEUES[:-1], (0, 4)):
        yield f"two/{rate}M/{rtt}ms/{queue}/{later}s"
    for rates, rtts, loss in product(PROFILES, RTTS, (0, 1)):
        yield f"unequal/{rates}M/{rtts}ms/{loss}%"
    yield "unequal/20M/100ms/1%"
    for jitter, order, count in product(JITTERS, ("ordered", "loose"), ("one", "two")):
        yield f"jitter/{jitter}ms/{order}/{count}"


def contest(name: str) -> Iterator[Measured]:
    """`beside` or `late`."""
    way, rate, rtt, queue, others = name.split("/")
    seconds, count = float(rtt[:-2]) / 1000, int(others[0])
    codel = queue == "codel"
    link = wire(float(rate[:-1]), seconds, 1 / seconds if codel else float(queue), codel=codel)
    if way == "late":
        ours, theirs = late(link, count)
    else:
        outcome = beside(link, count, bbr=others.endswith("bbr"))
        ours, theirs = outcome.ours, outcome.theirs
    for whose, value, wanted in (("ours", ours, OURS), ("theirs", theirs, THEIRS)):
        yield Measured(FIGURE, f"{name}/{whose}", round(100 * value, 1), "% of fair", wanted)


def tunnels(name: str, seeds: Sequence[int]) -> Iterator[Measured]:
    """`two`."""
    _, rate, rtt, queue, later = name.split("/")
    link = wire(float(rate[:-1]), float(rtt[:-2]) / 1000, float(queue))
    least = [200 * min(two(link, float(later[:-1]), seed)) for seed in seeds]
    yield Measured(FIGURE, name, round(fmean(least), 1), "% of half", OURS)


def unequal(rates: Sequence[float], rtts: Sequence[float], loss: float, seed: int) -> tuple[float, float]:
    """Of the ceiling of uplinks (Mbit/s, seconds), in the first and the second half of 20 s; `loss` is on the last."""
    losses = [0.0] * (len(rates) - 1) + [loss]
    links = [
        Link(rtt / 2, rate * MBIT * (OUTER - IP_UDP) / OUTER, lost, queue=max(0.05, rtt))
        for rate, rtt, lost in zip(rates, rtts, losses, strict=True)
    ]
    world = World([(replace(link), replace(link)) for link in links], Tuning(), seed)
    world.run(1.0)
    (stream,) = bulk(world, 1, up=False)
    world.run(10.0)
    before = stream.arrived
    world.run(10.0)
    ceiling = 10.0 * sum(rates) * MBIT / OUTER
    return before / ceiling, (stream.arrived - before) / ceiling


def profile(name: str, seeds: Sequence[int]) -> Iterator[Measured]:
    """`unequal`."""
    _, rates, rtts, loss = name.split("/")
    each = [float(rate) for rate in rates[:-1].split("+")], [float(rtt) / 1000 for rtt in rtts[:-2].split("+")]
    halves = [unequal(*each, float(loss[:-1]) / 100, seed) for seed in seeds]
    first, value = (round(100 * fmean(half), 1) for half in zip(*halves, strict=True))
    yield Measured(FIGURE, name, value, "% of the ceiling", SOUND if loss == "0%" else LOSSY)
    yield Measured(FIGURE, f"{name}/first", first, "% of the ceiling")


def jitter(name: str, seeds: Sequence[int]) -> Iterator[Measured]:
    """`jitter`."""
    _, most, order, many = name.split("/")
    seconds, ordered, count = float(most[:-2]) / 1000, order == "ordered", 1 if many == "one" else 2
    rounds = [100 * share(count, seconds, seed, keeps_order=ordered) for seed in seeds]
    rival = 100 * fmean(bare(count * RATE, seconds, seed, keeps_order=ordered) for seed in seeds)
    value, rival = round(fmean(rounds), 1), round(rival, 1)
    wanted = TWO if count == 2 else round(ONE / 100 * rival, 1)
    kept = tuple(round(each, 1) for each in rounds)
    yield Measured(FIGURE, name, value, "% of the ceiling", wanted, "more", "bare TCP, one wire", rival, kept)


def measure(name: str, seeds: Sequence[int]) -> Iterator[Measured]:
    """What comes of one case."""
    if name.startswith("unequal/"):
        return profile(name, seeds)
    if name.startswith("two/"):
        return tunnels(name, seeds)
    return jitter(name, seeds) if name.startswith("jitter/") else contest(name)


def main() -> int:
    """Run it; with --check, 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_windows")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="of names of cases (default: the quick ones)")
    parser.add_argument("--seeds", type=int, default=3, help="how many of the simulation, where chance matters")
    parser.add_argument("--list", action="store_true", help="tell the names that match, and do nothing")
    parser.add_argument("--check", action="store_true", help="end with 1 when a figure is short")
    options = parser.parse_args()
    broken = 0
    patterns = options.patterns or ([] if options.list else QUICK)
    for name in cases():
        if patterns and not any(fnmatchcase(name, pattern) for pattern in patterns):
            continue
        if options.list:
            print(name)
            continue
        for measured in measure(name, range(1, 1 + options.seeds)):
            tell(measured)
            broken += measured.kept is False
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
