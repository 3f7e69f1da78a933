"""Files that are whole, or not there at all."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.durable import make_directory, read_json, rewrite, write_new, write_over


def mode_of(path: Path) -> int:
    """The permission bits."""
    return path.stat().st_mode & 0o777


class DurableTests(SynchronousTestCase):
    def setUp(self) -> None:
        """An own directory; the loosest umask, which must not matter."""
        self.addCleanup(os.umask, os.umask(0))
        self.dir = Path(self.mktemp())
        make_directory(self.dir)

    def test_directories(self) -> None:
        """Whatever is missing on the way is nobody else's to write; what was made is told, to be taken back."""
        deep = self.dir / "a" / "b"
        self.assertEqual(make_directory(deep), [deep.parent, deep])
        self.assertEqual((mode_of(deep.parent), mode_of(deep)), (0o755, 0o700))
        self.assertEqual(make_directory(deep), [])

    def test_no_way_through_a_link(self) -> None:
        """Writing replaces a symbolic link and does not follow it."""
        victim = self.dir / "victim"
        write_new(victim, b"precious")
        (self.dir / "link").symlink_to(victim)
        self.assertRaises(FileExistsError, write_new, self.dir / "link", b"x")
        write_over(self.dir / "link", b"y")
        self.assertEqual(victim.read_bytes(), b"precious")

    def test_rewrite(self) -> None:
        """What stands in a file is another thing; its mode stays, and a link to it."""
        file, way = self.dir / "wg0.conf", self.dir / "link"
        write_new(file, b"before", mode=0o640)
        way.symlink_to(file.name)
        rewrite(way, b"after")
        self.assertEqual((file.read_bytes(), mode_of(file), way.is_symlink()), (b"after", 0o640, True))

    def test_refused(self) -> None:
        """Where nothing can take the place of what is there, that stays, and nothing else is left."""
        taken = self.dir / "taken"
        (taken / "inside").mkdir(parents=True)
        self.assertRaises(OSError, write_over, taken, b"x")
        self.assertRaises(OSError, rewrite, taken, b"x")
        self.assertEqual([each.name for each in self.dir.iterdir()], ["taken"])

    def test_nowhere(self) -> None:
        """Without the directory it is the file that was asked for which cannot be written, not a name of ours."""
        file = self.dir / "none" / "x"
        trouble = self.assertRaises(FileNotFoundError, write_new, file, b"x")
        self.assertEqual(trouble.filename, str(file))

    def test_small_file(self) -> None:
        """A file of ours says what was written; one that is spoilt, longer, no file or a link says nothing."""
        file, way, pipe = self.dir / "x.json", self.dir / "link", self.dir / "pipe"
        self.assertRaises(FileNotFoundError, read_json, file, 9)
        write_new(file, b'["a", 12]')
        self.assertEqual(read_json(file, 9), ["a", 12])
        self.assertRaises(ValueError, read_json, file, 8)
        way.symlink_to(file.name)
        os.mkfifo(pipe)  # nobody writes there: who waited would wait for ever
        for each in (way, self.dir):
            self.assertRaises(OSError, read_json, each, 9)
        self.assertRaises(ValueError, read_json, pipe, 9)
        for spoilt in (b"", b"{", b"\xff", b"[" * 100_000):
            write_over(file, spoilt)
            self.assertRaises(ValueError, read_json, file, 1 << 20)
