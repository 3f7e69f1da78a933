"""Files below one directory, and no others."""

from __future__ import annotations

import contextlib
import os
from itertools import product
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError, Refused
from morphnet.roles.home.beneath import Beneath, Entry

SECRET = b"of somebody else"
_UP = (
    "..",
    "../..",
    "./..",
    "inner/..",
    "inner/../..",
    "inner/./../..",
    "loop",
    "up",
    "away",
    "root",
    "inner/up",
    "magic",
)
_DOWN = ("secret", "outside/secret", "etc/passwd", "inner/../secret", "./secret", "..//secret", "self/root/etc/passwd")


class BeneathTests(SynchronousTestCase):
    def setUp(self) -> None:
        above = Path(self.mktemp()).absolute()
        self.root = above / "shared"
        (self.root / "inner").mkdir(parents=True)
        (above / "secret").write_bytes(SECRET)
        (above / "outside").mkdir()
        (above / "outside/secret").write_bytes(SECRET)
        (self.root / "a..b.txt").write_bytes(b"ours")
        links = {
            "up": "..",
            "away": str(above),
            "root": "/",
            "loop": "loop",
            "magic": "/proc/self/cwd",
            "inner/up": "../..",
        }
        for name, to in links.items():
            (self.root / name).symlink_to(to)
        (self.root / "inner/back").symlink_to("../a..b.txt")
        self.beneath = Beneath(self.root)
        self.addCleanup(self.beneath.close)

    def read(self, path: str) -> bytes | None:
        """What is in it; None when it is refused."""
        try:
            file = self.beneath.open(path, os.O_RDONLY)
        except OSError:
            return None
        try:
            return os.read(file, 100)
        except IsADirectoryError:
            return b""
        finally:
            os.close(file)

    def test_ours(self) -> None:
        """Every name that stays inside is good: with dots in it, and by links that stay inside."""
        for path in ("a..b.txt", "/a..b.txt", "inner/back", "inner/../a..b.txt", "./a..b.txt"):
            self.assertEqual(self.read(path), b"ours")

    def test_no_way_out(self) -> None:
        """None of some 500 ways gives what is not ours, or lets it be written, renamed or removed."""
        ways = [
            f"{start}{up}{slash}{down}"
            for start, up, slash, down in product(("", "/", "./", "inner/../"), _UP, ("/", "//"), _DOWN)
        ]
        self.assertGreater(len(ways), 500)
        for way in (*ways, "/etc/passwd", "../secret\0", "%2e%2e/secret", "..\\secret", "\udcff/../.."):
            self.assertIn(self.read(way), (None, b"", b"ours"))
            for change in (
                self.beneath.remove,
                self.beneath.make_directory,
                lambda way: self.beneath.rename(way, "mine"),
                lambda way: self.beneath.rename("a..b.txt", way),
            ):
                with contextlib.suppress(OSError, Refused, UnicodeEncodeError):
                    change(way)
        self.assertEqual((self.root.parent / "secret").read_bytes(), SECRET)
        self.assertEqual((self.root.parent / "outside/secret").read_bytes(), SECRET)
        self.assertEqual(sorted(os.listdir(self.root.parent)), ["outside", "secret", "shared"])

    @given(st.text(st.sampled_from("./ausecrt\\\0"), max_size=24))
    def test_any_path(self, path: str) -> None:
        """Nor any other."""
        self.assertNotEqual(self.read(path), SECRET)

    def test_entries(self) -> None:
        """Files and directories, and no links; as many as are wanted."""
        names = [each.name for each in self.beneath.entries("", 100)]
        self.assertEqual(names, ["a..b.txt", "inner"])
        self.assertEqual(len(self.beneath.entries("", 1)), 1)
        first = self.beneath.entries("", 1)[0]
        self.assertEqual(first, Entry("a..b.txt", False, 4, first.modified))

    def test_changes(self) -> None:
        """A directory is made, a file renamed and removed; nothing is written over."""
        self.beneath.make_directory("new")
        self.beneath.rename("a..b.txt", "new/b")
        self.assertEqual((self.root / "new/b").read_bytes(), b"ours")
        (self.root / "c").write_bytes(b"c")
        self.assertRaises(FileExistsError, self.beneath.rename, "c", "new/b")
        self.assertRaises(OSError, self.beneath.remove, "new")
        self.beneath.remove("new/b")
        self.beneath.remove("new")
        self.beneath.remove("up")  # the link, and not what it leads to
        for wrong in ("", "/", "..", "inner/.."):
            self.assertRaises(Refused, self.beneath.remove, wrong)

    def test_no_directory(self) -> None:
        """That is told at the start."""
        self.assertRaises(HostError, Beneath, self.root / "nothing")
