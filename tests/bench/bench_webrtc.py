"""
Files between a home and a real Chromium on this machine, both ways, by each make of WebRTC in turn.

    python -m tests.bench.bench_webrtc [--rounds 3] [--megabytes 200] [aiortc wrtc]

What counts is the time between the click and the last byte, and the processor time of the home and of the process that
holds its connection. The browser, which takes more than both, has the same processors.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from morphnet.lab.chromium import CHROMIUM
from morphnet.net.rtc_make import MAKES, chosen
from tests.bench.measured import CANNOT, Measured, middle, tell
from tests.net.rtc_here import HomeHere

FASTEST = {"aiortc": 60.0, "wrtc": 200.0}  # Mbit/s that were asked for
COSTS = 12.0  # seconds of processor for a gigabyte that were asked for
TICK = os.sysconf("SC_CLK_TCK")


def spent(pids: Sequence[int]) -> float:
    """Seconds of processor that they have taken."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICK


def once(make: str, size: int) -> Iterator[tuple[str, float, float]]:
    """Direction, Mbit/s and seconds of processor for a gigabyte."""
    here = HomeHere(make)
    try:
        (here.share / "down").write_bytes(os.urandom(1 << 20) * (size >> 20))
        home, _, holding = here.pids
        none = "{ let got = 0; await download(session, 'down', (piece) => { got += piece.length; }, () => {}); }"
        for direction, script in (
            ("download", none),
            ("upload", f"await upload(session, 'up', new File([new Uint8Array({size})], 'up'), () => {{}});"),
        ):
            before, begun = spent((home, holding)), time.monotonic()
            here.run(
                f"(async () => {{ const {{ upload, download }} = await import('/transfers.js'); {script} }})()", 900.0
            )
            took = time.monotonic() - begun
            yield direction, size * 8e-6 / took, (spent((home, holding)) - before) / size * 1e9
    finally:
        here.stop()


def measure(makes: Sequence[str], rounds: int, size: int) -> Iterator[Measured]:
    """All of them, in turn in each round."""
    rates, costs = defaultdict[tuple[str, str], list[float]](list), defaultdict[tuple[str, str], list[float]](list)
    for _ in range(rounds):
        for make in makes:
            for direction, rate, cost in once(make, size):
                rates[make, direction].append(rate)
                costs[make, direction].append(cost)
    for (make, direction), rate_of in rates.items():
        cost_of = costs[make, direction]
        yield Measured(
            "webrtc", f"{make}: {direction}", middle(rate_of), "Mbit/s", FASTEST[make], rounds=tuple(rate_of)
        )
        yield Measured(
            "webrtc", f"{make}: processor, {direction}", middle(cost_of), "s/GB", COSTS, "less", rounds=tuple(cost_of)
        )


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("makes", nargs="*", help=f"of {', '.join(MAKES)} [all]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args(arguments)
    makes = [make for make in sorted(MAKES) if make in (options.makes or MAKES) and chosen(make)]
    if not CHROMIUM or not makes:
        print("bench: neither Chromium nor WebRTC is here", file=sys.stderr)
        return CANNOT
    for each in measure(makes, options.rounds, options.megabytes << 20):
        tell(each)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
