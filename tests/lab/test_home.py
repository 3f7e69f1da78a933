"""A home behind a NAT, a real Chromium behind another, a coordinator: what a user does, and what the network does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.homes import RELAYS, Home, homes
from morphnet.lab.topologies import Cable, End, Route, Topology
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.case import NOT_HERE
from tests.lab.chromium import CHROMIUM, Chromium

PASSWORD = "correct horse battery"
MISSING = NOT_HERE or (None if CHROMIUM else "no chromium here (Debian package chromium)")


def network() -> Topology:
    """The home m0 behind nat0; the browser m1 behind nat1, with a second way out, by nat2."""
    plain = homes([Home(), Home(), Home()], name="browser")
    second = Cable(End("m1", "eth1", ("192.168.3.77/24",)), End("nat2", "lan1"), offloads=False)
    bridges = tuple(
        dataclasses.replace(each, ports=(*each.ports, "lan1")) if each.node == "nat2" else each
        for each in plain.bridges
    )
    return dataclasses.replace(plain, cables=(*plain.cables, second), bridges=bridges)


class HomeDaemon(Daemon):
    """`twistd morph-coordinator` or `twistd morph-home`."""

    @property
    def run_dir(self) -> Path:
        return self.etc / f"run-{self.role.removeprefix('morph-')}"

    def make(self, *words: str) -> str:
        """`morphnet coordinator ...` or `morphnet home ...`: the last line that it printed."""
        kind = self.role.removeprefix("morph-")
        return self.morphnet(kind, *words, "--dir", str(self.etc)).strip().splitlines()[-1]

    def count(self, name: str) -> int:
        """What it has counted."""
        status = self.status()
        return int({**status["counters"], **status["levels"]}.get(name, 0))


class HomeCase(SynchronousTestCase):
    """All of it, and a browser that has opened the link."""

    skip = MISSING
    timeout = 120

    def setUp(self) -> None:
        self.box = Box(network())
        self.addCleanup(self.box.stop)
        self.box.start()
        self.coordinator = HomeDaemon(
            self.box.node("relay"), "morph-coordinator", "coordinator", {"listen": ["0.0.0.0"]}
        )
        self.home = HomeDaemon(self.box.node("m0"), "morph-home", "home", {})
        self.addCleanup(self.home.stop)
        self.addCleanup(self.coordinator.stop)
        certificate, key = self._certificate()
        self.coordinator.make("init", "--certificate", certificate, "--key", key)
        line = self.coordinator.make("invite", "--address", RELAYS[0])
        self.share = Path(self.home.node.dir) / "share"
        self.share.mkdir()
        secret = Path(self.home.node.dir) / "secret"
        secret.write_text(PASSWORD + "\n")
        services = ("--files", str(self.share), "--write", "--terminal")
        self.link = self.home.make("init", line, *services, "--password-file", str(secret))
        self.coordinator.start()
        self.home.start()
        wait_for("the home is registered", lambda: self.coordinator.count("homes") == 1)
        self.browser = Chromium(self.box.node("m1"), Path(self.box.node("m1").dir) / "profile")
        self.addCleanup(self.browser.stop)
        self.browser.go(self.link)

    def _certificate(self) -> tuple[str, str]:
        files = [str(Path(self.box.node("relay").dir) / name) for name in ("certificate.pem", "key.pem")]
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=c"
        words += f" -addext subjectAltName=IP:{RELAYS[0]}"
        subprocess.run([*words.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
        return files[0], files[1]

    def log_in(self, password: str = PASSWORD) -> None:
        """Type it and wait for what comes of it."""
        self.browser.run("document.addEventListener('entered', (e) => { window.inside = e.detail; })")
        self.browser.run(
            f"document.getElementById('password').value = {json.dumps(password)};"
            "document.getElementById('trouble').textContent = ''; document.getElementById('enter').click()"
        )
        self.browser.until("window.inside || document.getElementById('trouble').textContent")

    def look(self) -> None:
        """Look at a terminal: what it says is in `seen`; `keys` types."""
        self.browser.run(
            "window.seen = ''; window.stream = inside.session.open({service: 'terminal', name: 'test', rows: 24,"
            " columns: 80}); const reading = new TextDecoder();"
            "stream.onbytes = (bytes) => { seen += reading.decode(bytes, {stream: true}); stream.took(bytes.length); };"
            "window.keys = (text) => stream.write(new TextEncoder().encode(text)); 0"
        )

    def other_network(self) -> None:
        """The laptop leaves its network without a word, and is in another one."""
        self.box.link_down("m1", "eth0")
        self.box.route("m1", add=[Route("default", "192.168.3.1", "eth1", 50)])

    def script(self, text: str, within: float = 60.0) -> Any:
        """An async function's body, with the page's own modules."""
        return self.browser.run(
            "(async () => { const {upload, download} = await import('/files.js'); const session = inside.session;"
            f"{text} }})()",
            within,
        )


class BrowserTests(HomeCase):
    def test_terminal(self) -> None:
        """
        A terminal on a login shell: through a change of network in the middle every line comes once, and every key
        arrives once, those too that were typed while there was no network; it goes on with the coordinator dead.
        """
        self.log_in("wrong password")
        self.assertEqual(self.browser.run("document.getElementById('trouble').textContent"), "wrong password")
        self.log_in()
        self.look()
        self.browser.until("/[$#] $/.test(seen)")
        self.browser.run("keys('stty -echo; for i in $(seq 300); do echo line-$i.; sleep 0.02; done; cat\\n')")
        self.browser.until("seen.includes('line-50.')")
        self.other_network()
        self.browser.run("keys('typed-1.\\n')")
        self.browser.until("inside.presence.again === 1")
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
        """A reload and a login later a terminal is where it was; a killed coordinator knows its homes again."""
        self.log_in()
        self.look()
        self.browser.until("/[$#] $/.test(seen)")
        self.browser.run("keys('A=kept; echo before-reload\\n')")
        self.browser.until("seen.split('before-reload').length > 2")
        self.coordinator.kill()
        self.coordinator.start()
        assert self.home.process is not None  # started
        self.home.process.send_signal(signal.SIGHUP)  # look at once, and not at the next ping
        wait_for("the home is registered again", lambda: self.coordinator.count("homes") == 1, 60.0)
        self.browser.ask("Page.reload")
        self.browser.until("document.readyState === 'complete' && !window.inside")
        self.log_in()
        self.look()
        self.browser.until("seen.includes('before-reload')")
        self.browser.run("keys('echo $A-$((6*7))\\n')")
        self.browser.until("seen.includes('kept-42')")
        self.assertEqual(self.home.count("terminals"), 1)

    def test_files(self) -> None:
        """Up and down through a change of network each: the same bytes; nothing was asked of anybody else."""
        content = os.urandom(6_000_000)
        (self.share / "down.bin").write_bytes(content)
        self.log_in()
        self.script(
            "const data = new Uint8Array(6000000).map((_, i) => i * 31 >> 3);"
            "window.up = new File([data], 'up.bin', {lastModified: 1}); window.part = 0;"
            "window.sent = upload(session, 'up.bin', up, (at) => { part = at; }); return 0"
        )
        self.browser.until("part > 1000000")
        self.other_network()
        self.script("await sent; return 0")
        up = bytes(index * 31 >> 3 & 255 for index in range(6_000_000))
        self.assertEqual(hashlib.sha256((self.share / "up.bin").read_bytes()).digest(), hashlib.sha256(up).digest())
        self.script(
            "window.pieces = []; window.part = 0; window.got = download(session, 'down.bin', (piece) => {"
            " pieces.push(piece); }, (at) => { part = at; }); return 0"
        )
        self.browser.until("part > 1000000")
        self.box.link_up("m1", "eth0")
        self.box.route("m1", add=[Route("default", "192.168.2.1", "eth0", 100)])
        self.box.link_down("m1", "eth1")
        found = self.script(
            "await got; const whole = await new Blob(pieces).arrayBuffer(); const sum = await"
            " crypto.subtle.digest('SHA-256', whole); return Array.from(new Uint8Array(sum))"
        )
        self.assertEqual(bytes(found), hashlib.sha256(content).digest())
        self.assertEqual(self.browser.run("inside.presence.again"), 2)
        self.assertEqual({each.split("/")[2] for each in self.browser.requests if "//" in each}, {RELAYS[0]})
        self.assertEqual([each for each in self.browser.console if "net::" not in each], [])
