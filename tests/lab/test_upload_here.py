"""An upload server is made, started, looked at and stopped by `morphnet` alone, and joined as it says itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.topologies import Node, Topology
from morphnet.lab.vpn import BIN
from tests.lab.nginx import NGINX, Nginx
from tests.lab.scene import NOT_HERE
from tests.lab.xmpp_servers import EJABBERD, PROSODY, Ejabberd, Prosody, by_slixmpp

PROXY = 8080
URL = f"http://localhost:{PROXY}/upload/"


class HereCase(SynchronousTestCase):
    """A machine on which `morphnet upload init` has been run."""

    skip = NOT_HERE
    timeout = 120
    rootless: ClassVar[bool] = False

    def setUp(self) -> None:
        """:ivar told: the lines that it printed."""
        self.box = Box(Topology("upload", (Node("host"),)))
        self.addCleanup(self.box.stop)
        self.box.start()
        self.node = self.box.node("host")
        self.etc = Path(self.node.dir) / "etc"
        self.told = self.says(0, "upload", "init", "--url", URL)
        self.addCleanup(self.run_here, "down")

    def run_here(self, *words: str) -> tuple[int, list[str]]:
        """Exit code and lines of a command."""
        done = self.node.run([str(BIN / "morphnet"), *words, "--dir", str(self.etc)], timeout=60)
        return done.returncode, (done.stdout + done.stderr).splitlines()

    def says(self, code: int, *words: str) -> list[str]:
        """Its lines; it must end with that code."""
        got, lines = self.run_here(*words)
        self.assertEqual(got, code, lines)
        return lines

    def printed(self, first: str) -> str:
        """The block that begins with that line, as `init` has printed it."""
        start = next(number for number, line in enumerate(self.told) if line.strip() == first)
        end = self.told.index("", start) if "" in self.told[start:] else len(self.told)
        return "".join(f"{line}\n" for line in self.told[start:end])


class CommandTests(HereCase):
    """The commands that every role has."""

    def test_up_and_down(self) -> None:
        """Up, seen by both kinds of `status`, told to read again, its events, and down: nothing is left of it."""
        self.says(1, "status")
        self.assertEqual(self.says(0, "up"), ["upload is up: serving"])
        self.assertEqual(self.says(0, "up", "upload"), ["upload was up already: serving"])
        for words in (("status",), ("upload", "status")):
            self.assertTrue(self.says(0, *words)[0].startswith("upload upload  serving"), words)
        self.assertEqual(json.loads("".join(self.says(0, "upload", "status", "--json")))["role"], "upload")
        secret = self.etc / "upload.secret"
        secret.write_text("another secret of it\n" + secret.read_text())
        self.assertIn("the secrets are read again", self.says(0, "reload")[0])
        self.assertIn("restart the process", self.says(0, "set", "max_size", "1000")[1])
        secret.write_text("short\n")
        self.assertIn("shorter than", self.says(1, "reload")[0])
        self.says(0, "events")
        self.assertEqual(self.says(0, "down"), ["upload is down"])
        self.assertEqual(self.says(0, "down"), ["upload did not run"])
        self.assertEqual([each.name for each in (self.etc / "run-upload").iterdir() if each.suffix == ".sock"], [])


class QuickstartTests(HereCase):
    """What `init` prints is pasted into the real servers as it is."""

    def arrives(self, jid: str, port: int) -> None:
        """A file goes through nginx, and comes back by its address."""
        self.says(0, "up")
        nginx = Nginx(self.node, PROXY, self.printed("location /upload/ {"))
        self.addCleanup(nginx.stop)
        nginx.start()
        file = Path(self.node.dir) / "näme of it.png"
        file.write_bytes(os.urandom(11_000_000))  # more than Prosody takes if nobody says how much it may
        url = by_slixmpp(self.node, jid, port, file, "image/png")["url"]
        self.assertTrue(url.startswith(URL), url)
        got = Path(self.node.dir) / "got"
        done = self.node.run(["curl", "-sS", "-o", str(got), "-w", "%{http_code} %{content_type}", url])
        self.assertEqual(done.stdout, "200 image/png")
        self.assertEqual(got.read_bytes(), file.read_bytes())

    def test_prosody(self) -> None:
        """Debian's Prosody, with `http_file_share`."""
        text = self.printed('Component "upload.localhost" "http_file_share"')
        prosody = Prosody(self.node, 'VirtualHost "localhost"\n' + text, ("localhost",))
        self.addCleanup(prosody.stop)
        prosody.start()
        self.arrives("alice@localhost", prosody.port)

    def test_ejabberd(self) -> None:
        """Debian's ejabberd, with `external_secret`."""
        ejabberd = Ejabberd(self.node, self.printed("mod_http_upload:"))
        ejabberd.start()
        self.arrives("alice@localhost", ejabberd.port)

    if not (PROSODY and NGINX):
        test_prosody.skip = "no prosody or no nginx here"  # type: ignore[attr-defined]
    if not (EJABBERD and NGINX):
        test_ejabberd.skip = "no ejabberd or no nginx here"  # type: ignore[attr-defined]
