"""
A home and a real Chromium on this machine for an hour, by each make of WebRTC at once, at a low rate: what fails, and
what grows.

    python -m tests.bench.soak [--minutes 60] [--megabytes 4] [aiortc wrtc]

Every ten seconds a file goes down and another one up, with its SHA-256 compared, and keys are echoed by a terminal;
every minute the connection is replaced in the middle of a download, and every ten the process that holds it is killed.
`lost` are connections that the page found gone: those that were killed, and where the machine stood still for too long.
What grows counts from the end of the first sixth, when everything was done once. What each turn found goes to stderr.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from morphnet.lab.chromium import CHROMIUM, Trouble
from morphnet.net.rtc_make import MAKES, chosen
from tests.bench.measured import CANNOT, Measured, tell
from tests.net.rtc_here import HomeHere

EVERY = 10.0  # seconds between turns
PATIENCE = 600.0  # seconds for each word to the browser: the machine may stand still
REPLACED, KILLED = 6, 60  # turns between connections that are replaced, and processes that are killed
GROWS = {"home": 8.0, "connection": 8.0, "page": 8.0}  # MB that are let pass

WATCH = """
{
  let busy = false;
  window.lost = 0;
  setInterval(async () => { // as the page does it, with more patience
    session.ping();
    if (busy || performance.now() - session.heardAt < 20000) return;
    busy = true;
    lost++;
    await connect().catch(() => {});
    busy = false;
  }, 2000);
}
0
"""
_PAGE = """
(async () => {
  const stream = session.open({ service: 'terminal', name: 'soak', rows: 24, columns: 80 });
  const reading = new TextDecoder();
  window.line = { seen: '', open: true };
  stream.onbytes = (bytes) => { line.seen = (line.seen + reading.decode(bytes, { stream: true })).slice(-4000);
    stream.took(bytes.length); };
  stream.onend = stream.onreset = () => { line.open = false; };
  window.typed = (text) => stream.write(new TextEncoder().encode(text));
})(); 0
"""


def resident(pid: int) -> float:
    """Megabytes of memory that are its own or shared."""
    (line,) = (each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class Soak:
    """
    One make.

    :ivar sizes: megabytes after each turn, of the home's process, of the one that holds the connection, of the page's
        own objects after a collection.
    """

    def __init__(self, make: str, size: int) -> None:
        self.make, self._size = make, size
        self.failures: list[str] = []
        self.turns = self.carried = self.replaced = self.killed = self.lost = 0
        self.sizes: list[tuple[float, float, float]] = []
        self._here = HomeHere(make)
        self._down = os.urandom(size)
        (self._here.share / "down").write_bytes(self._down)
        self._here.run(WATCH)
        self._here.run(_PAGE)

    def turn(self) -> None:
        """All of it, once."""
        self.turns += 1
        try:
            self._files()
            self._keys()
        except (Trouble, OSError, ValueError) as trouble:
            self.failures.append(f"turn {self.turns}: {trouble}")
        self.sizes.append(self._weigh())

    def _files(self) -> None:
        self._here.run("window.at = 0; window.got = down('down'); 0", PATIENCE)
        if self.turns % KILLED == 0:
            os.kill(self._here.pids[2], signal.SIGKILL)
            self.killed += 1
        if self.turns % REPLACED == 0:
            self._here.run("connect().then(() => 0)", PATIENCE)
            self.replaced += 1
        self._same("down", self._here.run("got", PATIENCE), self._down)
        told = self._here.run(f"up('up', {self._size})", PATIENCE)
        up = self._here.share / "up"
        self._same("up", told, up.read_bytes())
        up.unlink()
        self.carried += 2 * self._size

    def _same(self, what: str, told: str, content: bytes) -> None:
        if told != hashlib.sha256(content).hexdigest():
            raise ValueError(f"another file has come {what}")

    def _keys(self) -> None:
        self._here.run(f"typed('echo turn-$(({self.turns}*2)).\\n'); 0", PATIENCE)
        self._here.until(f"line.open && line.seen.includes('turn-{self.turns * 2}.')", PATIENCE)

    def _weigh(self) -> tuple[float, float, float]:
        pids = self._here.pids
        assert self._here.browser is not None
        self.lost = int(self._here.run("window.lost", PATIENCE))
        self._here.browser.ask("HeapProfiler.collectGarbage", PATIENCE)
        heap = self._here.browser.ask("Runtime.getHeapUsage", PATIENCE)
        page = (heap["usedSize"] + heap.get("backingStorageSize", 0)) / (1 << 20)
        return resident(pids[0]), resident(pids[-1]), page

    def found(self) -> Iterator[Measured]:
        """What came of it."""
        counted = {"turns": self.turns, "replaced": self.replaced, "killed": self.killed, "lost": self.lost}
        for name, count in counted.items():
            yield Measured("soak", f"{self.make}: {name}", count, "")
        yield Measured("soak", f"{self.make}: carried", round(self.carried / 1e9, 2), "GB")
        yield Measured("soak", f"{self.make}: failures", len(self.failures), "", 0, "less")
        warm = self.sizes[len(self.sizes) // 6 :]
        few = max(1, len(warm) // 10)
        for at, (name, limit) in enumerate(GROWS.items()):
            first, last = (sum(each[at] for each in some) / few for some in (warm[:few], warm[-few:]))
            yield Measured("soak", f"{self.make}: {name}, at the end", round(last, 1), "MB")
            yield Measured("soak", f"{self.make}: {name}, grown by", round(last - first, 1), "MB", limit, "less")

    def stop(self) -> None:
        """End both."""
        self._here.stop()


def measure(makes: Sequence[str], minutes: float, size: int) -> Iterator[Measured]:
    """All makes at once, in turn."""
    soaks = [Soak(make, size) for make in makes]
    end = time.monotonic() + minutes * 60
    try:
        while (begun := time.monotonic()) < end:
            for soak in soaks:
                soak.turn()
                weights = " ".join(f"{each:.1f}" for each in soak.sizes[-1])
                print(f"{soak.make} {soak.turns}: {weights} MB, failures {soak.failures}", file=sys.stderr, flush=True)
            time.sleep(max(0.0, EVERY - (time.monotonic() - begun)))
        for soak in soaks:
            yield from soak.found()
    finally:
        for soak in soaks:
            soak.stop()


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("makes", nargs="*", help=f"of {', '.join(MAKES)} [all]")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--megabytes", type=int, default=4, help="of each file")
    options = parser.parse_args(arguments)
    makes = [make for make in sorted(MAKES) if make in (options.makes or MAKES) and chosen(make)]
    if not CHROMIUM or not makes:
        print("bench: neither Chromium nor WebRTC is here", file=sys.stderr)
        return CANNOT
    for each in measure(makes, options.minutes, options.megabytes << 20):
        tell(each)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
