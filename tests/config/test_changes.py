"""What differs between two configurations."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.changes import changed, with_these
from morphnet.config.roles import ClientConfig, Tuning


class ChangesTests(SynchronousTestCase):
    def test_changed(self) -> None:
        """Settings that differ are named as on the command line's side, those of tables too; others are not."""
        before = ClientConfig(server="a")
        after = replace(before, routes=("10.0.0.0/8",), tuning=Tuning(scheduler="best", mtu=1300))
        self.assertEqual([*changed(before, after)], ["routes", "tuning.scheduler", "tuning.mtu"])
        self.assertEqual([*changed(before, before)], [])

    def test_with_these(self) -> None:
        """Some are taken over, all others stay."""
        before = ClientConfig(server="a")
        after = replace(before, server="b", dns=False, tuning=Tuning(scheduler="best", reorder_ms=1.0, mtu=1300))
        found = with_these(before, after, ["dns", "tuning.scheduler", "tuning.reorder_ms"])
        self.assertEqual([*changed(before, found)], ["dns", "tuning.scheduler", "tuning.reorder_ms"])
        self.assertEqual((found.server, found.tuning.mtu), ("a", 1400))
