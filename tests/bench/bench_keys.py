"""
Keystrokes in a real Chromium on this machine, until the terminal has echoed them; beside another terminal for browsers.

    python -m tests.bench.bench_keys [--rounds 5] [--keys 300] [aiortc wrtc]

Each key is for the terminal's own echo, so that no program is measured; they come 15 ms apart. The rival is Jupyter's
terminado, a WebSocket, as ttyd is: ttyd is packaged neither for Debian 12 nor on PyPI or npm.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from morphnet.lab.chromium import CHROMIUM
from morphnet.net.rtc_make import MAKES, chosen
from tests.bench.measured import CANNOT, Measured, middle, tell
from tests.net.rtc_here import HomeHere

RIVAL = "terminado"
EVERY = 15  # milliseconds

# `line` sends text, and calls `heard` with text; `echoed` gives the milliseconds of each key.
_PAGE = """
window.ours = async () => {
  const stream = session.open({ service: 'terminal', name: 'keys', rows: 24, columns: 80 });
  const reading = new TextDecoder(), line = { heard: () => {} };
  stream.onbytes = (bytes) => { line.heard(reading.decode(bytes, { stream: true })); stream.took(bytes.length); };
  line.send = (text) => stream.write(new TextEncoder().encode(text));
  return line;
};
window.theirs = (port) => new Promise((done) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`), line = { heard: () => {} };
  socket.onmessage = ({ data }) => { const [kind, text] = JSON.parse(data); if (kind === 'stdout') line.heard(text); };
  line.send = (text) => socket.send(JSON.stringify(['stdin', text]));
  socket.onopen = () => done(line);
});
window.ready = (line) => new Promise((done) => {
  let seen = '';
  line.heard = (text) => { seen += text; if (seen.includes('ready-2')) done(); };
  line.send('stty -icanon; echo ready-$((1+1)); exec cat >/dev/null\\n');
});
window.echoed = async (line, keys, every) => {
  const found = [];
  for (let at = 0; at < keys; at++) {
    const begun = performance.now();
    await new Promise((done) => { line.heard = () => done(); line.send('x'); });
    found.push(performance.now() - begun);
    await new Promise((done) => { setTimeout(done, every); });
  }
  return JSON.stringify(found);
};
0
"""


def quantile(values: Sequence[float], of: float) -> float:
    """That one of them; `of` is 0 .. 1."""
    return sorted(values)[min(len(values) - 1, int(of * len(values)))]


class Typing:
    """Two terminals in one page: a home's by this make, and the rival's."""

    def __init__(self, make: str) -> None:
        self._rival = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.rival_terminal"], stdout=subprocess.PIPE, text=True
        )
        self._here = HomeHere(make)
        assert self._rival.stdout is not None
        port = int(self._rival.stdout.readline())
        self._here.run(_PAGE)
        for name, made in (("us", "ours()"), ("them", f"theirs({port})")):
            self._here.run(f"(async () => {{ window.{name} = await {made}; await ready({name}); }})()")

    def keys(self, whose: str, count: int) -> list[float]:
        """Milliseconds of each."""
        found: list[float] = json.loads(self._here.run(f"echoed({whose}, {count}, {EVERY})", 120.0))
        return found

    def stop(self) -> None:
        """End both."""
        self._here.stop()
        self._rival.kill()
        self._rival.wait()
        if self._rival.stdout is not None:
            self._rival.stdout.close()


def measure(makes: Sequence[str], rounds: int, keys: int) -> Iterator[Measured]:
    """In turn in each round, ours and the rival's."""
    for make in makes:
        found = defaultdict[tuple[str, str], list[float]](list)
        typing = Typing(make)
        try:
            for _ in range(rounds):
                for whose in ("us", "them"):
                    took = typing.keys(whose, keys)
                    for name, of in (("p50", 0.5), ("p99", 0.99)):
                        found[whose, name].append(quantile(took, of))
        finally:
            typing.stop()
        for name in ("p50", "p99"):
            ours, theirs = (middle(found[whose, name], 2) for whose in ("us", "them"))
            told = tuple(round(each, 2) for each in found["us", name])
            yield Measured("keys", f"{make}: a key's echo, {name}", ours, "ms", None, "less", RIVAL, theirs, told)


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("makes", nargs="*", help=f"of {', '.join(MAKES)} [all]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keys", type=int, default=300, help="in each round")
    options = parser.parse_args(arguments)
    makes = [make for make in sorted(MAKES) if make in (options.makes or MAKES) and chosen(make)]
    if not CHROMIUM or not makes or find_spec(RIVAL) is None:
        print(f"bench: Chromium, WebRTC or {RIVAL} is not here", file=sys.stderr)
        return CANNOT
    for each in measure(makes, options.rounds, options.keys):
        tell(each)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
