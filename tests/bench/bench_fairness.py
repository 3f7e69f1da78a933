"""
A tunnel beside somebody else on one bottleneck: who gets how much, how soon, and how soon it is all ours again.

    python -m tests.bench.bench_fairness [CASE ...] [--quick] [--only NAME] [--check] [--realtime] [--list]

A case is a name or a pattern, as "100M/20ms/q100ms/down/1cubic", "*/codel/*/1bbr", "20M/jitter*"; --list has those that
are known. Any other of the same form will do: rate, RTT, queue (q100ms, 4bdp, codel), direction, who is beside (so many
streams of cubic, bbr or reno, or of another `tunnel`), and, if need be, the streams in the tunnel ("/4inner"), and that
it comes second ("/late"). Without a name, a home with one other download in it. --quick: few that tell most.

Each runs half a minute (see tests/bench/contest.py) for morphnet, for wireguard-go if it is here, and for plain TCP
(the "bare cable") in the tunnel's place; --only NAME, once or more, leaves out the others. What jitters is in
tests/bench/jitter.py. A table goes to stderr, values and curves of rates over time to stdout. With --check it ends with
1 when a figure of morphnet's is short.

On a machine that does other things, --realtime lets everything in the contest go first, else it is the wait for a
processor that is measured. A wire that took more than BUSY of a processor, or was LATE, is told in the last column: it
was no fair network then. 500 Mbit/s is the most that a machine with two processors carries: one plain TCP stream gets
92 % of it there at an RTT of 20 ms, 82 % at 40.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from morphnet.errors import ConfigError
from morphnet.lab.enter import why_not
from morphnet.lab.rivals import Contender, contenders
from morphnet.lab.vpn import NotInTime
from tests.bench.cases import Case, chosen, known
from tests.bench.contest import EFFICIENCY, EVERY, Outcome, contest
from tests.bench.jitter import Jittery, measure
from tests.bench.measured import CANNOT, Measured, enter_lab, tell

OURS, PLAIN = "morphnet", "bare cable"
DEFAULT = (OURS, "wireguard-go", PLAIN)
FIGURE = "fairness"
SHARE, LEFT = 0.8, 0.5  # of the fair share: ours at least, and the others'
TWINS = 0.8  # of the fair share, of each of two tunnels: 0.4 to 0.6 of it all
WITHIN = 5.0  # seconds until the fair share is reached
BACK = {(100, 20): 3.0}  # (Mbit/s, ms of RTT): seconds until all is back
BUSY, LATE = 0.8, 0.010  # processors that the wire takes, seconds it is late: more, and it is the wire that is measured
NEVER = 99.0  # seconds, told instead of "never"
UNITS = {"alone": "%", "share": "of fair", "others": "of fair", "reached": "s", "back": "s", "echo alone": "ms"}
HEAD = (
    f"{'case':<38} {'who':<13} {'alone':>6} {'beside':>7} {'others':>7} {'reached':>8} {'back':>8} "
    f"{'lost':>6} {'echo alone/beside':>18} {'wire':>5}"
)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def row(outcome: Outcome) -> str:
    """A line of the table; `beside` and `others` are shares of what would be fair."""
    busy = outcome.wire["processors"] > BUSY or outcome.wire["late"] > LATE
    late = f" late {1000 * outcome.wire['late']:.0f} ms" if busy else ""
    echoes = " / ".join(f"{each:.0f}" for each in outcome.echoes) + " ms"
    return (
        f"{outcome.case.name:<38} {outcome.contender:<13} {outcome.alone:6.1%} "
        f"{outcome.beside:7.2f} {outcome.left:7.2f} "
        f"{_seconds(outcome.reached):>8} {_seconds(outcome.recovered):>8} {outcome.lost:6.2%} {echoes:>18} "
        f"{outcome.wire['processors']:5.2f}{late}"
    )


def curves(outcome: Outcome) -> str:
    """Rates over time, in shares of the bottleneck, as a line of JSON."""
    told = {"curves": outcome.case.name, "who": outcome.contender, "every": EVERY, "wire": outcome.wire}
    rounded = {name: [round(each, 4) for each in getattr(outcome, name)] for name in ("ours", "theirs")}
    return json.dumps(told | rounded)


def found(outcome: Outcome) -> dict[str, float]:
    """What it came to, by name as in UNITS."""
    return {
        "alone": round(100 * outcome.alone, 1),
        "share": round(outcome.beside, 2),
        "others": round(outcome.left, 2),
        "reached": NEVER if outcome.reached is None else outcome.reached,
        "back": NEVER if outcome.recovered is None else outcome.recovered,
        "echo alone": outcome.echoes[0],
    }


def promised(case: Case) -> dict[str, float]:
    """What a case must come to; the names of times are those of the most that they may be."""
    echo = {} if case.late else {"echo alone": 2.0 * case.rtt + 20}
    back = {"back": BACK[case.rate, case.rtt]} if (case.rate, case.rtt) in BACK and not case.late else {}
    if case.tunnels:
        return {"share": TWINS, "others": TWINS, **back, **echo}
    return {"share": SHARE if case.streams == 1 else 1.0, "others": LEFT, "reached": WITHIN, **back, **echo}


def values(outcome: Outcome, rivals: Sequence[Outcome]) -> Iterator[Measured]:
    """What it comes to, each beside what everybody else in the tunnel's place came to."""
    promises = promised(outcome.case)
    for what, value in found(outcome).items():
        better: Literal["more", "less"] = "more" if UNITS[what] in ("%", "of fair") else "less"
        line = Measured(FIGURE, f"{outcome.case.name}, {what}", value, UNITS[what], promises.get(what), better)
        yield from [replace(line, rival=each.contender, rival_value=found(each)[what]) for each in rivals] or [line]


