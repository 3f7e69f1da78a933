"""The page from somewhere that one trusts: real processes and a real Chromium on loopback."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import threading
from pathlib import Path
from typing import cast

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import commands
from morphnet.cli.page import HERE, Server
from morphnet.lab.box import BoxNode
from morphnet.lab.browsing import PASSWORD
from morphnet.lab.chromium import CHROMIUM, Chromium
from morphnet.lab.vpn import BIN, wait_for
from morphnet.net.rtc_make import MAKES, chosen
from morphnet.roles.coordinator.pages import Page, read_pages
from tests.cli.case import CommandCase
from tests.ports import free_port
from tests.roles.here import HOST, HereCase

ENTERED = "document.addEventListener('entered', (e) => { window.inside = e.detail; }); 0"
OWN = read_pages()


class CheckTests(SynchronousTestCase):
    def check(self, address: str) -> Result:
        return CliRunner().invoke(commands, ["coordinator", "check", address], catch_exceptions=False)

    def serve(self, pages: dict[str, Page]) -> str:
        """Give these out: where."""
        server = Server(0, pages)
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        self.addCleanup(server.server_close)
        self.addCleanup(serving.join)
        self.addCleanup(server.shutdown)
        return f"http://{HERE}:{server.server_port}"

    def test_same(self) -> None:
        """What is served as it came is said to be, also where the page may call fallbacks."""
        pages = {path: page.calling(["https://other.example"]) for path, page in OWN.items()}
        done = self.check(self.serve(pages))
        self.assertEqual(done.stdout, f"All {len(OWN)} files are those of this installation.\n")

    def test_other(self) -> None:
        """One byte more, a file less, a weaker policy: each is named, and the exit code is 1."""
        main, policy = OWN["/main.js"], "Content-Security-Policy"
        weaker = OWN["/"].headers[policy].replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")
        pages = {**OWN, "/main.js": Page(main.body + b"\n", main.headers)}
        pages["/"] = Page(OWN["/"].body, {**OWN["/"].headers, policy: weaker})
        del pages["/style.css"]
        done = self.check(self.serve(pages))
        self.assertEqual(done.exit_code, 1)
        self.assertEqual(
            done.stdout.splitlines(),
            [
                f"/ has another {policy}",
                "/main.js is not that of this installation",
                "/style.css is not given out: 404",
            ],
        )
        for more in ("Refresh", "Link"):
            led = Page(OWN["/"].body, {**OWN["/"].headers, more: "0; url=https://other.example"})
            self.assertEqual(self.check(self.serve({**OWN, "/": led})).stdout, f"/ has another {more}\n")
        self.assertIn("does not answer", self.check(f"http://{HERE}:{free_port()}").stderr)
        self.assertIn("https://", self.check("home.example").stderr)


class OwnPageTests(HereCase):
    skip = None if CHROMIUM and any(map(chosen, MAKES)) else "no chromium here, or no WebRTC"
    timeout = 90

    def log_in(self, address: str) -> Chromium:
        """A browser that has opened it, and sees the files of the home."""
        browser = Chromium(cast("BoxNode", self.here), Path(self.here.dir) / "profile")
        self.addCleanup(browser.stop)
        browser.go(address)
        browser.run(ENTERED)
        browser.run(
            f"document.getElementById('password').value = {PASSWORD!r}; document.getElementById('enter').click()"
        )
        browser.until("window.inside || document.getElementById('trouble').textContent")
        browser.until("document.querySelectorAll('#files tbody tr').length === 1")
        return browser

    def test_own(self) -> None:
        """
        The coordinator's page takes passwords: it is never asked for. The home is reached by the page that this
        installation serves, which the coordinator lets call; another site's may not.
        """
        root = Path(self.here.dir)
        secret, port = root / "secret", free_port()
        secret.write_text(PASSWORD + "\n")
        (root / "share").mkdir()
        (root / "share" / "letter.txt").write_text("hello\n")
        here = f"http://{HERE}:{port}"
        first = self.coordinator("first", pages=[here])
        line = first.make("invite", "--address", HOST, "--page", self.pages["first"])
        home = self.daemon("morph-home", "home")
        words = ("--files", str(root / "share"), "--user", "", "--password-file", str(secret))
        link = home.make("init", line, *words)
        home.start()
        wait_for("the home is registered", lambda: first.count("homes") == 1, 30.0)
        serving = subprocess.Popen(
            [str(BIN / "morphnet"), "home", "page", link, "--port", str(port)], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(serving.wait)
        self.addCleanup(serving.kill)
        assert serving.stdout is not None
        self.addCleanup(serving.stdout.close)
        address = serving.stdout.readline().strip()
        self.assertEqual(address, f"{here}/#{link.partition('#')[2]}")
        browser = self.log_in(address)
        asked = [each.removeprefix(self.pages["first"]) for each in browser.requests]
        called = {each for each, whole in zip(asked, browser.requests, strict=True) if each != whole}
        self.assertEqual(called, {"/api/coordinator", "/api/call"})
        self.assertEqual(browser.console, [])
        serving.send_signal(signal.SIGINT)
        self.assertEqual(serving.wait(), 0)
        self.assertEqual(home.count("logins"), 1)


class ServerTests(CommandCase):
    def test_hung_up(self) -> None:
        """Of a browser that hangs up in the middle nothing is said; of a fault of ours it is."""
        with Server(0, OWN) as server:
            for trouble, told in ((ConnectionResetError(), False), (ValueError("ours"), True)):
                said = io.StringIO()
                with contextlib.redirect_stderr(said):
                    try:
                        raise trouble
                    except type(trouble):
                        server.handle_error(None, (HERE, 1))
                self.assertEqual("ours" in said.getvalue(), told)
                self.assertEqual(bool(said.getvalue()), told)

    def test_loopback(self) -> None:
        """Nobody else's browser gets it."""
        with Server(0, {}) as server:
            self.assertEqual(server.server_address[0], HERE)
            taken = str(server.server_port)
            self.assertIn("in use", self.bad("home", "page", "https://home.example/#x", "--port", taken))

    def test_wrong(self) -> None:
        """Without a link a home is needed here; a link has an address."""
        self.assertIn("home init", self.bad("home", "page"))
        self.assertIn("home link", self.bad("home", "page", "home.example"))
