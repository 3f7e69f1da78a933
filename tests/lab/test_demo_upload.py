"""The demo of uploads keeps what it promises."""

from __future__ import annotations

import json
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab import demo_upload
from tests.lab.scene import NOT_HERE


class DemoUploadTests(SynchronousTestCase):
    rootless = False
    skip = NOT_HERE
    timeout = 180

    def test_short(self) -> None:
        """Five networks and a kill: nothing of it is sent twice, and the exit code says so."""
        words = [sys.executable, "-m", "morphnet.lab.demo_upload", "--short", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=170)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        said = json.loads(done.stdout)["morphnet"]
        self.assertEqual((said["sha256_equal"], said["sent_again"], said["went_back"]), (True, 0, False))
        self.assertEqual((len(said["marks"]), said["marks"]), (demo_upload.CHANGES + 1, sorted(said["marks"])))
