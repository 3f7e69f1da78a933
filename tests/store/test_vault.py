"""The bytes of uploads on a disk."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.vault import Taken, Vault


class VaultCase(SynchronousTestCase):
    """A vault, and what is done with it often."""

    directory: Path
    vault: Vault

    def finished(self, path: str, data: bytes) -> None:
        """A file that has appeared."""
        partial = self.vault.partial(path)
        partial.append(data)
        self.vault.finish(path, partial)
        partial.close()

    def content(self, path: str) -> bytes:
        """Of a file that has appeared."""
        file = self.vault.open(path)
        assert file is not None
        with file:
            return file.read()


class VaultTests(VaultCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.vault = self.made(self.directory)

    def made(self, directory: Path, keep_free: int = 0, *, once: bool = True) -> Vault:
        """The one that is tried."""
        return Vault(directory, keep_free, once=once)

    def names(self) -> list[str]:
        """Of the files there are of uploads that are not whole."""
        return [each.name for each in (self.directory / "partial").iterdir()]

    def test_grows(self) -> None:
        """Bytes are added behind those that are there, also by the next process."""
        first = self.vault.partial("a")
        first.append(b"abc")
        first.close()
        again = self.made(self.directory).partial("a")
        self.assertEqual(again.length, 3)
        again.append(b"def")
        self.assertEqual([again.agrees(b"abcdef", 0), again.agrees(b"cdX", 2), again.agrees(b"efg", 4)], [6, 2, 2])
        again.cut_to(2)
        self.assertEqual((again.length, self.vault.length("a")), (2, 2))
        again.close()

    def test_appears(self) -> None:
        """A file is there for readers when it is whole, and not before."""
        partial = self.vault.partial("a")
        partial.append(b"abc")
        self.assertIsNone(self.vault.open("a"))
        self.vault.finish("a", partial)
        partial.close()
        file = self.vault.open("a")
        assert file is not None
        with file:
            self.assertEqual(file.read(), b"abc")
        self.assertEqual([self.vault.is_whole("a", size) for size in (3, 4, -1)], [True, False, False])
        self.vault.remove("a")
        self.assertEqual(self.vault.open("a"), None)

    def test_hostile_paths(self) -> None:
        """Whatever a path is, its file is in our directory."""
        for path in ("../../x", "/etc/passwd", "a" * 5000, "\ud800", "x\ny"):
            partial = self.vault.partial(path)
            partial.append(b"x")
            partial.close()
        names = self.names()
        self.assertEqual(len(names), 5)
        self.assertTrue(all(len(each) == 64 for each in names))

    def test_keep_free(self) -> None:
        """What others need of the disk is left to them, before a byte of it is taken."""
        about = os.statvfs(self.directory)
        vault = self.made(self.directory, about.f_bavail * about.f_frsize + (1 << 40))
        partial = vault.partial("a")
        self.addCleanup(partial.close)
        self.assertRaises(OSError, partial.append, b"x")
        self.assertEqual(partial.length, 0)

    def inode(self, path: str) -> int:
        """Of a file."""
        file = self.vault.open(path)
        assert file is not None
        with file:
            return os.fstat(file.fileno()).st_ino

    def test_once(self) -> None:
        """The same content is one file on the disk: a name that goes leaves the others, the last takes the bytes."""
        for path in ("a", "b"):
            self.finished(path, b"x" * 1000)
        self.finished("c", b"y" * 1000)
        self.assertEqual((self.inode("a") == self.inode("b"), self.inode("a") == self.inode("c")), (True, False))
        self.assertEqual(self.vault.saved, 1000)
        self.vault.remove("a")
        self.vault.forget_unused()
        self.finished("d", b"x" * 1000)
        self.assertEqual(self.inode("b"), self.inode("d"))
        for path in ("b", "c", "d"):
            self.vault.remove(path)
        self.vault.forget_unused()
        self.assertEqual([each for each in self.directory.rglob("*") if each.is_file()], [])

    def test_once_long(self) -> None:
        """Long files are known by places all over them; those that differ elsewhere are told apart, and found again."""
        first = bytearray(os.urandom(600_000))
        second = bytes(first[:20_000]) + bytes([first[20_000] ^ 1]) + bytes(first[20_001:])
        for path, data in (("a", bytes(first)), ("b", second), ("c", bytes(first)), ("d", second)):
            self.finished(path, data)
        self.assertEqual((self.inode("a"), self.inode("b")), (self.inode("c"), self.inode("d")))
        self.assertNotEqual(self.inode("a"), self.inode("b"))
        self.assertEqual((self.content("b"), self.vault.saved), (second, 1_200_000))

    def test_not_once(self) -> None:
        """Where it is not wanted each file is by itself."""
        self.vault = self.made(self.directory, once=False)
        for path in ("a", "b"):
            self.finished(path, b"x" * 1000)
        self.assertNotEqual(self.inode("a"), self.inode("b"))

    def half_finished(self, path: str, data: bytes) -> Path:
        """As `kill -9` leaves it between the two steps of `finish`; answers with where it is."""
        partial = self.vault.partial(path)
        partial.append(data)
        here = partial.path
        self.vault._keep_once(here, partial)
        partial.close()
        return here

    def test_killed_between(self) -> None:
        """What has its content's name already is whole, and nobody writes to it: others have that content too."""
        self.half_finished("a", b"x" * 1000)
        self.finished("b", b"y")
        self.half_finished("b2", b"y")
        for path in ("a", "b2"):
            self.assertRaises((OSError, Taken), self.vault.partial, path)
        self.assertFalse(self.vault.is_whole("a", 2000))
        self.assertTrue(self.made(self.directory).is_whole("a", 1000))
        self.assertTrue(self.vault.is_whole("b2", 1))
        self.assertEqual((self.vault.length("a"), self.inode("b") == self.inode("b2")), (0, True))

    def test_aside(self) -> None:
        """What is put aside is nobody's file, and it is known why, also to the next process."""
        partial = self.vault.partial("a")
        partial.append(b"abc")
        self.assertIsNone(self.vault.put_aside_for("a"))
        self.vault.put_aside("a", partial, "it is bad")
        partial.close()
        self.assertEqual(self.made(self.directory).put_aside_for("a"), "it is bad")
        self.assertEqual((self.vault.open("a"), self.vault.length("a"), self.names()), (None, 0, []))

    def test_aside_limits(self) -> None:
        """Of what was put aside the youngest stay, so many bytes of them, and of the others why, until they are old."""
        for number in range(4):
            partial = self.vault.partial(f"a{number}")
            partial.append(b"x" * 1000)
            self.vault.put_aside(f"a{number}", partial, "bad")
            partial.close()
            for each in self.directory.glob(f"aside/{self.vault.name(f'a{number}')}*"):
                os.utime(each, (1000.0 + number, 1000.0 + number))
        for before, most, files, reasons in (
            (0.0, 4012, 4, 4),
            (0.0, 2500, 2, 4),
            (1001.0, 2500, 2, 3),
            (2000.0, 9, 0, 0),
        ):
            self.vault.forget_aside(before, most)
            names = sorted(each.suffix for each in self.directory.glob("aside/*"))
            self.assertEqual(names, [""] * files + [".why"] * reasons)
        self.assertIsNone(self.vault.put_aside_for("a3"))

    def test_remove(self) -> None:
        """Nothing stays of one that was killed while it took the place of the same content."""
        here = self.half_finished("a", b"x")
        os.link(here, here.with_name(f"{here.name}.same"))
        self.vault.remove("a")
        self.vault.forget_unused()
        self.assertEqual([each for each in self.directory.rglob("*") if each.is_file()], [])
