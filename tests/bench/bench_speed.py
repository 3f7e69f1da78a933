"""
The data path where nobody shapes it, and where somebody does.

    python -m tests.bench.bench_speed [paths bond latency shapes] [--rounds 3] [--seconds 4]

paths    one TCP stream over 1, 2 and 4 cables, bonded and redundant, in turn: several must not be slower than one
bond     one TCP stream over two uplinks of 100 Mbit/s, of what the overhead leaves; kernel MPTCP beside it
latency  an echo beside a full download and a full upload at 100 Mbit/s and 20 ms, through the tunnel and over the bare
         wire, whose queue holds what it holds
shapes   one TCP stream over one cable, dressed in each shape in turn: what of the plain rate is left
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any

from morphnet.config.shapes import SHAPES
from morphnet.lab import gauge
from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.rivals import Ways
from morphnet.lab.topologies import SERVER, Uplink, cables
from morphnet.lab.vpn import INNER_SERVER, Daemon, Vpn, last_line, wait_for
from morphnet.wire.core import CORE, PURE
from tests.bench import mptcp
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell
from tests.lab.bonded import DIRECTIONS, TCP_PAYLOAD, Bonded, ceiling

COUNTS = (1, 2, 4)
SLOWER = 0.85  # of one path, that several may be at least
MBIT = 1e6
RATE, DELAY = 100 * MBIT, 0.010  # bit/s, and seconds one way
RAMP = 4.0  # seconds of a load on two uplinks that are not counted
OF_THE_CEILING = 98.0  # %
OF_PLAIN = {"masked": 80.0 if CORE is PURE else 90.0, "quic": 85.0}  # % that a shape leaves at least
WITHIN = 2.0  # times the echo of the bare wire, idle
Options = argparse.Namespace


def _over(count: int, scheduler: str, seconds: float) -> dict[str, float]:
    """Gbit/s of one stream over so many cables, by direction."""
    with Box(cables(count)) as box:
        vpn = Vpn(box, SERVER, {"scheduler": scheduler})
        vpn.found()
        client = vpn.join(settings={"scheduler": scheduler, "routes": ["10.73.0.0/24"]})
        wait_for("all are active", lambda: list(client.states().values()).count("active") == count)
        inner = client.session()["inner"][0].partition("/")[0]
        ways = Ways(inner, INNER_SERVER, (client.pid(), vpn.server.pid()))
        return {direction: gauge.bulk(box, ways, direction, seconds).rate / 1e9 for direction in DIRECTIONS}


def paths(options: Options) -> Iterator[Measured]:
    """One path is the rival of several."""
    found = defaultdict[tuple[str, int, str], list[float]](list)
    for _ in range(options.rounds):
        for scheduler, counts in (("bond", COUNTS), ("redundant", (2,))):
            for count in counts:
                for direction, rate in _over(count, scheduler, options.seconds).items():
                    found[scheduler, count, direction].append(rate)
    for (scheduler, count, direction), rounds in found.items():
        one = middle(found["bond", 1, direction], 2)
        wanted = round(SLOWER * one, 2) if count > 1 and scheduler == "bond" else None
        case, told = f"{scheduler}, {count} cables, TCP {direction}", tuple(round(each, 2) for each in rounds)
        yield Measured("paths", case, middle(rounds, 2), "Gbit/s", wanted, "more", "one cable", one, told)


def bond(options: Options) -> Iterator[Measured]:
    """The second uplink is there from the start; what passes until both are full is not counted."""
    most = ceiling((RATE, RATE), TCP_PAYLOAD)
    unfit = mptcp.absent()
    found = defaultdict[tuple[str, str], list[float]](list)
    with Bonded([Uplink.like(DELAY, RATE)] * 2) as tunnel:
        if unfit is None:
            mptcp.prepare(tunnel)
        for _ in range(options.rounds):
            for direction in DIRECTIONS:
                seconds, skip = RAMP + options.seconds, round(RAMP / 0.5)
                found["ours", direction].append(fmean(tunnel.tcp(direction, seconds)[skip:]))
                if unfit is None:
                    found["MPTCP", direction].append(fmean(mptcp.measure(tunnel, direction, seconds, 1)[skip:]))
    for direction in DIRECTIONS:
        shares = [100 * rate / most for rate in found["ours", direction]]
        plain = round(median(found["ours", direction]) / (2 * RATE / MBIT) * 100, 1)
        theirs = [100 * rate / (2 * RATE / MBIT) for rate in found.get(("MPTCP", direction), [])]
        rival = ("MPTCP", middle(theirs)) if theirs else ("", None)
        case, told = f"2 x 100 Mbit/s, 1 TCP {direction}", tuple(round(each, 1) for each in shares)
        yield Measured("bond", f"{case}, of the ceiling", middle(shares), "%", OF_THE_CEILING, rounds=told)
        yield Measured("bond", f"{case}, of the plain sum", plain, "%", None, "more", *rival)


def _echo(tunnel: Bonded, address: str, direction: str | None, seconds: float) -> dict[str, float]:
    """Echoes to `address`, ten milliseconds apart, beside a download or an upload of one stream to the same."""

    def echo() -> subprocess.Popen[Any]:
        words = (address, "--count", str(round(seconds / 0.01)), "--interval", "0.01")
        return tunnel.tool("client", "morphnet.lab.ping", *words)

    if direction is None:
        return dict(last_line(echo(), seconds + 10)["rtt_ms"])
    running: list[subprocess.Popen[Any]] = []

    def begin(at: float) -> None:
        if at >= RAMP and not running:
            running.append(echo())

    tunnel.streams(direction, RAMP + seconds + 1, 1, address, watch=begin)
    return dict(last_line(running[0], 10)["rtt_ms"])


def latency(options: Options) -> Iterator[Measured]:
    """The tunnel's own queues, and the wire's, which a tunnel that paces leaves empty."""
    found = defaultdict[tuple[str, str, str], list[float]](list)
    with Bonded([Uplink.like(DELAY, RATE)]) as tunnel:
        for _ in range(options.rounds):
            for name, address in (("tunnel", INNER_SERVER), ("bare wire", SERVER)):
                for load in (None, *DIRECTIONS):
                    for quantile, value in _echo(tunnel, address, load, options.seconds).items():
                        found[name, load or "idle", quantile].append(value)
    idle = median(found["bare wire", "idle", "p50"])
    for (name, load, quantile), rounds in found.items():
        if name != "tunnel" or quantile == "p99":
            continue
        theirs = middle(found["bare wire", load, quantile])
        wanted = round(WITHIN * idle, 1) if load != "idle" else None
        case = f"echo {quantile}, {load if load == 'idle' else f'beside TCP {load}'}"
        told = tuple(round(each, 1) for each in rounds)
        yield Measured("latency", case, middle(rounds), "ms", wanted, "less", "bare wire", theirs, told)


def shapes(options: Options) -> Iterator[Measured]:
    """
    All in one box, one after the other in each round, so that what the machine does meanwhile is the same to all; and
    by the processor time of both ends for each byte, which is the same whatever else the machine does.
    """
    found, spent = defaultdict[tuple[str, str], list[float]](list), defaultdict[tuple[str, str], list[float]](list)
    with Box(cables(1)) as box:
        vpn = Vpn(box, SERVER)
        vpn.found()
        client = vpn.join(settings={"routes": ["10.73.0.0/24"]})
        inner = client.session()["inner"][0].partition("/")[0]
        ways = Ways(inner, INNER_SERVER, (client.pid(), vpn.server.pid()))
        for shape in [*SHAPES] * options.rounds:
            client.settings["shape"] = shape
            client.morphnet("set", "shape", shape, "--dir", str(client.etc))
            wait_for("both wear it", lambda shape=shape: _worn(client, vpn.server) == {shape})  # type: ignore[misc]
            for direction in DIRECTIONS:
                before = _work(client, vpn.server)
                found[shape, direction].append(gauge.bulk(box, ways, direction, options.seconds).rate / 1e9)
                worked, carried = (now - then for now, then in zip(_work(client, vpn.server), before, strict=True))
                spent[shape, direction].append(worked / carried * 1e9)
    for shape, least in OF_PLAIN.items():
        for direction in DIRECTIONS:
            plain, rounds = found["plain", direction], found[shape, direction]
            each = tuple(round(100 * ours / theirs, 1) for ours, theirs in zip(rounds, plain, strict=True))
            case, rival = f"{shape}, TCP {direction}, of plain", ("plain, Gbit/s", middle(plain, 2))
            yield Measured("shapes", case, middle([*each]), "%", None, "more", *rival, each)
            plain, rounds = spent["plain", direction], spent[shape, direction]
            share = round(100 * median(plain) / median(rounds), 1)
            case, rival = f"{case}, by processor time", ("plain, s/GB", middle(plain, 3))
            yield Measured("shapes", case, share, "%", least, "more", *rival, tuple(round(each, 3) for each in rounds))


def _work(*ends: Daemon) -> tuple[float, float]:
    """Seconds of processor time that both have used, and bytes that have come to them."""
    ticks = 0
    for end in ends:
        fields = Path(f"/proc/{end.pid()}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    carried = sum(path["received_bytes"] for end in ends for path in end.paths().values())
    return ticks / os.sysconf("SC_CLK_TCK"), carried


def _worn(*ends: Daemon) -> set[str]:
    return {path["shape"] for end in ends for path in end.paths().values()}


BENCHES: dict[str, Callable[[Options], Iterator[Measured]]] = {
    "paths": paths,
    "bond": bond,
    "latency": latency,
    "shapes": shapes,
}


def main() -> int:
    """Run what was asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_speed")
    parser.add_argument("names", nargs="*", metavar="WHAT", help=", ".join(BENCHES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load, that count")
    options = parser.parse_args()
    if why_not():
        print(f"bench_speed: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_speed")
    broken = 0
    for name in options.names or BENCHES:
        for measured in BENCHES[name](options):
            tell(measured)
            broken += measured.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
