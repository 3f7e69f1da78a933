"""
What a packet that comes alone takes: echoes over tunnels in which nothing else is under way.

    python -m tests.bench.bench_idle [--rounds 3] [--count 100] [--rates 10 50]

Between two of them programs sleep, and others have the processor's caches: neither a thousand echoes a second nor a
download shows what that costs. Every contender in turn in each round, as in `bench_rivals`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.rivals import Contender, open_tunnel
from morphnet.lab.topologies import direct
from morphnet.lab.vpn import last_line
from tests.bench.measured import CANNOT, Measured, enter_lab, middle
from tests.bench.turns import in_turn, verdict

SETTLED = 2.0  # seconds after which a tunnel that has just come up has found its size
PATIENCE = 10.0  # seconds beyond those that the echoes take
QUANTILES = ("p50", "p99")
WANTED = {"morphnet": 1.0, "morphnet, pure": 1.3}  # times wireguard-go's at the most
BEST = "wireguard-go"
Rounds = dict[tuple[str, float, str], list[float]]  # contender, echoes a second, quantile: ms in each round


def echoes(contender: Contender, rates: list[float], count: int) -> Iterator[tuple[float, dict[str, float]]]:
    """Echoes a second, and milliseconds by quantile."""
    with Box(direct(v6=False)) as box, open_tunnel(contender, box) as ways:
        time.sleep(SETTLED)
        for rate in rates:
            words = ["morphnet.lab.ping", ways.server, "--count", str(count), "--interval", str(1 / rate)]
            pinging = box.node("client").popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True)
            yield rate, dict(last_line(pinging, count / rate + PATIENCE)["rtt_ms"])


def told(found: Rounds) -> Iterator[Measured]:
    """Ours beside each rival."""
    for (name, rate, quantile), rounds in found.items():
        for rival in {rival for rival, _, _ in found} - set(WANTED) if name in WANTED else ():
            theirs = found[rival, rate, quantile]
            wanted = round(WANTED[name] * median(theirs), 3) if rival == BEST else None
            case, each = f"{name}: {rate:g} echoes a second, {quantile}", tuple(round(one, 3) for one in rounds)
            value, beside = middle(rounds, 3), middle(theirs, 3)
            yield Measured("idle", case, value, "ms", wanted, "less", rival, beside, each)


def main() -> int:
    """1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_idle")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=100, help="of echoes at each rate")
    parser.add_argument("--rates", type=float, nargs="+", default=[10.0, 50.0], help="echoes a second")
    options = parser.parse_args()
    if why_not():
        print(f"bench_idle: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_idle")
    found: Rounds = defaultdict(list)
    for contender in in_turn(options.rounds):
        for rate, quantiles in echoes(contender, options.rates, options.count):
            for quantile in QUANTILES:
                found[contender.name, rate, quantile].append(quantiles[quantile])
    return verdict(told(found))


if __name__ == "__main__":
    sys.exit(main())
