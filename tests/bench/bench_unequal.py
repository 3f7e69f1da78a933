"""
One TCP stream over two unequal uplinks, beside the better of them alone: item 3 of the figures of windows, B10.

    python -m tests.bench.bench_unequal [PATTERN ...] [--seconds 20] [--up] [--list] [--check]

    100+20M/20+60ms/0%    rates and round trips of the two, and what the first loses by chance, both ways
    20+2M/*/1%            all of that kind; --list has the names

Real `twistd` processes in a box. Goodput is counted where it arrives, in the second half of each load: it must have
95 % of the ceiling of both (85 % where something is lost), and no less than 0.95 of what the same stream has by the
better uplink alone, which is measured once for each uplink. Beside it the first half is told, in which TCP finds its
rate.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from statistics import fmean
from typing import NamedTuple

from morphnet.lab.enter import why_not
from morphnet.lab.topologies import Uplink
from morphnet.lab.vpn import NotInTime
from tests.bench.measured import CANNOT, Measured, enter_lab, tell
from tests.lab.bonded import TCP_PAYLOAD, Bonded, ceiling

FIGURE = "unequal"
MBIT = 1e6
RATES = (100, 100), (100, 20), (40, 5), (20, 2)  # Mbit/s
RTTS = (10, 10), (20, 60), (100, 10), (10, 100)  # ms
LOSSES = {0: 95.0, 1: 85.0}  # % that the first loses: % of the ceiling
OF_BETTER = 0.95  # of the better uplink alone


class Wire(NamedTuple):
    """One uplink."""

    rate: int  # Mbit/s
    rtt: int  # ms
    lost: int  # %

    def uplink(self) -> Uplink:
        """As the lab has it."""
        return Uplink.like(self.rtt / 2000, self.rate * MBIT, loss=self.lost / 100)


class Profile(NamedTuple):
    """Two of them."""

    first: Wire
    second: Wire

    @property
    def name(self) -> str:
        """As it is asked for."""
        first, second = self
        return f"{first.rate}+{second.rate}M/{first.rtt}+{second.rtt}ms/{first.lost}%"

    @property
    def better(self) -> Wire:
        """Which is better alone."""
        return max(self, key=lambda wire: (wire.rate, -wire.lost, -wire.rtt))


def profiles() -> Iterator[Profile]:
    """All of them."""
    for lost, rates, rtts in product(LOSSES, RATES, RTTS):
        yield Profile(Wire(rates[0], rtts[0], lost), Wire(rates[1], rtts[1], 0))


def halves(ways: Sequence[Wire], direction: str, seconds: float) -> tuple[float, float]:
    """
    Mbit/s of one stream over these, in the first and in the second half.

    :raises NotInTime: it stood still.
    """
    with Bonded([way.uplink() for way in ways]) as tunnel:
        told = tunnel.tcp(direction, seconds)
    middle = len(told) // 2
    return fmean(told[:middle]), fmean(told[middle:])


def measure(profile: Profile, direction: str, seconds: float, alone: dict[Wire, float]) -> Iterator[Measured]:
    """
    What it comes to.

    :param alone: Mbit/s of uplinks that were measured already; the better one of these is added.
    """
    if profile.better not in alone:
        alone[profile.better] = halves([profile.better], direction, seconds)[1]
    first, second = halves(profile, direction, seconds)
    most, better = ceiling([wire.rate * MBIT for wire in profile], TCP_PAYLOAD), alone[profile.better]
    wanted = max(LOSSES[profile.first.lost] / 100 * most, OF_BETTER * better)
    line = Measured(FIGURE, f"{profile.name}, {direction}", round(second, 2), "Mbit/s", round(wanted, 2))
    for rival, value in (("the ceiling", most), ("the better alone", better), ("the first half", first)):
        yield replace(line, rival=rival, rival_value=round(value, 2))


def main() -> int:
    """Run what was asked for; with --check, 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_unequal")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", default=["*"])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--up", action="store_true", help="from the client to the server")
    parser.add_argument("--list", action="store_true", help="the names, and nothing else")
    parser.add_argument("--check", action="store_true", help="end with 1 when a figure is short")
    options = parser.parse_args()
    chosen = [each for each in profiles() if any(fnmatchcase(each.name, pattern) for pattern in options.patterns)]
    if options.list:
        print("\n".join(profile.name for profile in chosen))
        return 0
    if why_not():
        print(f"bench_unequal: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_unequal")
    alone, broken = dict[Wire, float](), 0
    for profile in chosen:
        try:
            for measured in measure(profile, "up" if options.up else "down", options.seconds, alone):
                tell(measured)
            broken += measured.kept is False
        except NotInTime as late:
            print(f"bench_unequal: {profile.name}: {late}", file=sys.stderr)
            broken += 1
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
