"""
A coordinator, a home behind a NAT and a real Chromium behind another: what tests and demo of `home` have in common.

Source: docs/home; docs/lab, "Demos".
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from morphnet.lab.box import Box
from morphnet.lab.chromium import Chromium
from morphnet.lab.homes import RELAYS, Home, homes
from morphnet.lab.topologies import Cable, End, Route, Topology, Way
from morphnet.lab.vpn import Daemon, wait_for

PASSWORD = "correct horse battery"
PUBLIC = RELAYS[0]  # the coordinator's address


def download_of(name: str) -> str:
    """What selects the button that downloads a file, which its name need not do: it may show it."""
    return f"#files button[aria-label='Download {name}']"


def browsing(way: Way | None = None) -> Topology:
    """The home m0 behind nat0; the browser m1 behind nat1, with a second way out, by nat2."""
    each = Home() if way is None else Home(way=way)
    plain = homes([each, each, each], name="browser")
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


class Browsing:
    """
    All of it in a box that is running: made, nothing started.

    :ivar share: the directory whose files browsers get.
    :ivar link: what a browser opens.
    """

    def __init__(self, box: Box, port: int = 443) -> None:
        """:param port: of the page."""
        self.box = box
        self.coordinator = HomeDaemon(box.node("relay"), "morph-coordinator", "coordinator", {"listen": ["0.0.0.0"]})
        self.home = HomeDaemon(box.node("m0"), "morph-home", "home", {})
        self._tls = self._certificate()
        self.coordinator.make("init", *self._tls, "--port", str(port))
        line = self.coordinator.make("invite", "--address", PUBLIC)
        self.share = Path(self.home.node.dir) / "share"
        self.share.mkdir()
        secret = Path(self.home.node.dir) / "secret"
        secret.write_text(PASSWORD + "\n")
        services = ("--files", str(self.share), "--write", "--terminal")
        self.link = self.home.make("init", line, *services, "--password-file", str(secret))
        self._browser: Chromium | None = None

    def _certificate(self) -> tuple[str, ...]:
        files = [str(Path(self.box.node("relay").dir) / name) for name in ("certificate.pem", "key.pem")]
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=c"
        words += f" -addext subjectAltName=IP:{PUBLIC}"
        subprocess.run([*words.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
        return "--certificate", files[0], "--key", files[1]

    def _public_key(self) -> str:
        certificate = x509.load_pem_x509_certificate(Path(self._tls[1]).read_bytes())
        known = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(known).digest()).decode("ascii")

    def another(self, port: int, home_port: int) -> HomeDaemon:
        """A second coordinator, at the same address; each is a fallback of the other. It is not started."""
        second = HomeDaemon(self.coordinator.node, "morph-coordinator", "second", {"listen": ["0.0.0.0"]})
        second.make("init", *self._tls, "--port", str(port))
        file = second.etc / "coordinator.toml"
        file.write_text(f"home_port = {home_port}\n{file.read_text()}")
        for each, other in ((self.coordinator, second), (second, self.coordinator)):
            each.make("fallbacks", other.make("invite", "--address", PUBLIC, "--homes", "5"))
        return second

    def start(self) -> None:
        """Coordinator and home, until the home is registered."""
        self.coordinator.start()
        self.home.start()
        self.wait_registered()

    def wait_registered(self, within: float = 60.0) -> None:
        """:raises NotInTime: the coordinator does not know the home."""
        wait_for("the home is registered", lambda: self.coordinator.count("homes") == 1, within)

    def look_again(self) -> None:
        """Have the home look whether it is registered, and not wait for its next ping."""
        self.home.send_signal(signal.SIGHUP)
        self.wait_registered()

    @property
    def browser(self) -> Chromium:
        """The browser, which has opened the link."""
        if self._browser is None:
            node = self.box.node("m1")
            self._browser = Chromium(node, Path(node.dir) / "profile", self._public_key())
            self._browser.go(self.link)
        return self._browser

    def log_in(self, password: str = PASSWORD) -> str:
        """Type it and wait for what comes of it: what the page complains of, or ""; `inside` is then what it has."""
        self.browser.run("document.addEventListener('entered', (e) => { window.inside = e.detail; })")
        self.browser.run(
            f"document.getElementById('password').value = {json.dumps(password)};"
            "document.getElementById('trouble').textContent = ''; document.getElementById('enter').click()"
        )
        self.browser.until("window.inside || document.getElementById('trouble').textContent")
        return str(self.browser.run("document.getElementById('trouble').textContent"))

    def look(self, name: str = "test", rows: int = 24, columns: int = 80) -> None:
        """Look at a terminal: what it says is in `seen`; `keys` types."""
        asked = json.dumps({"service": "terminal", "name": name, "rows": rows, "columns": columns})
        self.browser.run(
            f"window.seen = ''; window.stream = inside.session.open({asked}); window.reading = new TextDecoder();"
            "stream.onbytes = (bytes) => { seen += reading.decode(bytes, {stream: true}); stream.took(bytes.length); };"
            "window.keys = (text) => stream.write(new TextEncoder().encode(text)); 0"
        )
        self.browser.until("/[$#] $/.test(seen)")

    def script(self, text: str, within: float = 60.0) -> Any:
        """An async function's body, with the page's own modules."""
        return self.browser.run(
            "(async () => { const {upload, download} = await import('/transfers.js'); const session = inside.session;"
            f"{text} }})()",
            within,
        )

    def other_network(self) -> None:
        """The laptop leaves its network without a word, and is in another one."""
        self.box.link_down("m1", "eth0")
        self.box.route("m1", add=[Route("default", "192.168.3.1", "eth1", 50)])

    def first_network(self) -> None:
        """And back."""
        self.box.link_up("m1", "eth0")
        self.box.route("m1", add=[Route("default", "192.168.2.1", "eth0", 100)])
        self.box.link_down("m1", "eth1")

    def stop(self) -> None:
        """End every process."""
        if self._browser is not None:
            self._browser.stop()
        self.home.stop()
        self.coordinator.stop()
