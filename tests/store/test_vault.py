"""The bytes of uploads on a disk."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.vault import Vault


class VaultTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.vault = Vault(self.directory)

    def test_grows(self) -> None:
        """Bytes are added behind those that are there, also by the next process."""
        first = self.vault.partial("a")
        first.append(b"abc")
        first.close()
        again = Vault(self.directory).partial("a")
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
        self.assertTrue(self.vault.is_whole("a"))
        self.vault.remove("a")
        self.assertEqual(self.vault.open("a"), None)

    def test_hostile_paths(self) -> None:
        """Whatever a path is, its file is in our directory."""
        for path in ("../../x", "/etc/passwd", "a" * 5000, "\ud800", "x\ny"):
            partial = self.vault.partial(path)
            partial.append(b"x")
            partial.close()
        names = [each.name for each in (self.directory / "partial").iterdir()]
        self.assertEqual(len(names), 5)
        self.assertTrue(all(len(each) == 64 for each in names))
