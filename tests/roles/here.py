"""Real processes on loopback, in the place of those in a box."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from tempfile import mkdtemp
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import BoxNode
from morphnet.lab.browsing import HomeDaemon
from tests.ports import free_port

HOST = "127.0.0.1"


class Here:
    """This machine, in the place of a BoxNode."""

    def __init__(self) -> None:
        self.dir = mkdtemp()  # short: sockets are in it

    def popen(self, words: Sequence[str], **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(words, text=True, **more)

    def run(self, words: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, text=True, capture_output=True, timeout=timeout, check=False)


class HereCase(SynchronousTestCase):
    """Processes in a directory that is removed in the end, as they are ended."""

    def setUp(self) -> None:
        self.here, self.pages, self.udp = Here(), dict[str, str](), dict[str, int]()
        self.addCleanup(shutil.rmtree, self.here.dir)

    def daemon(self, role: str, name: str, **settings: object) -> HomeDaemon:
        daemon = HomeDaemon(cast("BoxNode", self.here), role, name, settings)
        self.addCleanup(daemon.stop)
        return daemon

    def coordinator(self, name: str, **settings: object) -> HomeDaemon:
        """One that runs; the address of its page is in `pages`."""
        self.pages[name] = f"http://{HOST}:{free_port()}"
        daemon = self.daemon("morph-coordinator", name, **settings)
        daemon.make("init", "--plain", "--port", self.pages[name].rpartition(":")[2])
        file = daemon.etc / "coordinator.toml"
        self.udp[name] = free_port()
        file.write_text(f"home_port = {self.udp[name]}\n{file.read_text()}")
        daemon.start()
        return daemon
