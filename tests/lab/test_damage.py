"""Whatever became of a server's files: it serves, or says one sentence, and leaves its host as it was."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from morphnet.lab.vpn import wait_for
from tests.lab.case import LabCase

GARBAGE = bytes(range(256)) * 8


NOT_READ = ("relay.toml", "run/manhole.known_hosts", "run/manhole.ssh_config")
DAMAGES: dict[str, Callable[[Path], object]] = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage": lambda path: path.write_bytes(GARBAGE),
}


class DamageTests(LabCase):
    rootless = False  # nothing of it depends on who one is

    def test_every_file(self) -> None:
        """Each file, cut short or full of rubbish: no traceback, and nothing is left on the host."""
        etc, whole = self.server.etc, self.server.etc.with_name("whole")
        self.server.stop()
        shutil.copytree(etc, whole, ignore=shutil.ignore_patterns("*.sock"))
        self.addCleanup(shutil.rmtree, whole)
        before = self._host()
        files = sorted(str(each.relative_to(whole)) for each in whole.rglob("*") if each.is_file())
        files = [each for each in files if each not in NOT_READ]
        for needed in ("state/host-journal", "state/morphnet.db", "pki/gw.example.pem", "server.toml"):
            self.assertIn(needed, files)
        for file in files:
            for name, damage in DAMAGES.items():
                self._again(whole)
                damage(etc / file)
                self._started_and_stopped(f"{file}, {name}")
                self.assertEqual(self._host(), before, (file, name))
        self._again(whole)
        self.server.start()
        self.both_active()

    def _again(self, whole: Path) -> None:
        shutil.rmtree(self.server.etc)
        shutil.copytree(whole, self.server.etc)

    def _started_and_stopped(self, what: str) -> None:
        self.server.log.write_text("")
        self.server.start(wait=False)
        process = self.server.process
        assert process is not None
        wait_for(what, lambda: process.poll() is not None or self.server.answers())
        ended = process.poll()
        self.server.stop()
        log = self.server.log.read_text()
        self.assertNotIn("Traceback", log, what)
        if ended is not None:
            self.assertIn("morphnet: ", log, what)
        self.assertIn(process.returncode, (-signal.SIGTERM,) if ended is None else (1, os.EX_CONFIG), (what, log))

    def _host(self) -> list[str]:
        """What a server changes, as it is now."""
        devices = "import socket; print(sorted(name for _, name in socket.if_nameindex()))"
        asked = (["cat", "/proc/sys/net/ipv4/ip_forward"], [sys.executable, "-c", devices])
        return [str(self.box.node("server").run(words).stdout) for words in asked]
