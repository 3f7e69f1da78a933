"""The journal's file, written and read back."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.syncedfile import SyncedFile


class FileTests(SynchronousTestCase):
    """The journal's file, in a directory where somebody else may put things."""

    def setUp(self) -> None:
        self.dir = Path(self.mktemp())
        self.dir.mkdir()
        self.kept = self.dir / "kept"
        self.kept.write_text("somebody's")

    def open(self) -> SyncedFile:
        file = SyncedFile(self.dir / "journal")
        self.addCleanup(file.close)
        return file

    def test_links(self) -> None:
        """No link in the place of any of its files is followed: what it leads to is neither read nor changed."""
        missing = self.dir / "missing"
        for name, target in itertools.product(("journal", "journal.new", "journal.lock"), (self.kept, missing)):
            (self.dir / name).symlink_to(target)
            file = self.open()
            with contextlib.suppress(HostError):
                self.assertEqual(file.read(), b"")
                file.replace(b"a")
                file.append(b"b")
                self.assertEqual(file.read(), b"ab")
            file.close()
            self.assertEqual((self.kept.read_text(), missing.exists()), ("somebody's", False), name)
            for each in self.dir.glob("journal*"):
                each.unlink()

    def test_pipe(self) -> None:
        """A pipe in its place is a sentence, and no waiting."""
        os.mkfifo(self.dir / "journal")
        self.assertIn("is no file", str(self.assertRaises(HostError, self.open().read)))

    def test_left_over(self) -> None:
        """What a run that was killed left of a new one is in nobody's way."""
        (self.dir / "journal.new").write_text("half")
        file = self.open()
        file.read()
        file.replace(b"whole")
        self.assertEqual(file.read(), b"whole")
