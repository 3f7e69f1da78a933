"""What a process that was killed has left."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet import host
from morphnet.host.dns import ResolvConf
from morphnet.host.host import KINDS
from morphnet.host.journal import Change, encode_change
from morphnet.host.leftovers import holds_back, left_behind
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

    def test_no_file(self) -> None:
        """A pipe does not keep us waiting, and a device does not feed us."""
        pipe = Path(self.mktemp())
        os.mkfifo(pipe)
        for each in (pipe, Path("/dev/zero")):
            self.assertFalse(holds_back(each))
            self.assertRaises(OSError, left_behind, each)


def changes_of_host() -> Iterator[type]:
    """Every class that can change a machine and undo that."""
    for module in pkgutil.iter_modules(host.__path__, "morphnet.host."):
        for each in vars(importlib.import_module(module.name)).values():
            if isinstance(each, type) and hasattr(each, "undo") and isinstance(getattr(each, "kind", None), str):
                yield each


class LeftBehindTests(SynchronousTestCase):
    def test_every_kind(self) -> None:
        """Whatever is written into a journal is known when it is read, and no two of it have one name."""
        there = {each: each.__name__ for each in changes_of_host()}
        self.assertEqual(sorted(there.values()), sorted(each.__name__ for each in KINDS.values()))
        self.assertGreater(len(there), 15)

    def test_named(self) -> None:
        """What stands, once each; of another boot only what outlives one."""
        journal = Path(self.mktemp())
        self.assertEqual(left_behind(journal), [])
        file = ResolvConf(("9.9.9.9",), before=("file", "", 0o644))
        changes: list[Change] = [RULE, Rule(6, 7399, 7300), STRICT, file]
        lines = [encode_change(number, each) for number, each in enumerate(changes)]
        journal.write_bytes(json.dumps({"world": "boot net"}).encode() + b"\n" + b"".join(lines))
        self.assertEqual(left_behind(journal, lambda: "boot net"), [RULE.label, STRICT.label, file.label])
        self.assertEqual(left_behind(journal, lambda: "next net"), [file.label])
