"""The nodes at a relay, as text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.show import plain
from morphnet.ops.show_guests import guest_lines, guests_lines
from morphnet.status import GuestStatus

GUEST = GuestStatus(name="nas", address="203.0.113.7:40000", sent_bytes=2_000_000, received_bytes=3_000)


class GuestTests(SynchronousTestCase):
    def test_one(self) -> None:
        """Its name, its address, and what has gone each way."""
        text = plain(guest_lines(GUEST))
        for said in ("guest nas", "203.0.113.7:40000", "1.91 MiB from it", "2.93 KiB to it"):
            self.assertIn(said, text)

    def test_table(self) -> None:
        """A line for each below the heads of the columns; nobody is said to be none."""
        lines = plain(guests_lines([GUEST])).splitlines()
        self.assertEqual((len(lines), lines[0].split()[0], lines[1].split()[0]), (2, "guest", "nas"))
        self.assertEqual(plain(guests_lines([])), "no guest")
