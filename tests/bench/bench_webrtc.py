"""
Files between a home and a real Chromium on this machine, both ways, by each make of WebRTC in turn.

    python -m tests.bench.bench_webrtc [--rounds 3] [--megabytes 200] [aiortc wrtc]
    python -m tests.bench.bench_webrtc [--megabytes 1000] G2 [aiortc wrtc]

What counts is the time between the click and the last byte, and the processor time of the home and of the process that
holds its connection. The browser, which takes more than both, has the same processors. With G2 the connection is
replaced by another one three times on the way, and all bytes are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from morphnet.lab.chromium import CHROMIUM
from morphnet.net.rtc_make import MAKES, chosen
from tests.bench.measured import CANNOT, Measured, middle, tell
from tests.net.rtc_here import HomeHere

FASTEST = {"aiortc": 60.0, "wrtc": 200.0}  # Mbit/s that were asked for
COSTS = 12.0  # seconds of processor for a gigabyte that were asked for
TICK = os.sysconf("SC_CLK_TCK")
CHANGES = 3  # of the connection, on the way of a file
BLOCK = 1 << 20  # bytes that have a digest; a file's is that of all of them
PATIENCE = 1800.0  # seconds

# `known` is a file's digest; `got` keeps only that of what comes, so that the page does not keep the file.
_DIGESTS = """
(async () => {
  const { upload, download } = await import('/transfers.js');
  const block = (blob) => blob.arrayBuffer().then((bytes) => crypto.subtle.digest('SHA-256', bytes));
  const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
  window.known = async (blob) => {
    const found = [];
    for (let at = 0; at < blob.size; at += BLOCK) found.push(await block(blob.slice(at, at + BLOCK)));
    return hex(await block(new Blob(found)));
  };
  window.down = async () => {
    const pieces = [];
    await download(session, 'down', (piece) => { pieces.push(new Blob([piece])); }, (at) => { window.at = at; });
    return known(new Blob(pieces));
  };
  window.up = async (size) => {
    const step = crypto.getRandomValues(new Uint8Array(65536)), whole = Math.floor(size / step.length);
    const parts = Array.from({ length: whole }, (_, i) => [new Uint32Array([i]), step.subarray(4)]).flat();
    const file = new File([new Blob(parts)], 'up', { lastModified: 1 });
    await upload(session, 'up', file, (at) => { window.at = at; });
    return known(file);
  };
})()
""".replace("BLOCK", str(BLOCK))


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


def digest(file: Path) -> str:
    """Of the digests of its blocks."""
    found = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(BLOCK):
            found.update(hashlib.sha256(block).digest())
    return found.hexdigest()


def replaced(make: str, size: int) -> Iterator[Measured]:
    """A file down and one up, over one connection after the other."""
    here, ways = HomeHere(make), {"down": "down()", "up": f"up({size})"}
    try:
        with (here.share / "down").open("wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
        here.run(_DIGESTS)
        for way, script in ways.items():
            here.run(f"window.at = 0; window.result = null; {script}.then((sum) => {{ result = sum; }}); 0")
            for change in range(1, CHANGES + 1):
                here.until(f"at > {size * change // (CHANGES + 1)}", PATIENCE)
                here.run("connect().then(() => 0)", PATIENCE)
            same = here.until("result", PATIENCE) == digest(here.share / way)
            case = f"{make}: {size / 1e6:.0f} MB {way} over {CHANGES} changes, equal"
            yield Measured("G2", case, int(same), "", 1)
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
    parser.add_argument("makes", nargs="*", help=f"G2; of {', '.join(MAKES)} [all]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int)
    options = parser.parse_args(arguments)
    changing = "G2" in options.makes
    options.makes = [each for each in options.makes if each != "G2"]
    makes = [make for make in sorted(MAKES) if make in (options.makes or MAKES) and chosen(make)]
    if not CHROMIUM or not makes:
        print("bench: neither Chromium nor WebRTC is here", file=sys.stderr)
        return CANNOT
    found: Iterator[Measured]
    if changing:
        found = chain.from_iterable(replaced(make, (options.megabytes or 1000) << 20) for make in makes)
    else:
        found = measure(makes, options.rounds, (options.megabytes or 200) << 20)
    for each in found:
        tell(each)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
