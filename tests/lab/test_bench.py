"""`morphnet bench` as a user runs it: in namespaces of its own, on real processes."""

from __future__ import annotations

import json
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import ROOT, environment
from morphnet.lab.enter import why_not
from morphnet.lab.vpn import BIN

OURS, CABLE = "morphnet", "bare cable"


class BenchTests(SynchronousTestCase):
    alone = True
    skip = why_not()

    def test_echo(self) -> None:
        """Echoes through the tunnel and over the cable, as a line each, and nothing else on stdout."""
        words = ["bench", "echo", "--json", "--only", OURS, "--only", CABLE]
        done = subprocess.run(
            [BIN / "morphnet", *words], env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["tunnel"] for line in lines], [OURS, CABLE])
        ours, cable = (line["value"] for line in lines)
        self.assertGreater(ours, cable)
        self.assertAlmostEqual(lines[1]["ratio"], ours / cable, places=1)
