"""What a terminal has said."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.home.services.scrollback import KEPT, Scrollback


class ScrollbackTests(SynchronousTestCase):
    def test_positions(self) -> None:
        """Each byte has its position for ever; the first that is kept begins a line."""
        scrollback, line = Scrollback(), b"%098d\r\n"
        for number in range(200_000):
            scrollback.add(line % number)
        self.assertEqual(scrollback.end, 200_000 * 100)
        self.assertEqual(scrollback.start % 100, 0)
        self.assertEqual(scrollback.read(scrollback.start, 100), line % (scrollback.start // 100))
        self.assertEqual(scrollback.read(scrollback.end - 100, 1000), line % 199_999)
        self.assertGreaterEqual(scrollback.end - scrollback.start, KEPT - 100)

    def test_one_long_line(self) -> None:
        """Without lines it is cut where it must be."""
        scrollback = Scrollback()
        for _ in range(8):
            scrollback.add(bytes(1 << 20))
        self.assertLessEqual(scrollback.end - scrollback.start, 5 << 20)
