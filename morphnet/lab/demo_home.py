"""
Home in a browser: a coordinator, a home behind a NAT, a real Chromium behind another, whose network changes on the way.

    python -m morphnet.lab.enter -- python -m morphnet.lab.demo_home [--json] [--pictures DIR] [--megabytes N]

Leaves a picture of each app. Exit code 0 if nothing was lost, 1 if a promise was broken, 77 if this machine has no room
for a box, or no Chromium.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from morphnet.lab.box import Box
from morphnet.lab.browsing import PUBLIC, Browsing, browsing, download_of
from morphnet.lab.chromium import CHROMIUM, Trouble
from morphnet.lab.desktop import PORT, XVNC, Desktop
from morphnet.lab.playing import options_of, play
from morphnet.lab.vpn import wait_for

LINES = 300  # that a program in the terminal says, 20 ms apart
GONE = 5.0  # seconds that the terminal may stand still while the network changes; G1 asks for 2 on a machine with time
NOTES = "Wednesday: the boiler is looked at.\nFriday: call the landlord about the letter.\n\nMilk, bread, coffee.\n"
PHONE = (390, 844)
DESK = (1100, 720)


class HomeDemo:
    """
    All of it, in a box that is running.

    :param pictures: where they go.
    :param size: bytes of the download.
    """

    def __init__(self, box: Box, pictures: Path, size: int, say: Any) -> None:
        self.all = Browsing(box)
        self._pictures, self._size, self._say = pictures, size, say
        self._downloads = Path(box.node("m1").dir) / "downloads"
        self.told: dict[str, Any] = {"pictures": []}
        self._beside: list[Callable[[], None]] = []  # what ends that stands beside the home

    def _make_files(self) -> str:
        """Something to look at, and something large; its SHA-256."""
        share = self.all.share
        for name in ("Documents", "Music", "Pictures"):
            (share / name).mkdir()
        for name, size in (("letter to the landlord.odt", 24_316), ("recipes.pdf", 1_911_402)):
            (share / name).write_bytes(os.urandom(size))
        (share / "notes.txt").write_text(NOTES)
        known = hashlib.sha256()
        with (share / "holiday.mp4").open("wb") as file:
            left = self._size
            while left:
                piece = os.urandom(min(left, 1 << 20))
                known.update(piece)
                file.write(piece)
                left -= len(piece)
        return known.hexdigest()

    def _make_services(self) -> None:
        """A desktop, where there is a VNC server, and a machine's web pages."""
        node = self.all.home.node
        words = [sys.executable, "-m", "http.server", "8001", "--bind", "127.0.0.1", "--directory", str(self.all.share)]
        pages = node.popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._beside.append(pages.terminate)
        self.all.home.settings["web-services"] = "papers=http://127.0.0.1:8001/"
        if XVNC:
            self._beside.append(Desktop(node).stop)
            self.all.home.settings["vnc-server"] = f"127.0.0.1:{PORT}"

    def stop(self) -> None:
        """End every process."""
        self.all.stop()
        for end in self._beside:
            end()

    def _apps(self) -> None:
        """The desktop, and the pages."""
        browser = self.all.browser
        if XVNC:
            self._say("a desktop")
            browser.click("#open-vnc")
            browser.until("inside.apps.vnc.shown")
            self._picture("desktop")
        self._say("web pages of a machine at home")
        browser.click("#open-web")
        browser.until("inside.apps.web.shown?.status === 200")
        self._picture("web")

    def _picture(self, name: str) -> None:
        """Of a desk's window by day and of a phone by night."""
        browser = self.all.browser
        for kind, (width, height) in (("desk", DESK), ("phone", PHONE)):
            browser.window(width, height, phone=kind == "phone", dark=kind == "phone")
            time.sleep(0.4)  # until it is drawn
            file = self._pictures / f"{name}-{kind}.png"
            browser.picture(file)
            self.told["pictures"].append(str(file))
        browser.window(*DESK)

    def run(self) -> dict[str, Any]:
        """Everything; what was counted, as JSON values."""
        self._say("a coordinator, a home behind a NAT, and a browser behind another")
        known = self._make_files()
        self._make_services()
        self.all.start()
        browser = self.all.browser
        browser.downloads_to(self._downloads)
        self._picture("login")
        if trouble := self.all.log_in():
            raise Trouble(trouble)
        browser.click("#open-files")
        browser.until("document.querySelectorAll('#files tbody tr').length === 7")
        self._picture("files")
        browser.click("#files button[aria-label='notes.txt']")
        browser.until("document.getElementById('shown').children.length > 0", frame="/app/preview.html")
        self._picture("preview")
        browser.run("document.querySelector('dialog.preview').close()")
        self._terminal()
        self._apps()
        self._download(known)
        self._without_coordinator()
        return self._verdict()

    def _terminal(self) -> None:
        """A shell by the keyboard, and a program in it that talks on while the network changes."""
        self._say("a terminal; its network changes in the middle of what a program says")
        browser = self.all.browser
        browser.click("#open-terminal")
        browser.until("inside.apps.terminal.stream?.open === true")
        browser.point("#terminal iframe")
        self.all.look("main", rows=1000, columns=1000)  # a second one who looks: that is how we know what it says
        browser.run(
            "window.spoke = performance.now(); window.gap = 0; const hear = stream.onbytes; stream.onbytes = (bytes) =>"
            " { const now = performance.now(); gap = Math.max(gap, now - spoke); spoke = now; hear(bytes); }; 0"
        )
        browser.type(
            f"ls --color -l /\nfor i in $(seq {LINES}); do echo line-$i.; sleep 0.02; done; echo all-$((1))-said.\n"
        )
        browser.until("seen.includes('line-10.')")
        browser.run("gap = 0")
        browser.until("seen.includes('line-50.')")
        self.all.other_network()
        browser.until("seen.includes('all-1-said.')", 60.0)
        lines = [each for each in browser.run("seen").split() if each.startswith("line-") and each.endswith(".")]
        lines = [each for each in lines if "$" not in each]
        self.told["terminal"] = {
            "lines": len(lines),
            "once": lines == [f"line-{number}." for number in range(1, LINES + 1)],
            "longest_gap_s": round(browser.run("gap") / 1000, 2),
        }
        self._picture("terminal")

    def _download(self, known: str) -> None:
        """By a click, to the disk; the network changes when a part of it is there."""
        self._say(f"a download of {self._size / 1e6:.0f} MB; its network changes on the way")
        browser = self.all.browser
        browser.click("#open-files")
        begun = time.monotonic()
        browser.click(download_of("holiday.mp4"))
        browser.until("document.querySelector('#files progress').value > 0.25", 240.0)
        self._picture("download")
        self.all.first_network()
        browser.until("document.querySelector('#files [role=status]').textContent.includes('is here')", 240.0)
        took = time.monotonic() - begun
        file = self._downloads / "holiday.mp4"
        wait_for("the browser has put it down", lambda: file.exists() and file.stat().st_size == self._size, 60.0)
        with file.open("rb") as saved:
            equal = hashlib.file_digest(saved, "sha256").hexdigest() == known
        self.told["download"] = {
            "bytes": self._size,
            "seconds": round(took, 1),
            "mbit_s": round(self._size * 8e-6 / took, 1),
            "sha256_equal": equal,
        }

    def _without_coordinator(self) -> None:
        """The coordinator is gone, and nobody who is there notices."""
        self._say("the coordinator is killed")
        self.all.coordinator.kill()
        self.all.browser.run("keys('echo still-$((6*7))-here\\n')")
        self.all.browser.until("seen.includes('still-42-here')")
        self.told["without_coordinator"] = True

    def _verdict(self) -> dict[str, Any]:
        browser, home, told = self.all.browser, self.all.home, self.told
        told["connections"] = 1 + int(browser.run("inside.presence.again"))
        told["logins"] = home.count("logins")
        told["asked_others"] = sorted({each.split("/")[2] for each in browser.requests if "//" in each} - {PUBLIC})
        told["complaints"] = [each for each in browser.console if "net::" not in each]
        kept = told["terminal"]["once"] and told["terminal"]["longest_gap_s"] <= GONE
        kept = kept and told["download"]["sha256_equal"] and told["logins"] == 1 and told["connections"] >= 3
        told["kept"] = bool(kept and not told["asked_others"] and not told["complaints"])
        return told


