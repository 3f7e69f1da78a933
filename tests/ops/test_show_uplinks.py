"""How an uplink is used, in a line."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.show_uplinks import use_of
from morphnet.status import UplinkStatus

PLAIN = UplinkStatus("wwan0", "up", 0.0, "")


class UseTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Of one that is used as any other nothing is said; of one that is left alone its state says it."""
        self.assertEqual((use_of(PLAIN), use_of(replace(PLAIN, use="never", state="never"))), ("", ""))

    def test_words(self) -> None:
        """How it is used and who says so, its priority, its cap and its bounds."""
        self.assertEqual(use_of(replace(PLAIN, use="backup", use_why="by the operator")), "backup (by the operator)")
        self.assertEqual(use_of(replace(PLAIN, use="backup", metered=True)), "backup, metered")
        self.assertEqual(use_of(replace(PLAIN, use="metered", metered=True)), "metered")
        cap = replace(PLAIN, cap_bytes=20 * 10**9, carried_bytes=5 * 10**9, carried_since="2026-11-01", priority=3)
        self.assertEqual(use_of(cap), "priority 3, 5.00 GB of 20.0 GB (25%) since 2026-11-01")
        bounds = replace(PLAIN, rate_up=1e6, rate_down=2e6)
        self.assertEqual(use_of(bounds), "at most 8.00 Mbit/s up, 16.0 Mbit/s down")
