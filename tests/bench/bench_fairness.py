"""
A tunnel beside somebody else on one bottleneck: who gets how much, how soon, and how soon it is all ours again.

    python -m tests.bench.bench_fairness [CASE ...] [--quick] [--only NAME] [--check] [--realtime] [--list]

A case is a name or a pattern, as "100M/20ms/q100ms/down/1cubic", "*/codel/*/1bbr", "500M/*"; --list has those of the
matrix, and any other name of that form will do: rate, RTT, queue (q100ms, 4bdp, codel), direction, who is beside
(so many streams of cubic, bbr or reno, or of another `tunnel`), and, if more than one, the streams in the tunnel
("/4inner"). Without a name, a home with one other download in it. --quick: few that tell most.

Each runs half a minute (see tests/bench/contest.py) for morphnet, for wireguard-go if it is here, and for plain TCP
(the "bare cable") in the tunnel's place; --only NAME, once or more, leaves out the others. A table goes to stderr,
values and curves of rates over time to stdout. With --check it ends with 1 when a figure of morphnet's is short.

On a machine that does other things, --realtime lets everything in the contest go first, else it is the wait for a
processor that is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator

from morphnet.errors import ConfigError
from morphnet.lab.enter import why_not
from morphnet.lab.rivals import Contender, contenders
from morphnet.lab.vpn import NotInTime
from tests.bench.cases import Case, chosen, matrix
from tests.bench.contest import EFFICIENCY, EVERY, Outcome, contest
from tests.bench.measured import CANNOT, Measured, enter_lab, tell

OURS, PLAIN = "morphnet", "bare cable"
DEFAULT = (OURS, "wireguard-go", PLAIN)
FIGURE = "fairness"
SHARE, LEFT = 0.8, 0.5  # of the fair share: ours at least, and the others'
TWINS = (0.8, 1.2)  # of the fair share, beside another tunnel
WITHIN = 5.0  # seconds until the fair share is reached
BACK = {(100, 20): 3.0}  # (Mbit/s, ms of RTT): seconds until all is back
BUSY, LATE = 0.8, 0.010  # processors that the wire takes, seconds it is late: more, and it is the wire that is measured
NEVER = 99.0  # seconds, told instead of "never"
HEAD = (
    f"{'case':<36} {'who':<13} {'alone':>6} {'beside':>7} {'others':>7} {'reached':>8} {'back':>6} "
    f"{'lost':>6} {'wire':>5}"
)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def row(outcome: Outcome) -> str:
    """A line of the table; `beside` and `others` are shares of what would be fair."""
    busy = outcome.wire["processors"] > BUSY or outcome.wire["late"] > LATE
    late = f" late {1000 * outcome.wire['late']:.0f} ms" if busy else ""
    return (
        f"{outcome.case.name:<36} {outcome.contender:<13} {outcome.alone:6.1%} "
        f"{outcome.beside:7.2f} {outcome.left:7.2f} "
        f"{_seconds(outcome.reached):>8} {_seconds(outcome.recovered):>6} {outcome.lost:6.2%} "
        f"{outcome.wire['processors']:5.2f}{late}"
    )


def curves(outcome: Outcome) -> str:
    """Rates over time, in shares of the bottleneck, as a line of JSON."""
    told = {"curves": outcome.case.name, "who": outcome.contender, "every": EVERY, "wire": outcome.wire}
    rounded = {name: [round(each, 4) for each in getattr(outcome, name)] for name in ("ours", "theirs")}
    return json.dumps(told | rounded)


def values(outcome: Outcome, rivals: dict[str, Outcome]) -> Iterator[Measured]:
    """What it comes to, beside what plain TCP comes to in the tunnel's place, or else wireguard-go."""
    case, name = outcome.case, outcome.case.name
    rival = next((each for each in (PLAIN, "wireguard-go") if each in rivals), "")
    theirs = rivals.get(rival)
    least = TWINS[0] if case.tunnels else SHARE if case.streams == 1 else 1.0
    beside = round(theirs.beside, 2) if theirs else None
    yield Measured(FIGURE, f"{name}, share", round(outcome.beside, 2), "of fair", least, "more", rival, beside)
    most = TWINS[0] if case.tunnels else LEFT
    left = round(theirs.left, 2) if theirs else None
    yield Measured(FIGURE, f"{name}, others", round(outcome.left, 2), "of fair", most, "more", rival, left)
    reached = NEVER if outcome.reached is None else outcome.reached
    yield Measured(FIGURE, f"{name}, reached", reached, "s", WITHIN, "less")
    recovered = NEVER if outcome.recovered is None else outcome.recovered
    yield Measured(FIGURE, f"{name}, back", recovered, "s", BACK.get((case.rate, case.rtt)), "less")


def run(case: Case, there: list[Contender]) -> Iterator[Outcome]:
    """Everybody in turn; who does not come up is told and left out."""
    for contender in there:
        if case.tunnels and contender.name != OURS:
            continue
        try:
            outcome = contest(case, contender)
        except NotInTime as late:
            print(f"bench_fairness: {case.name}, {contender.name}: {late}", file=sys.stderr)
            continue
        print(row(outcome), file=sys.stderr, flush=True)
        print(curves(outcome), flush=True)
        yield outcome


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_fairness")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(EFFICIENCY), help="one of them alone")
    parser.add_argument("--check", action="store_true", help="end with 1 when a figure is short")
    parser.add_argument("--realtime", action="store_true", help="before all else that runs on this machine")
    parser.add_argument("--list", action="store_true", help="the cases of the matrix, and nothing else")
    return parser.parse_args()


def main() -> int:
    """Run what was asked for; with --check, 1 when a promise was broken."""
    options = _options()
    if options.list:
        print("\n".join(case.name for case in matrix()))
        return 0
    try:
        cases = chosen(options.cases, options.quick)
    except ConfigError as error:
        print(f"bench_fairness: {error}", file=sys.stderr)
        return 2
    if why_not():
        print(f"bench_fairness: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_fairness")
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # and so all that is started here
    wanted = options.only or DEFAULT
    asked = [contender for contender in contenders() if contender.name in wanted]
    for absent in filter(None, (contender.absent() for contender in asked)):
        print(f"bench_fairness: {absent}", file=sys.stderr)
    there = [contender for contender in asked if contender.absent() is None]
    print(HEAD, file=sys.stderr)
    broken = list[str]()
    for case in cases:
        found = {outcome.contender: outcome for outcome in run(case, there)}
        if OURS not in found:
            broken += [f"{case.name}: not measured"] if OURS in wanted else []
            continue
        for measured in values(found.pop(OURS), found):
            tell(measured)
            broken += [] if measured.kept is not False else [f"{measured.case} {measured.value:g} {measured.unit}"]
    print("\n".join(["bench_fairness: short:", *broken] if broken else ["bench_fairness: all kept"]), file=sys.stderr)
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