def run(case: Case, there: Sequence[Contender]) -> Iterator[Measured]:
    """
    Everybody in turn; a rival that does not come up is told and left out.

    :raises NotInTime: morphnet does not come up.
    """
    outcomes = list[Outcome]()
    for contender in there:
        if case.tunnels and contender.name != OURS:
            continue
        try:
            outcomes.append(contest(case, contender))
        except NotInTime as late:
            if contender.name == OURS:
                raise
            print(f"bench_fairness: {case.name}, {contender.name}: {late}", file=sys.stderr)
            continue
        print(row(outcomes[-1]), file=sys.stderr, flush=True)
        print(curves(outcomes[-1]), flush=True)
    rivals = [outcome for outcome in outcomes if outcome.contender != OURS]
    for outcome in outcomes:
        if outcome.contender == OURS:
            yield from values(outcome, rivals)


def run_all(cases: Sequence[Case | Jittery], there: Sequence[Contender]) -> Iterator[str]:
    """Every case; what is short, once each."""
    print(HEAD, file=sys.stderr)
    for case in cases:
        short = dict[str, None]()
        try:
            for line in measure(case) if isinstance(case, Jittery) else run(case, there):
                tell(line)
                if line.kept is False:
                    sign = "least" if line.better == "more" else "most"
                    short[f"{line.case}: {line.value:g} {line.unit}, at {sign} {line.wanted:g}"] = None
        except NotInTime as late:
            short[f"{case.name}: {late}"] = None
        yield from short


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_fairness")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(EFFICIENCY), help="one of them alone")
    parser.add_argument("--check", action="store_true", help="end with 1 when a figure is short")
    parser.add_argument("--realtime", action="store_true", help="before all else that runs on this machine")
    parser.add_argument("--list", action="store_true", help="the cases that are known, and nothing else")
    return parser.parse_args()


def _present(names: Sequence[str]) -> list[Contender]:
    """Those of them that are here; the others are told."""
    asked = [contender for contender in contenders() if contender.name in names]
    for absent in filter(None, (contender.absent() for contender in asked)):
        print(f"bench_fairness: {absent}", file=sys.stderr)
    return [contender for contender in asked if contender.absent() is None]


def main() -> int:
    """Run what was asked for; with --check, 1 when a promise was broken."""
    options = _options()
    if options.list:
        print("\n".join(known()))
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
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # and so all that is started here
        except PermissionError:
            print("bench_fairness: only root may have --realtime", file=sys.stderr)
            return CANNOT
    short = list(run_all(cases, _present(options.only or DEFAULT)))
    print("\n".join(["bench_fairness: short:", *short] if short else ["bench_fairness: all kept"]), file=sys.stderr)
    return 1 if short and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
