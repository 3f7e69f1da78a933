"""Many connections over loopback, by real processes."""

from __future__ import annotations

import json
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import ROOT, environment
from morphnet.lab.crowded import LEAST_UNSENT, MOST_UNSENT, unsent
from tests.ports import free_port

CONNECTIONS = 300


class CrowdedTests(SynchronousTestCase):
    rootless = False

    def _started(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "morphnet.lab.crowded", *words]
        started = subprocess.Popen(command, env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.addCleanup(started.communicate)
        self.addCleanup(started.kill)
        return started

    def test_loopback(self) -> None:
        """All connect before one gives, and what came is told."""
        port = str(free_port())
        taking = self._started("take", port)
        assert taking.stdout is not None
        taking.stdout.readline()
        giving = self._started("give", port, "--connections", str(CONNECTIONS))
        assert giving.stdout is not None
        self.assertEqual(json.loads(giving.stdout.readline()), {"connected": CONNECTIONS})
        self.assertGreater(json.loads(taking.stdout.readline())["mbit_s"], 0)

    def test_unsent(self) -> None:
        """Few have much room with the kernel, and many have some."""
        self.assertEqual([unsent(1), unsent(10**9)], [MOST_UNSENT, LEAST_UNSENT])
