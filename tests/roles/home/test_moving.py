"""Real processes on loopback: a home, two coordinators, and what the operator and bad luck do to them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import BoxNode
from morphnet.lab.browsing import PASSWORD, HomeDaemon
from morphnet.lab.vpn import BIN, wait_for
from morphnet.net import rtc

HOST = "127.0.0.1"


class Here:
    """This machine, in the place of a BoxNode."""

    def __init__(self) -> None:
        self.dir = mkdtemp()  # short: sockets are in it

    def popen(self, words: Sequence[str], **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(words, text=True, **more)

    def run(self, words: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, text=True, capture_output=True, timeout=timeout, check=False)


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as door:
        door.bind((HOST, 0))
        return int(door.getsockname()[1])


class MovingTests(SynchronousTestCase):
    skip = None if rtc.AVAILABLE else "no WebRTC here: pip install 'morphnet[home]'"
    timeout = 120

    def setUp(self) -> None:
        self.here, self.pages = Here(), dict[str, str]()
        self.addCleanup(shutil.rmtree, self.here.dir)
        self.first, self.second = self.coordinator("first"), self.coordinator("second")
        self.home = self.daemon("morph-home", "home", {})
        secret = Path(self.here.dir) / "secret"
        secret.write_text(PASSWORD + "\n")
        self.home.make("init", self.invite(self.first), "--user", "", "--password-file", str(secret))

    def daemon(self, role: str, name: str, settings: dict[str, object]) -> HomeDaemon:
        daemon = HomeDaemon(cast("BoxNode", self.here), role, name, settings)
        self.addCleanup(daemon.stop)
        return daemon

    def coordinator(self, name: str) -> HomeDaemon:
        self.pages[name] = f"http://{HOST}:{free_port(socket.SOCK_STREAM)}"
        daemon = self.daemon("morph-coordinator", name, {})
        daemon.make("init", "--plain", "--port", self.pages[name].rpartition(":")[2])
        file = daemon.etc / "coordinator.toml"
        file.write_text(f"home_port = {free_port(socket.SOCK_DGRAM)}\n{file.read_text()}")
        daemon.start()
        return daemon

    def invite(self, coordinator: HomeDaemon, *words: str) -> str:
        return coordinator.make("invite", "--address", HOST, "--page", self.pages[coordinator.name], *words)

    def says(self, coordinator: HomeDaemon, *words: str) -> tuple[int, str]:
        """Exit code of `morphnet coordinator ...`, and what it said."""
        done = self.here.run([str(BIN / "morphnet"), "coordinator", *words, "--dir", str(coordinator.etc)], 60.0)
        return done.returncode, done.stdout + done.stderr

    def wait_at(self, coordinator: HomeDaemon) -> None:
        """The home is registered there, and as far as is known nowhere else."""

        def there() -> bool:
            others = [each for each in (self.first, self.second) if each is not coordinator and each.answers()]
            return coordinator.count("homes") == 1 and not any(each.count("homes") for each in others)

        wait_for(f"the home is at the {coordinator.name} coordinator", there, 60.0)

    def look(self) -> None:
        """The home finds out now how its coordinators are."""
        assert self.home.process is not None
        os.kill(self.home.process.pid, signal.SIGHUP)

    def test_move_and_fall_back(self) -> None:
        """
        A home is moved while it runs; a move to where it is not let in changes nothing. With its coordinator killed it
        goes to the fallback, also when it starts, and comes back.
        """
        self.home.start()
        self.wait_at(self.first)
        stale = self.invite(self.second, "--days", "0")
        code, text = self.says(self.first, "move", "all", stale)
        self.assertEqual((code, "not invited" in text, "0 moved" in text), (1, True, True), text)
        self.wait_at(self.first)
        code, text = self.says(self.first, "move", "all", self.invite(self.second))
        self.assertEqual((code, "1 moved" in text), (0, True), text)
        self.wait_at(self.second)
        self.assertTrue(self.home.make("link").startswith(self.pages["second"] + "/#"))
        self.second.kill()
        self.look()
        self.wait_at(self.first)
        self.home.kill()
        self.home.start()
        wait_for("it starts at the fallback", lambda: self.home.status()["state"] == "serving", 30.0)
        self.assertEqual(self.home.count("coordinators_fallback"), 1)
        self.second.start()
        self.look()
        self.wait_at(self.second)
        self.assertEqual(self.home.count("moves_failed"), 0)
