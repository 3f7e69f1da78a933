"""What is carried, as lines."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.show import plain
from morphnet.ops.show_carries import carries_lines
from morphnet.status import CarryStatus


class CarriesTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """A line for each, none without any, and none too wide."""
        self.assertEqual(carries_lines(()), [])
        carries = (CarryStatus("wireguard", "127.0.0.1:51821", 1, 2048, 4096), CarryStatus("x" * 32, "1" * 60, 9, 9, 9))
        lines = plain(carries_lines(carries)).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertIn("127.0.0.1:51821", lines[1])
        self.assertLessEqual(max(map(len, lines)), 80)
