"""Those who come by WireGuard, as text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.page import WIDTH
from morphnet.ops.show_phones import phones_lines
from morphnet.status import PhoneStatus

NOW = 1_800_000_000.0
HERE = PhoneStatus("phone", "connected", "", ("10.73.0.5", "fd73::5"), "[2001:db8::6]:40123", NOW - 65, 2048, 512)
NEW = PhoneStatus("a-tablet-with-a-long-name", "refused", "the quota of this month is used up", (), "", 0.0, 0, 0)


class PhonesTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Each has a line of numbers, one of places, one of reasons; all of it fits."""
        lines = ["".join(text for text, _ in line) for line in phones_lines([HERE, NEW], NOW)]
        self.assertEqual(lines[1].split(), ["phone", "connected", "1m", "5s", "ago", "2.00", "KiB", "512", "B"])
        self.assertEqual(lines[2].strip(), "10.73.0.5, fd73::5 at [2001:db8::6]:40123")
        self.assertIn("refused    never", lines[3])
        self.assertEqual(lines[4].strip(), "the quota of this month is used up")
        self.assertLessEqual(max(map(len, lines)), WIDTH)

    def test_none(self) -> None:
        """Nothing is said of nobody."""
        self.assertEqual(phones_lines([], NOW), [])
