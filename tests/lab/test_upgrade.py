"""
A gateway and a client go to another version, one after the other and back, while connections run inside; the version
before is imitated, see `former`. `make try-upgrade` does it with packages of two real ones.
"""

from __future__ import annotations

import sys

from tests.lab.case import LabCase

FORMER = (sys.executable, "-m", "tests.lab.former")


class UpgradeTests(LabCase):
    """Who replaces the program starts it anew at once, as a unit of ours is restarted."""

    rootless = False  # nothing of it depends on who one is

    def test_there_and_back(self) -> None:
        """Both to the version before and back, a step at a time: no connection is reset, and nothing in it changed."""
        before = self.client.session()
        down, up = self.fetch(), self.fetch("--upload")
        steps = [(daemon, under) for under in (FORMER, ()) for daemon in (self.server, self.client)]
        for daemon, under in steps:
            daemon.hand_over()
            daemon.under = under
            daemon.start()
            self.both_active()
        self.unbroken(down.end())
        self.unbroken(up.end())
        after = self.client.session()
        self.assertEqual(
            [after[name] for name in ("session", "inner")], [before[name] for name in ("session", "inner")]
        )
        log = self.server.log.read_text() + self.client.log.read_text()
        self.assertEqual((log.count("Traceback"), log.count("later morphnet")), (0, 0))
