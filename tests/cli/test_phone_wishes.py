"""What `morphnet invite` may be told of a phone, and what that costs who invites none."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase


class WishesTests(SynchronousTestCase):
    def test_light(self) -> None:
        """Who invites a machine does not wait for what phones need."""
        code = "import sys; import morphnet.cli.enrol; sys.exit('morphnet.cli.phones' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], timeout=60).returncode, 0)