def _report(console: Console, told: dict[str, Any]) -> None:
    terminal, download = told["terminal"], told["download"]
    once = "each once, in order" if terminal["once"] else "NOT each once"
    equal = "equal" if download["sha256_equal"] else "DIFFERENT"
    for line in (
        f"\nterminal: {terminal['lines']} of {LINES} lines, {once}; it stood still for {terminal['longest_gap_s']} s",
        f"download: {download['bytes'] / 1e6:.0f} MB in {download['seconds']} s, {download['mbit_s']} Mbit/s with the"
        f" change of network in it, SHA-256 {equal}",
        "without the coordinator: the terminal goes on",
        f"{told['logins']} login, {told['connections']} connections",
        f"asked of others: {told['asked_others'] or 'nothing'}; complaints of the page: {told['complaints'] or 'none'}",
        *(f"picture: {each}" for each in told["pictures"]),
        "[bold green]kept[/]" if told["kept"] else "[bold red]BROKEN[/]",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def main(arguments: list[str]) -> int:
    """Run the demo; 0, 1 or 77."""
    parser = options_of(__doc__)
    parser.add_argument("--pictures", type=Path, default=Path("demo-home"), help="where they go [demo-home]")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the download [200]")
    options = parser.parse_args(arguments)

    def act(console: Console) -> dict[str, Any]:
        options.pictures.mkdir(parents=True, exist_ok=True)
        with Box(browsing()) as box:
            demo = HomeDemo(box, options.pictures.absolute(), options.megabytes * 1_000_000, console.print)
            try:
                return demo.run()
            finally:
                demo.stop()

    return play(options, act, _report, None if CHROMIUM else "there is no chromium here (Debian package chromium)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
