"""Uploads under way, as text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.show import plain
from morphnet.ops.show_uploads import uploads_lines
from morphnet.status import UploadStatus


class UploadLinesTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """A line for each below the heads of the columns, at most 80 wide; none for none."""
        self.assertEqual(uploads_lines((), 0.0), [])
        one = UploadStatus("s/film.mkv", "anna@example.org", 2 << 20, 1 << 20, 40.0, "203.0.113.7", 3, running=True)
        other = UploadStatus("x" * 60, "", 2**40, 1, 0.0, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 0, running=False)
        lines = plain(uploads_lines((one, other), 100.0)).splitlines()
        self.assertEqual(lines[1].split(), ["anna@example.org", "1.00", "MiB", "2.00", "MiB", "1m", "3", "203.0.113.7"])
        self.assertTrue(lines[2].endswith("waits"), lines[2])
        self.assertLessEqual(max(map(len, lines)), 80)
