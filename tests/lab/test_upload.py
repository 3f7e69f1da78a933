"""The upload server with real XMPP servers, real clients, and kill -9: all on loopback, in a node of the lab."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.topologies import Node, Topology
from morphnet.lab.vpn import Daemon
from morphnet.wire.messages.upload.slots import mac_v1
from tests.lab.resuming import CUT
from tests.lab.scene import NOT_HERE
from tests.lab.xmpp_servers import EJABBERD, EJABBERD_SLOTS, PROSODY, Ejabberd, Prosody, by_slixmpp, every_slot

SECRET, PORT = "a secret of the lab", 8050
BASE = f"http://127.0.0.1:{PORT}/upload/"
SIZE = 3_000_000


class UploadDaemon(Daemon):
    """`twistd morph-upload` with a secret."""

    @property
    def run_dir(self) -> Path:
        return self.dir / "run"

    def prepare(self) -> None:
        """Write its secret and its settings."""
        self.etc.mkdir(parents=True)
        secret = self.etc / "secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        settings = {"secret_file": secret, "state_dir": self.dir / "state", "run_dir": self.run_dir}
        (self.etc / "upload.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))

    def counter(self, name: str) -> int:
        """What it has counted."""
        return int(self.status()["counters"].get(name, 0))


class UploadCase(SynchronousTestCase):
    """One node, with an upload server that runs."""

    skip = NOT_HERE
    timeout = 120
    rootless: ClassVar[bool] = False

    def setUp(self) -> None:
        self.box = Box(Topology("upload", (Node("host"),)))
        self.addCleanup(self.box.stop)
        self.box.start()
        self.node = self.box.node("host")
        self.daemon = UploadDaemon(self.node, "morph-upload", "upload", {"port": PORT})
        self.addCleanup(self.daemon.stop)
        self.daemon.prepare()
        self.daemon.start()

    def file(self, name: str, size: int = SIZE) -> Path:
        """One of random bytes."""
        path = Path(self.node.dir) / name
        path.write_bytes(os.urandom(size))
        return path

    def curl(self, *words: str, within: float = 30.0) -> str:
        """What curl prints: the body, and on a line of its own the status."""
        done = self.node.run(["curl", "-sS", "-w", "\n%{http_code}", *words], timeout=within)
        return str(done.stdout).rpartition("\n")[2]

    def same(self, url: str, file: Path) -> None:
        """The address gives the bytes of that file."""
        got = Path(self.node.dir) / "got"
        self.assertEqual(self.curl("-o", str(got), url), "200")
        self.assertEqual(_sum(got), _sum(file))

    def resumed(self, jid: str, port: int, file: Path) -> None:
        """Each client, with a slot of its own, is cut after a third and goes on as it does by itself."""
        slots = by_slixmpp(self.node, jid, port, file, "application/octet-stream", str(len(CUT)))["slots"]
        words = [sys.executable, "-m", "tests.lab.resuming", "all", str(file), json.dumps(slots)]
        done = self.node.run(words, timeout=60.0)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for each in slots:
            self.same(each["get"], file)

    def slot(self, path: str, size: int = SIZE) -> str:
        """Where a file may be put."""
        return f"{BASE}{path}?v={mac_v1(SECRET.encode(), path, size)}"


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class ProsodyTests(UploadCase):
    """Slots of a real Prosody, used by a real slixmpp, tuspy, tus-js-client and curl."""

    skip = NOT_HERE or (None if PROSODY else "no prosody here (Debian packages prosody, prosody-modules)")

    def setUp(self) -> None:
        super().setUp()
        self.prosody = Prosody(self.node, *every_slot(BASE, SECRET))
        self.addCleanup(self.prosody.stop)
        self.prosody.start()

    def test_slots(self) -> None:
        """v1, v2 and JWT: files with names of any kind arrive, text too, and their addresses give them."""
        for name, kind in (("näme with space.txt", "text/plain"), ("pic.png", "image/png")):
            file = self.file(name, 100_000)
            for host in ("v1", "v2", "jwt"):
                jid = f"alice@{host}.localhost"
                self.same(by_slixmpp(self.node, jid, self.prosody.port, file, kind)["url"], file)
        self.assertEqual(self.daemon.counter("uploads_complete"), 6)

    def test_resumed(self) -> None:
        """On slots of each kind: tuspy, tus-js-client, phones of each version are cut and go on; curl repeats PUT."""
        file = self.file("big.bin")
        for host in ("v1", "jwt"):
            self.resumed(f"alice@{host}.localhost", self.prosody.port, file)
        self.assertEqual(self.daemon.counter("uploads_complete"), 2 * len(CUT))


class EjabberdTests(UploadCase):
    """Slots of a real ejabberd."""

    skip = NOT_HERE or (None if EJABBERD else "no ejabberd here (Debian package ejabberd)")

    def test_slots(self) -> None:
        """Files arrive, and their addresses give them; slots are resumed by each client."""
        ejabberd = Ejabberd(self.node, EJABBERD_SLOTS.format(base=BASE.rstrip("/"), secret=SECRET))
        ejabberd.start()
        for name, kind in (("näme with space.txt", "text/plain"), ("pic.png", "image/png")):
            file = self.file(name, 100_000)
            self.same(by_slixmpp(self.node, "alice@localhost", ejabberd.port, file, kind)["url"], file)
        self.resumed("alice@localhost", ejabberd.port, self.file("big.bin"))


class CrashTests(UploadCase):
    """Nothing acknowledged is lost."""

    def test_kill(self) -> None:
        """Killed again and again while a file comes in: no offset goes back, and the file is whole in the end."""
        file = self.file("big.bin", 30_000_000)
        words = [sys.executable, "-m", "tests.lab.resuming", "stubborn", self.slot("k/big.bin", 30_000_000), str(file)]
        client = self.node.popen([*words, "{}"], stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        for _ in range(5):
            client.stdout.readline()  # it has got on
            self.daemon.kill()
            self.daemon.start()
        out, _ = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 0, out)
        said = json.loads(out.splitlines()[-1])
        self.assertEqual(said["went_back"], 0)
        self.assertGreaterEqual(said["cuts"], 4)
        self.same(f"{BASE}k/big.bin", file)
        self.assertEqual(unquote(urlsplit(f"{BASE}k/big.bin").path), "/upload/k/big.bin")
