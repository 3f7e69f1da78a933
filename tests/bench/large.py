"""
A file of 4 GB down and up between a home and a real Chromium on this machine: how much memory it takes on the way.

    python -m tests.bench.large [--gigabytes 4] [aiortc wrtc]

By the files app, with the policy of a coordinator: the download goes to the disk of the browser. It needs twice as much
room on the disk for temporary files as the file has, which is sparse, with a mark in each 64 MiB; these are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence

from morphnet.lab.chromium import CHROMIUM, Chromium
from morphnet.net.rtc_make import MAKES, chosen
from tests.bench.measured import CANNOT, Measured, tell
from tests.bench.soak import WATCH, resident
from tests.net.rtc_here import HomeHere

EVERY = 2.0  # seconds between looks
PATIENCE = 600.0  # seconds for each word to the browser: it has no priority
STEP, MARK = 64 << 20, 64  # bytes between marks, and of each
GROWS = 128.0  # MB that are let pass: windows, pieces, and what a browser collects later
NAMES = ("home", "connection", "page")

_ENTER = """
(async () => {
  const { Files } = await import('/files.js');
  const place = document.getElementById('files');
  place.hidden = false;
  window.app = new Files(session, place);
  await app.show();
  window.begin = (doing) => { window.over = ''; window.at = 0;
    doing((at) => { window.at = at; }).then(() => { over = 'done'; }, (trouble) => { over = trouble.message; });
    return 0; };
  window.marks = async (blob, step, mark) => {
    const found = [], bytes = (at) => blob.slice(at, at + mark).arrayBuffer();
    for (let at = 0; at < blob.size; at += step) found.push(...new Uint8Array(await bytes(at)));
    return found;
  };
})()
"""


class Large:
    """One make, and one file."""

    def __init__(self, make: str, size: int) -> None:
        self._size, self._marks = size, b""
        self._here = HomeHere(make, "/")
        with (self._here.share / "large.bin").open("wb") as file:
            file.truncate(size)
            for at in range(0, size, STEP):
                file.seek(at)
                file.write(mark := os.urandom(MARK))
                self._marks += mark
        assert self._here.browser is not None
        self._browser: Chromium = self._here.browser
        self._browser.run(WATCH, PATIENCE)
        self._browser.run(_ENTER, PATIENCE)

    def _weigh(self) -> tuple[float, float, float]:
        pids = self._here.pids
        found = self._browser.ask_browser("SystemInfo.getProcessInfo")["processInfo"]
        page = max(resident(each["id"]) for each in found if each["type"] == "renderer")
        return resident(pids[0]), resident(pids[-1]), page

    def _watch(self, direction: str) -> Iterator[tuple[float, float, float]]:
        while not (over := self._browser.run("over", PATIENCE)):
            yield self._weigh()
            print(f"{direction} {self._browser.run('at', PATIENCE)}: {self._weigh()}", file=sys.stderr, flush=True)
            time.sleep(EVERY)
        if over != "done":
            raise RuntimeError(over)

    def down(self) -> list[tuple[float, float, float]]:
        """To the disk of the browser; what it weighed meanwhile."""
        doing = f"async (at) => {{ window.kept = await app.whole('large.bin', {self._size}, at); }}"
        self._browser.run(f"begin({doing})", PATIENCE)
        found = list(self._watch("down"))
        asked = f"marks(kept.blob, {STEP}, {MARK}).then((found) => JSON.stringify(found))"
        if bytes(json.loads(self._browser.run(asked, PATIENCE))) != self._marks:
            raise RuntimeError("another file has come")
        self._browser.run("kept.forget()", PATIENCE)
        return found

    def up(self) -> list[tuple[float, float, float]]:
        """The same file from the disk, under another name."""
        other = self._here.share.parent / "up.bin"
        (self._here.share / "large.bin").rename(other)
        root = self._browser.ask("DOM.getDocument")["root"]["nodeId"]
        node = self._browser.ask("DOM.querySelector", nodeId=root, selector="#files input")["nodeId"]
        self._browser.run("const chosen = document.querySelector('#files input'); app.put = () => {}; 0", PATIENCE)
        self._browser.ask("DOM.setFileInputFiles", files=[str(other)], nodeId=node)
        doing = "async (at) => { const { upload } = await import('/transfers.js');"
        self._browser.run(f"begin({doing} await upload(session, 'up.bin', chosen.files[0], at); }})", PATIENCE)
        found = list(self._watch("up"))
        with (self._here.share / "up.bin").open("rb") as file:
            come = b"".join(os.pread(file.fileno(), MARK, at) for at in range(0, self._size, STEP))
        if come != self._marks or (self._here.share / "up.bin").stat().st_size != self._size:
            raise RuntimeError("another file has come")
        return found

    def stop(self) -> None:
        """End both."""
        self._here.stop()


def measure(makes: Sequence[str], size: int) -> Iterator[Measured]:
    """Each way, by each make."""
    for make in makes:
        large = Large(make, size)
        try:
            for direction, found in (("down", large.down()), ("up", large.up())):
                for at, name in enumerate(NAMES):
                    weights = [each[at] for each in found]
                    early = max(weights[: max(1, len(weights) // 10)])
                    case = f"{make}, {size / 1e9:.0f} GB {direction}: {name}"
                    yield Measured("large", f"{case}, most", round(max(weights), 1), "MB")
                    yield Measured(
                        "large", f"{case}, beyond the first tenth", round(max(weights) - early, 1), "MB", GROWS, "less"
                    )
        finally:
            large.stop()


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("makes", nargs="*", help=f"of {', '.join(MAKES)} [all]")
    parser.add_argument("--gigabytes", type=float, default=4.0)
    options = parser.parse_args(arguments)
    makes = [make for make in sorted(MAKES) if make in (options.makes or MAKES) and chosen(make)]
    if not CHROMIUM or not makes:
        print("bench: neither Chromium nor WebRTC is here", file=sys.stderr)
        return CANNOT
    for each in measure(makes, int(options.gigabytes * 1e9)):
        tell(each)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
