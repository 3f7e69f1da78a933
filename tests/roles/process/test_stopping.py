"""A stop has an end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.process.stopping import LONGEST, last_resort


class LastResortTests(SynchronousTestCase):
    def test_end(self) -> None:
        """It ends when the time is over, and never before the host is as it was."""
        done: list[object] = []
        last_resort(lambda: len(done) > 2, done.append, lambda: done.append("end"))
        self.assertEqual((done[0], done[-1], len(done)), (LONGEST, "end", 4))
