"""Which counters are levels."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.levels import LEVELS
from morphnet.ops.counted import OF_PROCESS, OF_SESSION


class LevelsTests(SynchronousTestCase):
    def test_counted(self) -> None:
        """Each of them is something that is counted."""
        self.assertEqual(LEVELS - {*OF_PROCESS, *OF_SESSION}, set())
