"""A home behind a NAT, a real Chromium behind another, a coordinator: what a user does, and what the network does."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.browsing import PUBLIC, Browsing, browsing, download_of
from morphnet.lab.chromium import CHROMIUM
from morphnet.lab.vpn import BIN, wait_for
from morphnet.wire.messages.home.frames import LONGEST
from tests.lab.scene import NOT_HERE

LARGE = 9_000_000  # bytes, so that it goes to the disk as it comes
MOST_LOOKS = 8  # of the page at a connection that says nothing, four in a second: G1 asks for two seconds
DOWNLOAD = download_of("large.bin")
MISSING = NOT_HERE or (None if CHROMIUM else "no chromium here (Debian package chromium)")


class HomeCase(SynchronousTestCase):
    """All of it; nothing is started."""

    rootless = False
    skip = MISSING
    timeout = 120
    port = 443  # of the page
    webrtc = "auto"

    def setUp(self) -> None:
        self.box = Box(browsing())
        self.addCleanup(self.box.stop)
        self.box.start()
        self.all = Browsing(self.box, self.port)
        self.addCleanup(self.all.stop)
        self.coordinator, self.home, self.share = self.all.coordinator, self.all.home, self.all.share
        self.home.settings |= {"webrtc": self.webrtc}


class UpTests(HomeCase):
    def says(self, daemon: str, *words: str) -> tuple[int, list[str]]:
        """Exit code and lines of a command on one of the two machines."""
        chosen = self.home if daemon == "home" else self.coordinator
        done = chosen.node.run([str(BIN / "morphnet"), *words, "--dir", str(chosen.etc)], timeout=90)
        return done.returncode, (done.stdout + done.stderr).splitlines()

    def test_up_status_down(self) -> None:
        """`morphnet up`, `status` and `down`, as in the quickstart: both know their role by its file alone."""
        self.assertEqual(self.says("home", "up", "--wait", "0")[0], 3)
        self.assertEqual(self.says("coordinator", "up")[1], ["coordinator is up: serving"])
        self.assertEqual(self.says("home", "up")[1], ["home was up already: serving"])
        for daemon in ("home", "coordinator"):
            code, lines = self.says(daemon, "status")
            self.assertEqual((code, lines[0].split()[:3]), (0, [daemon, daemon, "serving"]))
            self.assertEqual(self.says(daemon, "down"), (0, [f"{daemon} is down"]))
            self.assertEqual(self.says(daemon, "status")[0], 1)


class BrowserCase(HomeCase):
    """A browser that has opened the link."""

    def setUp(self) -> None:
        super().setUp()
        self.all.start()
        self.browser = self.all.browser


class TurnTests(HomeCase):
    """A browser whose network lets no UDP out."""

    skip = MISSING or (None if shutil.which("turnserver") else "no turnserver here (Debian package coturn)")
    port = 8443  # 443 is the TURN server's

    def setUp(self) -> None:
        super().setUp()
        relay = self.box.node("relay")
        secret = Path(self.home.node.dir) / "turn-secret"
        secret.write_text("between you and me\n")
        words = ["turnserver", "-n", f"--listening-ip={PUBLIC}", f"--relay-ip={PUBLIC}", "--tls-listening-port=443"]
        words += ["--no-udp", "--no-tcp", "--no-dtls", "--no-cli", "--realm=lab", "--use-auth-secret"]
        words += [f"--cert={relay.dir}/certificate.pem", f"--pkey={relay.dir}/key.pem"]
        words += ["--static-auth-secret=between you and me", f"--userdb={relay.dir}/turndb", "--log-file=stdout"]
        words += [f"--pidfile={relay.dir}/turn.pid"]
        self.turn = relay.popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.turn.wait)
        self.addCleanup(self.turn.kill)
        url = f"turns:{PUBLIC}:443?transport=tcp"
        self.home.settings |= {"turn-urls": url, "turn-secret-file": str(secret)}
        self.box.set_nat("nat1", "udp_blocked")
        self.all.start()

    def test_udp_blocked(self) -> None:
        """By a TURN server on TCP 443, by TLS; the home alone names it, and the page says that it goes by one."""
        self.assertEqual(self.all.log_in(), "")
        browser = self.all.browser
        browser.until("document.getElementById('state').textContent === 'Connected by a relay (TURN, TLS)'")
        self.all.look()
        browser.run("keys('echo by-$((6*7))\\n')")
        browser.until("seen.includes('by-42')")
        self.assertEqual(self.home.count("logins"), 1)


class MovedTests(HomeCase):
    """Two coordinators."""

    def setUp(self) -> None:
        super().setUp()
        self.second = self.all.another(8443, 3479)
        self.addCleanup(self.second.stop)
        self.second.start()
        self.all.start()

    def test_moved(self) -> None:
        """
        The home is moved in the middle of a terminal's lines, then its first coordinator, which the page is from, is
        killed and the browser changes its network: each line and each key comes once, and nobody logs in again.
        """
        browser = self.all.browser
        self.all.log_in()
        self.all.look()
        browser.run("keys('stty -echo; for i in $(seq 400); do echo line-$i.; sleep 0.02; done; cat\\n')")
        browser.until("seen.includes('line-20.')")
        self.coordinator.make("move", "all", self.second.make("invite", "--address", PUBLIC))
        self.assertEqual((self.second.count("homes"), browser.run("inside.presence.again")), (1, 0))
        self.coordinator.kill()
        self.all.other_network()
        browser.run("keys('typed-1.\\n')")
        browser.until("inside.presence.again === 1 && seen.includes('typed-1.')")
        lines = [word for word in browser.run("seen").split() if word.startswith(("line-", "typed-"))]
        shown = [word for word in lines if "$" not in word and word.endswith(".")]
        self.assertEqual(shown, [*(f"line-{number}." for number in range(1, 401)), "typed-1."])
        self.assertEqual(self.home.count("logins"), 1)
        self.assertEqual(self.second.count("calls"), 1)


class RelayedTests(HomeCase):
    """A browser whose network lets no UDP out, a home that names no TURN server."""

    def test_always_connects(self) -> None:
        """Through the coordinator, which sees nothing of it: terminal and files work, and go on through a change."""
        self.home.under = ("env", f"SSL_CERT_FILE={self.box.node('relay').dir}/certificate.pem")
        for router in ("nat1", "nat2"):
            self.box.set_nat(router, "udp_blocked")
        self.all.start()
        self.assertEqual(self.all.log_in(), "")
        browser = self.all.browser
        browser.until("document.getElementById('state').textContent === 'Connected through the coordinator'")
        self.all.look()
        browser.run("keys('echo by-$((6*7))\\n')")
        browser.until("seen.includes('by-42')")
        content = os.urandom(3_000_000)
        (self.share / "down.bin").write_bytes(content)
        self.all.script(
            "window.pieces = []; window.part = 0; window.got = download(session, 'down.bin', (piece) => {"
            " pieces.push(piece); }, (at) => { part = at; }); return 0"
        )
        browser.until("part > 500000")
        self.all.other_network()
        found = self.all.script(
            "await got; const whole = await new Blob(pieces).arrayBuffer(); const sum = await"
            " crypto.subtle.digest('SHA-256', whole); return Array.from(new Uint8Array(sum))"
        )
        self.assertEqual(bytes(found), hashlib.sha256(content).digest())
        self.assertEqual(self.home.count("logins"), 1)
        self.assertEqual(self.coordinator.count("between_pairs"), 2)


class BrowserTests(BrowserCase):
    def test_terminal(self) -> None:
        """
        A terminal on a login shell: through a change of network in the middle every line comes once, and every key
        arrives once, those too that were typed while there was no network, which is for eight looks of the page at the
        most (G1); it goes on with the coordinator dead.
        """
        self.all.log_in("wrong password")
        self.assertEqual(self.browser.run("document.getElementById('trouble').textContent"), "wrong password")
        self.all.log_in()
        self.all.look()
        self.browser.run("keys('stty -echo; for i in $(seq 300); do echo line-$i.; sleep 0.02; done; cat\\n')")
        self.browser.until("seen.includes('line-50.')")
        self.all.other_network()
        self.browser.run("keys('typed-1.\\n')")
        self.browser.until("inside.presence.again === 1")
        (gap,) = self.browser.run("inside.presence.gaps")
        self.assertIn(gap, range(1, MOST_LOOKS + 1))
        self.browser.run("keys('typed-2.\\n')")
        self.browser.until("seen.includes('typed-2.')")
        lines = [word for word in self.browser.run("seen").split() if word.startswith(("line-", "typed-"))]
        shown = [word for word in lines if "$" not in word and word.endswith(".")]
        self.assertEqual(shown, [*(f"line-{number}." for number in range(1, 301)), "typed-1.", "typed-2."])
        self.coordinator.stop()
        self.browser.run("keys('typed-3.\\n')")
        self.browser.until("seen.includes('typed-3.')")
        self.assertEqual(self.home.count("logins"), 1)
        self.assertEqual(self.home.count("logins_wrong"), 1)

    def test_lives_at_home(self) -> None:
        """
        A reload and a login later a terminal is where it was, with 6000 lines of its past, and a download goes on from
        the byte; a killed coordinator knows its homes again.
        """
        content = os.urandom(LARGE)
        (self.share / "large.bin").write_bytes(content)
        downloads = Path(self.home.node.dir) / "downloads"
        self.browser.downloads_to(downloads)
        self.all.log_in()
        self.all.look()
        self.browser.run("keys('A=kept; echo before-reload\\n')")
        self.browser.until("seen.split('before-reload').length > 2")
        self.browser.run("keys('seq -f row-%g. 6000\\n')")
        self.browser.until("seen.includes('row-6000.')")
        self.browser.click("#open-files")
        self.browser.click(DOWNLOAD)
        self.browser.until("document.querySelector('#files progress').value > 0.3", 60.0)
        self.coordinator.kill()
        self.coordinator.start()
        self.all.look_again()
        self.browser.ask("Page.reload")
        self.browser.until("document.readyState === 'complete' && !window.inside")
        self.all.log_in()
        self.all.look()
        self.browser.until("seen.includes('before-reload')")
        self.browser.run("keys('echo $A-$((6*7))\\n')")
        self.browser.until("seen.includes('kept-42')")
        rows = [each for each in self.browser.run("seen").split() if each.startswith("row-") and "%" not in each]
        self.assertEqual(rows, [f"row-{number}." for number in range(1, 6001)])
        self.assertEqual(self.home.count("terminals"), 1)
        self.browser.click("#open-files")
        before = self.browser.run("inside.session.expected")
        self.browser.click(DOWNLOAD)
        self.browser.until("document.querySelector('#files [role=status]').textContent.includes('is here')", 60.0)
        items = self.browser.run("inside.session.expected") - before
        self.assertLess(items * LONGEST, LARGE * 0.8)
        saved = downloads / "large.bin"
        wait_for("the browser has put it down", lambda: saved.exists() and saved.read_bytes() == content)


class FilesTests(BrowserCase):
    def test_files(self) -> None:
        """Up and down through a change of network each: the same bytes; nothing was asked of anybody else."""
        content = os.urandom(6_000_000)
        (self.share / "down.bin").write_bytes(content)
        self.all.log_in()
        self.all.script(
            "const data = new Uint8Array(6000000).map((_, i) => i * 31 >> 3);"
            "window.up = new File([data], 'up.bin', {lastModified: 1}); window.part = 0;"
            "window.sent = upload(session, 'up.bin', up, (at) => { part = at; }); return 0"
        )
        self.browser.until("part > 1000000")
        self.all.other_network()
        self.all.script("await sent; return 0")
        up = bytes(index * 31 >> 3 & 255 for index in range(6_000_000))
        self.assertEqual(hashlib.sha256((self.share / "up.bin").read_bytes()).digest(), hashlib.sha256(up).digest())
        self.all.script(
            "window.pieces = []; window.part = 0; window.got = download(session, 'down.bin', (piece) => {"
            " pieces.push(piece); }, (at) => { part = at; }); return 0"
        )
        self.browser.until("part > 1000000")
        self.all.first_network()
        found = self.all.script(
            "await got; const whole = await new Blob(pieces).arrayBuffer(); const sum = await"
            " crypto.subtle.digest('SHA-256', whole); return Array.from(new Uint8Array(sum))"
        )
        self.assertEqual(bytes(found), hashlib.sha256(content).digest())
        # One for each change; a machine that stands still for 0.8 s costs one more, and nothing else.
        self.assertGreaterEqual(self.browser.run("inside.presence.again"), 2)
        self.assertEqual({each.split("/")[2] for each in self.browser.requests if "//" in each}, {PUBLIC})
        self.assertEqual([each for each in self.browser.console if "net::" not in each], [])

    def test_loss(self) -> None:
        """Of all datagrams 2 % are lost, each way, 40 ms round: the same bytes up and down."""
        content = os.urandom(1_000_000)
        (self.share / "down.bin").write_bytes(content)
        self.all.log_in()
        wire = self.box.wire("out1")
        wire.both(loss=0.02, delay=0.02)
        self.all.script(
            "const data = new Uint8Array(1000000).map((_, i) => i * 31 >> 3);"
            "await upload(session, 'up.bin', new File([data], 'up.bin', {lastModified: 1}), () => {}); return 0"
        )
        self.assertEqual((self.share / "up.bin").read_bytes(), bytes(i * 31 >> 3 & 255 for i in range(1_000_000)))
        found = self.all.script(
            "const pieces = []; await download(session, 'down.bin', (piece) => { pieces.push(piece); }, () => {});"
            "const whole = await new Blob(pieces).arrayBuffer();"
            "return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', whole)))"
        )
        self.assertEqual(bytes(found), hashlib.sha256(content).digest())
        told = wire.counters()
        self.assertGreater(min(told[way]["dropped_loss"] for way in ("there", "back")), 5)


class AiortcTests(FilesTests):
    """The same through the make that is not taken by itself."""

    webrtc = "aiortc"
    rootless = False
