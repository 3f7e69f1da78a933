"""`morphnet bench`: what this machine can do, beside the tunnels that are installed on it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from morphnet.errors import HostError
from morphnet.lab.enter import why_not
from morphnet.lab.race import LOADS, Case, Reading, race
from morphnet.lab.rivals import Contender, contenders
from morphnet.lab.vpn import NotInTime

_ENTERED = "MORPHNET_BENCH_ENTERED"


@click.command()
@click.argument("loads", nargs=-1, metavar="[WHAT]...")
@click.option("--only", multiple=True, metavar="NAME", help='One tunnel, as "morphnet"; may be given again.')
@click.option("--rounds", type=click.IntRange(1, 100), default=1, show_default=True, help="All in turn, so many times.")
@click.option("--seconds", type=click.FloatRange(0.5, 60), default=3.0, show_default=True, help="Of each load of TCP.")
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line, for machines.")
def bench(loads: tuple[str, ...], only: tuple[str, ...], rounds: int, seconds: float, as_lines: bool) -> None:
    """
    How fast the data path is on this machine, in a network in a box; nothing outside of it is touched.

    WHAT is bulk (TCP, processor, memory), packets (small UDP packets at under 1 % loss) or echo (round trips); all of
    them when none is named. Other tunnels that are installed here (wireguard-go, OpenVPN, nebula) run beside it, in
    turn, and so does the bare cable.
    """
    chosen = _loads(loads)
    entered = list(_contenders(only))
    reason = why_not()
    if reason:
        raise HostError(reason)
    if not os.environ.get(_ENTERED):
        os.environ[_ENTERED] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "morphnet.lab.enter", "--", sys.executable, *sys.argv])
    readings = list[Reading]()
    try:
        for reading in race(entered, chosen, rounds=rounds, seconds=seconds):
            readings.append(reading)
            if not as_lines:
                click.echo(f"{reading.contender}, {reading.case.name}: {number(reading.value)}", err=True)
    except NotInTime as late:
        raise HostError(f"the measurement stopped: {late}") from None
    if as_lines:
        for line in lines(readings):
            click.echo(json.dumps(line))
    else:
        Console(highlight=False).print(table(readings))


def _loads(names: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name not in LOADS]
    if unknown:
        raise click.UsageError(f"there is no {unknown[0]!r} to measure: take {', '.join(LOADS)}")
    return list(names or LOADS)


def _contenders(only: Sequence[str]) -> Iterator[Contender]:
    known = {contender.name: contender for contender in contenders()}
    for name in only:
        if name not in known:
            raise click.UsageError(f"no tunnel is called {name!r}: take {', '.join(map(repr, known))}")
        absent = known[name].absent()
        if absent:
            raise HostError(absent)
    for name, contender in known.items():
        if contender.absent() is None and (not only or name in only):
            yield contender


def number(value: float) -> str:
    """Three digits that count, and no more."""
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def by_case(readings: Sequence[Reading]) -> dict[Case, dict[str, list[float]]]:
    """What each contender gave in each case, round by round, in the order of measuring."""
    found: dict[Case, dict[str, list[float]]] = {}
    for reading in readings:
        found.setdefault(reading.case, {}).setdefault(reading.contender, []).append(reading.value)
    return found


def table(readings: Sequence[Reading]) -> Table:
    """A row for each case, a column for each contender: medians."""
    found = by_case(readings)
    names = list(dict.fromkeys(reading.contender for reading in readings))
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    drawn.add_column("")
    for name in names:
        drawn.add_column(name, justify="right")
    for case, values in found.items():
        cells = [number(median(values[name])) if name in values else "-" for name in names]
        drawn.add_row(f"{case.name}, {case.unit}", *cells)
    return drawn


def lines(readings: Sequence[Reading]) -> Iterator[dict[str, object]]:
    """One for each case and contender, with the ratio to ours where both were measured."""
    for case, values in by_case(readings).items():
        ours = values.get("morphnet")
        for name, rounds in values.items():
            value = median(rounds)
            yield {
                "case": case.name,
                "unit": case.unit,
                "better": case.better,
                "tunnel": name,
                "value": round(value, 4),
                "rounds": [round(each, 4) for each in rounds],
                "ratio": round(median(ours) / value, 3) if ours and value else None,
            }
