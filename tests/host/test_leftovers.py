"""What a process that was killed has left."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.journal import encode_change
from morphnet.host.leftovers import holds_back
from morphnet.host.routing import Rule
from morphnet.host.strict import StrictTable

STRICT, RULE = StrictTable("morph0", 7), Rule(4, 7399, 7300)


class HoldsBackTests(SynchronousTestCase):
    def held(self, *lines: bytes, world: str = "boot net") -> bool:
        """By a journal with these lines."""
        journal = Path(self.mktemp())
        journal.write_bytes(b"".join(lines))
        return holds_back(journal, lambda: world)

    def test_kill_switch(self) -> None:
        """It stands unless it was undone, or the machine was started anew; other changes hold nothing back."""
        begins, undone = json.dumps({"world": "boot net"}).encode() + b"\n", b'{"undone": [2]}\n'
        changes = begins + encode_change(1, RULE), encode_change(2, STRICT)
        self.assertTrue(self.held(*changes))
        self.assertFalse(self.held(*changes, undone))
        self.assertFalse(self.held(changes[0]))
        self.assertFalse(self.held(*changes, world="next net"))

    def test_no_journal(self) -> None:
        """Where there is none, or none for us, nothing is known of it."""
        self.assertFalse(self.held())
        self.assertFalse(holds_back(Path("/nowhere/journal")))
