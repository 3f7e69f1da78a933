"""
One upload across five changes of network and a killed server; beside it the same file to Prosody's own file share.

    python -m morphnet.lab.enter -- python -m morphnet.lab.demo_upload [--json] [--short]

Exit code 0 if the upload never went back and arrived whole, 1 if a promise was broken, 77 if this machine has no room
for a box.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from morphnet.lab.box import Box
from morphnet.lab.playing import options_of, play
from morphnet.lab.sharing import PROSODY, FileShare, Store
from morphnet.lab.topologies import SERVER, two_uplinks
from morphnet.lab.vpn import BIN, json_lines

RATE = 40e6  # bit/s of each uplink; both uploads share the one in use
SIZE, SHORT = 60_000_000, 30_000_000  # bytes of the file
CHANGES = 5
END = 120.0  # seconds that both have after the last event


@dataclass
class Seen:
    """What the disk of a server has of an upload."""

    at: int = 0  # bytes now
    lost: int = 0  # bytes that were there, and are not any more: to be sent again
    marks: list[int] = field(default_factory=list)  # bytes at each event
    done: bool = False

    def look(self, length: int) -> None:
        """So many are there now."""
        self.lost += max(self.at - length, 0)
        self.at = length


class UploadDemo:
    """A client with two uplinks of which one is plugged in, and both servers on one host."""

    def __init__(self, box: Box, size: int, pause: float) -> None:
        self._box, self._pause, self.size = box, pause, size
        self.store, self.share = Store(box.node("server"), SERVER), FileShare(box.node("server"), SERVER)
        self.ours, self.theirs, self.action = Seen(), Seen(), "making a network and two servers"
        self._final: dict[str, Any] = {}  # what `morphnet upload` said at last
        self._tries = 0
        self._curl: subprocess.Popen[str] | None = None
        self._file = Path(box.node("client").dir) / "film.bin"
        self._hosts = [2, 2]  # last number of the address on each uplink
        self._uplink, self._over, self._threads = 0, False, list[threading.Thread]()

    def prepare(self) -> None:
        """The file, the servers, and both uploads under way."""
        with self._file.open("wb") as file:
            for _ in range(self.size // 1_000_000):
                file.write(os.urandom(1_000_000))
        self._box.link_down("client", "wan1")
        self.store.prepare()
        self.store.start()
        if PROSODY is not None:
            self.share.prepare()
            self.share.start()
            self._begin(self._put_to_prosody)
        words = ["upload", str(self._file), "--to", self.store.url, "--token-file", str(self.store.token), "--json"]
        node = self._box.node("client")
        self._upload = node.popen(
            [str(BIN / "morphnet"), *words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": str(node.dir)},
        )
        self._begin(self._follow)

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _follow(self) -> None:
        for line in json_lines(self._upload):
            if "link" in line:
                self._final, self.ours.done = line, True

    def _put_to_prosody(self) -> None:
        """As an XMPP client that tries again until the file is there; what changes the network ends its connection."""
        url, token = self.share.slot(self._file.name, self.size)
        words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-T", str(self._file), "-H", "Expect:"]
        words += ["--connect-timeout", "2", "-H", f"Authorization: {token}", url]
        while not self._over and not self.theirs.done:
            self._tries += 1
            self._curl = self._box.node("client").popen(words, stdout=subprocess.PIPE, text=True)
            self.theirs.done = self._curl.communicate()[0] == "201"
            time.sleep(0.5)

    def run(self) -> None:
        """Five changes of network, the server killed after the third; then both go on to their end."""
        for turn in range(CHANGES):
            self._wait(self._pause)
            self._change(turn + 1)
            if turn == 2:
                self._wait(self._pause)
                self._restart()
        self.action = "nothing more is broken: both go on to their end"
        ends = time.monotonic() + END
        while time.monotonic() < ends and not (self.ours.done and (self.theirs.done or PROSODY is None)):
            self._wait(0.1)
        self._over = True

    def _wait(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.ours.look(self.store.length())
            if PROSODY is not None:
                self.theirs.look(self.share.length())
            time.sleep(0.05)

    def _mark(self, action: str) -> None:
        self.action = action
        for each in (self.ours, self.theirs):
            each.marks.append(each.at)

    def _change(self, number: int) -> None:
        """The uplink in use is gone, and another one there, with an address that it never had and another NAT."""
        before, self._uplink = self._uplink, 1 - self._uplink
        device, net = f"wan{self._uplink}", self._uplink + 1
        self._mark(f"network change {number}: wan{before} is gone, {device} is there, with a new address")
        self._box.link_down("client", f"wan{before}")
        old, new = (f"192.168.{net}.{host}/24" for host in (self._hosts[self._uplink], 10 + number))
        self._hosts[self._uplink] = 10 + number
        self._box.address("client", device, add=[new], remove=[old])
        self._box.link_up("client", device)
        if self._curl is not None:
            self._curl.kill()  # a phone's system closes connections whose network is gone

    def _restart(self) -> None:
        self._mark("both servers are killed (kill -9) and started again")
        self.store.kill()
        if PROSODY is not None:
            self.share.kill()
            self.share.start()
        self.store.start()

    def verdict(self) -> dict[str, Any]:
        """Everything that was counted, as JSON values; how far each was is told in bytes on its server's disk."""
        wanted, final, ours = _sha256(self._file), self._final, self.ours
        equal = ours.done and self._fetched(final["link"]) == wanted
        went_back = bool(ours.lost) or bool(final.get("went_back", 1))
        told: dict[str, Any] = {"bytes": self.size, "changes": CHANGES, "restarts": 1}
        told["morphnet"] = {"sha256_equal": equal, "went_back": went_back, "sent_again": ours.lost, "marks": ours.marks}
        told["morphnet"]["connections"] = final.get("cuts", 0) + 1
        if PROSODY is not None:
            whole = self.theirs.done and self.share.sha256() == wanted
            told["prosody"] = {"sha256_equal": whole, "sent_again": self.theirs.lost, "marks": self.theirs.marks}
            told["prosody"]["connections"] = self._tries
        in_time = sum(mark < self.size for mark in ours.marks)
        told["kept"] = equal and not went_back and in_time == CHANGES + 1 and final["cuts"] >= CHANGES
        return told

    def _fetched(self, link: str) -> str:
        there = self._file.with_name("fetched")
        self._box.node("client").run(["curl", "-s", "-o", str(there), link], timeout=END)
        return _sha256(there) if there.exists() else ""

    def stop(self) -> None:
        """End every process."""
        self._over = True
        self.store.stop()
        self.share.kill()

    def draw(self) -> RenderableType:
        """Both, how far they are."""
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, seen in (("morphnet upload", self.ours), ("Prosody's file share", self.theirs)):
            table.add_row(
                name,
                ProgressBar(self.size, seen.at, width=30),
                f"{seen.at / 1e6:.1f} MB, lost {seen.lost / 1e6:.1f} MB",
            )
        return Group(Text(f"> {self.action}", "bold"), table)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def report(console: Console, told: dict[str, Any]) -> None:
    """What came of it, in a few lines."""
    console.print()
    size = told["bytes"]
    broken = f"{told['changes']} changes of network and {told['restarts']} kill -9 of the server"
    lines = [f"{size / 1e6:.0f} MB across {broken}; on the server's disk when each of them came, MB:", ""]
    for key, name in (("morphnet", "morphnet upload"), ("prosody", "Prosody's file share")):
        if key not in told:
            lines.append(f"{name}: left out, no prosody here (Debian package prosody)")
            continue
        each = told[key]
        lines.append(f"{name:<21} " + " ".join(f"{mark / 1e6:6.1f}" for mark in each["marks"]))
        equal = "SHA-256 equal" if each["sha256_equal"] else "NOT WHOLE"
        again = f"{each['sent_again'] / 1e6:.1f} MB had to be sent again, {each['sent_again'] / size:.0%} of the file"
        lines += [f"{'':<21} {again}; {each['connections']} connections, {equal}", ""]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    console.print("[green]kept[/]: progress never went back" if told["kept"] else "[red]BROKEN[/]", highlight=False)


def main(arguments: list[str]) -> int:
    """Run the demo; 0, 1 or 77."""
    parser = options_of(__doc__)
    parser.add_argument("--short", action="store_true", help="a smaller file, shorter pauses between the events")
    options = parser.parse_args(arguments)

    def act(console: Console) -> dict[str, Any]:
        size, pause = (SHORT, 2.0) if options.short else (SIZE, 3.0)
        with Box(two_uplinks((0.01, 0.03), (RATE, RATE))) as box:
            demo = UploadDemo(box, size, pause)
            try:
                with Live(console=console, refresh_per_second=5, get_renderable=demo.draw):
                    demo.prepare()
                    demo.run()
                return demo.verdict()
            finally:
                demo.stop()

    return play(options, act, report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
