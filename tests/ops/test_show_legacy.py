"""Clients of the original, as text."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.show import node_lines, plain
from morphnet.ops.show_legacy import legacies_lines
from morphnet.status import LegacyStatus
from tests.ops.pictures import NOW, SERVER

OLD = LegacyStatus(
    name="old-00010203", user="anna", template="kcp", layers=3, address="198.51.100.9:6000", port=40000,
    since=NOW - 3600, heard=NOW - 5, moves=2, sent_bytes=5_000_000, received_bytes=70_000,
)  # fmt: skip


class ShowLegacyTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """Who, from where, how much; on a server that serves them, and there alone."""
        node = replace(SERVER, legacy=(OLD,), sections=("sessions", "legacy"))
        text = plain(node_lines(node, NOW))
        for word in ("old client old-00010203", "anna", "198.51.100.9:6000 at port 40000, moved 2 times", "like kcp"):
            self.assertIn(word, text)
        self.assertIn("no old client", plain(node_lines(replace(node, legacy=()), NOW)))
        self.assertNotIn("old client", plain(node_lines(SERVER, NOW)))

    def test_table(self) -> None:
        """One line each, within 80 columns."""
        lines = plain(legacies_lines([OLD, replace(OLD, user="x" * 256)], NOW)).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertTrue(all(len(line) <= 80 for line in lines), lines)
        self.assertEqual(plain(legacies_lines([], NOW)), "no old client")
