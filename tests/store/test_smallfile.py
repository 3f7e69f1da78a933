"""What is remembered in small files: read past nothing strange, written when it is new, and no flood in the log."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.smallfile import SmallFile
from morphnet.store.uplinks import UplinkRecords


class SmallFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        """The loosest umask, which must not matter."""
        self.addCleanup(os.umask, os.umask(0))
        self.path = Path(self.mktemp())

    def test_remembered(self) -> None:
        """What was written is read by the next process, and nobody else's to read; without a file nothing is."""
        self.assertIsNone(SmallFile(self.path, 99).read())
        SmallFile(self.path, 99).write({"a": [1]})
        self.assertEqual(SmallFile(self.path, 99).read(), {"a": [1]})
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        nowhere = SmallFile(None, 99)
        nowhere.write(5)
        self.assertIsNone(nowhere.read())

    def test_written_when_new(self) -> None:
        """What is there already, as it was read or written, is not written again."""
        SmallFile(self.path, 99).write([1])
        file = SmallFile(self.path, 99)
        file.read()
        before = self.path.stat().st_ino
        file.write([1])
        self.assertEqual(self.path.stat().st_ino, before)
        for value in ([2], [2]):
            file.write(value)
        self.assertEqual(SmallFile(self.path, 99).read(), [2])

    def test_spoilt(self) -> None:
        """A spoilt file, one that is too long, a link and a pipe are none, or an error for who wants to tell of it."""
        for text in ("", "{", "[" * 50, "1" * 100):
            self.path.write_text(text)
            file = SmallFile(self.path, 99)
            self.assertIsNone(file.read())
            self.assertRaises(ValueError, file.read_or_raise)
        self.path.unlink()
        self.path.symlink_to("elsewhere")
        self.assertIsNone(SmallFile(self.path, 99).read())
        self.assertRaises(OSError, SmallFile(self.path, 99).read_or_raise)

    def test_full_disk(self) -> None:
        """That it cannot be written is told once, and anew after it could; it is tried each time."""
        file = SmallFile(self.path / "file", 99)
        with capturedLogs() as said:
            for number in range(3):
                file.write(number)
            self.path.mkdir()
            file.write(4)
            self.assertEqual(file.read(), 4)
            (self.path / "file").unlink()
            self.path.rmdir()
            file.write(5)
        self.assertEqual([each["why"] for each in said], ["No such file or directory"] * 2)

    def test_of_uplinks(self) -> None:
        """What uplinks have carried is written every few seconds: a full disk is one line all the same."""
        records = UplinkRecords(self.path / "file")
        with capturedLogs() as said:
            for octets in (1, 2, 3):
                records.add("wan0", "2026-11-01", octets)
                records.save()
        self.assertEqual(len(said), 1)
