"""
A busy machine: many clients of one server at once, and one tunnel beside loops that only burn the processor.

    python -m tests.bench.bench_busy [--clients N ...] [--loops N ...] [--seconds 8] [--check]

Clients: so many, each a process of its own with one TCP stream to the server, all on this machine; the sum of their
rates, and the processors that server and clients took.

Loops: one tunnel and its stream alone, then beside so many loops (SCHED_OTHER, nice 0, started in the same session as
the tunnel, for the scheduler divides by sessions first). What the tunnel carries beside them is compared with what it
carries alone for each second of processor that its two processes get: `of its share` is rate / rate alone, divided by
processor / processor alone. 1 means that it does as much with the time that it gets; less, that it wastes some. `of
the fair` is the same against the time that is due to it: with L loops, its two processes and the two ends of the stream
on P processors, P / (L + 4) for each of the two, but no more than it took alone. A tunnel that gives up takes less than
it is due, and only the second one shows that.

On a machine that does other things as well, all values are those of what is left.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.streams import EVERY
from morphnet.lab.vpn import NotInTime
from tests.bench.market import Market, Spent, market
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell

CLIENTS, LOOPS = (1, 10, 20, 40, 100), (4, 16, 64)
WANTED = {40: 1.0, 100: 0.4}  # Gbit/s of so many clients together
SHARE = 0.7
SETTLE = 4.0  # seconds
ENDS = 4  # processes of one tunnel that want a processor: client, server, and both ends of the stream


class Load(NamedTuple):
    """What was carried in a while."""

    rate: float  # Gbit/s
    server: float  # processors that it took
    clients: float
    waited: float  # seconds in each that the server was ready, and did not run


def measure(there: Market, lines: Iterator[dict[str, Any]], seconds: float) -> Load:
    """After a while in which it settles."""
    for _ in range(round(SETTLE / EVERY)):
        next(lines)
    before, began = (Spent.by(there.server), Spent.by(there.callers)), time.monotonic()
    rates = [next(lines)["mbit_s"] for _ in range(round(seconds / EVERY))]
    passed = time.monotonic() - began
    server, clients = Spent.by(there.server).since(before[0]), Spent.by(there.callers).since(before[1])
    return Load(middle(rates, 3) / 1000, server.ran / passed, clients.ran / passed, server.waited / passed)


def crowded(count: int, seconds: float) -> Iterator[Measured]:
    """So many clients at once."""
    with Box(market(count)) as box:
        there = Market(box, count)
        with there.sending() as lines:
            load = measure(there, lines, seconds)
        figures = {"server": load.server, "clients": load.clients, "server ready, not running": load.waited}
        yield Measured("busy", f"{count} clients, all together", round(load.rate, 3), "Gbit/s", WANTED.get(count))
        for what, value in figures.items():
            yield Measured("busy", f"{count} clients, {what}", round(value, 2), "processors")
        yield Measured("busy", f"{count} clients, fell silent", there.silences(), "times", 0, "less")
        there.stop()


@contextmanager
def burning(loops: int) -> Iterator[None]:
    """So many processes that do nothing, as fast as they can."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def beside(counts: list[int], seconds: float) -> Iterator[Measured]:
    """One tunnel, alone and beside loops."""
    with Box(market(1)) as box:
        there = Market(box, 1)
        with there.sending() as lines:
            alone = measure(there, lines, seconds)
            yield Measured("busy", "0 loops", round(alone.rate, 3), "Gbit/s")
            for loops in counts:
                silent = there.silences()
                with burning(loops):
                    load = measure(there, lines, seconds)
                yield from _told(loops, load, alone, there.silences() - silent)
        there.stop()


def _told(loops: int, load: Load, alone: Load, silent: int) -> Iterator[Measured]:
    took, took_alone = load.server + load.clients, alone.server + alone.clients
    each = (os.cpu_count() or 1) / (loops + ENDS)
    due = min(each, alone.server) + min(each, alone.clients)
    kept = load.rate / alone.rate
    yield Measured("busy", f"{loops} loops", round(load.rate, 3), "Gbit/s")
    yield Measured("busy", f"{loops} loops, tunnel took", round(took, 3), "processors")
    yield Measured("busy", f"{loops} loops, tunnel is due", round(due, 3), "processors")
    yield Measured("busy", f"{loops} loops, of its share", round(kept * took_alone / took, 2), "of 1", SHARE)
    yield Measured("busy", f"{loops} loops, of the fair", round(kept * took_alone / due, 2), "of 1", SHARE)
    yield Measured("busy", f"{loops} loops, fell silent", silent, "times", 0, "less")


def main() -> int:
    """Run what was asked for; with --check, 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_busy")
    parser.add_argument("--clients", nargs="*", type=int, default=list(CLIENTS), metavar="N")
    parser.add_argument("--loops", nargs="*", type=int, default=list(LOOPS), metavar="N")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--check", action="store_true", help="end with 1 when a figure is short")
    options = parser.parse_args()
    if why_not():
        print(f"bench_busy: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_busy")
    parts = [beside(options.loops, options.seconds)] if options.loops else []
    parts += [crowded(count, options.seconds) for count in options.clients]
    broken = 0
    for part in parts:
        try:
            for measured in part:
                tell(measured)
                broken += measured.kept is False
        except NotInTime as late:
            print(f"bench_busy: {late}", file=sys.stderr)
            broken += 1
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
