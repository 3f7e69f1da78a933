"""The bytes of uploads in a directory that several processes write to."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO, cast

from morphnet.store.shared_vault import SharedPartial, SharedVault
from morphnet.store.vault import Noted, Taken, Vault
from tests.store import test_vault
from tests.store.fenced_writer import PIECE


class SharedVaultTests(test_vault.VaultTests):
    """Alone it does all that one does which nobody shares."""

    vault: SharedVault

    def made(self, directory: Path, keep_free: int = 0, *, once: bool = True) -> Vault:
        return SharedVault(directory, keep_free, once=once)

    def names(self) -> list[str]:
        """Of the directories there are while uploads are not whole."""
        return [each.name.removesuffix(".d") for each in (self.directory / "partial").iterdir()]


class FenceTests(test_vault.VaultCase):
    """Two that write to the same upload."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.vault = SharedVault(self.directory)
        self.other = SharedVault(self.directory)

    def test_taken(self) -> None:
        """Whoever was ended writes nothing, cuts nothing, tells no length, and lets nothing appear."""
        first = self.vault.take("a")
        first.append(b"abc")
        second = self.other.take("a")
        self.assertEqual(second.length, 3)
        for each in (lambda: first.append(b"x"), lambda: first.cut_to(1), first.sync):
            self.assertRaises(Taken, each)
        self.assertRaises(Taken, self.vault.finish, "a", first)
        second.append(b"def")
        self.assertEqual(self.vault.length("a"), 6)
        self.other.finish("a", second)
        for each in (lambda: first.append(b"x"), lambda: second.append(b"x")):
            self.assertRaises(Taken, each)
        self.assertRaises(Taken, self.vault.finish, "a", first)
        self.assertEqual(self.content("a"), b"abcdef")
        self.assertEqual(list((self.directory / "partial").iterdir()), [])

    def test_whole_meanwhile(self) -> None:
        """What has become whole since somebody looked is not written to."""
        self.finished("a", b"abc")
        self.assertRaises(Taken, self.other.take, "a")
        self.assertEqual(list((self.directory / "partial").iterdir()), [])

    def test_removed(self) -> None:
        """One that was let go and has begun anew is another: its first number is no right to it."""
        first = self.vault.take("a")
        self.other.remove("a")
        second = self.other.take("a")
        self.assertRaises(Taken, first.append, b"x")
        second.append(b"y")
        self.assertRaises(Taken, self.vault.finish, "a", first)
        self.assertEqual(self.other.length("a"), 1)

    def test_removed_late(self) -> None:
        """Who had it, to remove it, and woke after another had gone on, removes nothing."""
        seized = self.vault.seize("a")
        mine = self.other.take("a")
        mine.append(b"abc")
        self.assertRaises(Taken, self.vault.remove, "a", seized)
        self.other.finish("a", mine)
        mine.close()
        self.assertRaises(Taken, self.vault.remove, "a", seized)
        self.assertEqual(self.content("a"), b"abc")
        seized = self.vault.seize("a")
        self.vault.let_go(seized)
        self.assertEqual(list((self.directory / "partial").iterdir()), [])
        self.vault.remove("a", self.vault.seize("a"))
        self.assertIsNone(self.vault.open("a"))

    def test_touched_meanwhile(self) -> None:
        """Who looks while another takes it sees what is there."""
        self.vault.take("a").append(b"abc")
        before, held = self.vault.touched("a"), SharedVault._held
        late = [self.other]

        def taken_then(folder: Path) -> Path | None:
            found = held(folder)
            if late:
                late.pop().take("a").close()
            return found

        self.patch(self.vault, "_held", taken_then)
        self.assertEqual(self.vault.touched("a"), before)

    def test_within_a_write(self) -> None:
        """Who stands still between its look and its write writes to what has no name any more."""
        first = cast(SharedPartial, self.vault.take("a"))
        first.append(b"abc")
        fcntl.flock(first._file, fcntl.LOCK_EX)  # as it does before each write
        first._look()
        second = self.other.take("a")
        self.assertEqual((second.length, self.other.copied), (3, 3))
        os.pwrite(first._file, b"xyz", 0)
        fcntl.flock(first._file, fcntl.LOCK_UN)
        second.append(b"def")
        self.other.finish("a", second)
        self.assertEqual(self.content("a"), b"abcdef")

    def test_noted(self) -> None:
        """What is known of an upload is beside it while it grows, as it appears and then, and goes with it."""
        notes = self.directory / "done"
        first = self.vault.take("a", note=b"one")
        first.append(b"abc")
        self.assertEqual(self.other.noted("a"), Noted(b"one", False, None))
        second = self.other.take("a", tell=True, note=b"two")
        self.assertRaises(Taken, self.vault.finish, "a", first, b"late")
        self.assertEqual([self.vault.noted(each) for each in "ab"], [Noted(b"two", True, None), None])
        self.vault.take("b", note=b"b")
        self.other.finish("a", second, b"whole")
        self.assertEqual(self.vault.noted("a"), Noted(b"whole", True, 3))
        self.assertEqual(sorted(each.note for each in self.vault.all_noted()), [b"b", b"whole"])
        self.assertRaises(Taken, self.vault.finish, "a", first, b"late")
        self.vault.remove("a")
        self.other.remove("b")
        left = [*notes.iterdir(), *(self.directory / "partial").iterdir()]
        self.assertEqual(([*self.vault.all_noted()], left), ([], []))

    def test_noted_before_it_appears(self) -> None:
        """Killed between the note and the file: the upload is still one that is not whole, with its note."""
        first = self.vault.take("a", note=b"one")
        first.append(b"abc")
        self.patch(self.vault, "_appear", lambda *_: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.vault.finish, "a", first, b"whole")
        self.assertEqual(self.other.noted("a"), Noted(b"one", False, None))
        self.assertTrue(self.other.is_whole("a", 3))
        self.assertEqual(self.other.noted("a"), Noted(b"whole", True, 3))

    def test_lock_of_before(self) -> None:
        """Who had it before and just looks does not end who has it; who has seen that it is another's locks nothing."""
        first = cast(SharedPartial, self.vault.take("a"))
        second = self.other.take("a")
        fcntl.flock(first._file, fcntl.LOCK_EX)
        self.patch(time, "sleep", lambda _: fcntl.flock(first._file, fcntl.LOCK_UN))
        second.append(b"abc")
        self.patch(first, "_locked", lambda patience: self.fail("it was locked"))
        self.assertRaises(Taken, first.append, b"x")
        self.assertEqual(self.vault.length("a"), 3)

    def test_within_a_copy(self) -> None:
        """Who stands still while it copies writes to nothing that another goes on with."""
        stopped = cast(SharedPartial, self.vault.take("a"))
        stopped.append(b"abc")
        fcntl.flock(stopped._file, fcntl.LOCK_EX)
        copy, late = shutil.copyfileobj, [self.other]

        def stands_still(source: BinaryIO, target: BinaryIO, length: int) -> None:
            if late:
                mine = late.pop().take("a")
                mine.cut_to(0)
                mine.append(b"other")
                self.other.finish("a", mine)
                mine.close()
            copy(source, target, length)

        self.patch(shutil, "copyfileobj", stands_still)
        self.assertRaises(Taken, self.vault.take, "a")
        self.assertEqual(self.content("a"), b"other")
        self.assertEqual(list((self.directory / "partial").iterdir()), [])

    def test_of_before(self) -> None:
        """An upload that began while nobody else used the directory goes on."""
        alone = Vault(self.directory)
        partial = alone.partial("a")
        partial.append(b"abc")
        partial.close()
        self.assertEqual(self.vault.take("a").length, 3)

    def test_left_behind(self) -> None:
        """A directory of who was killed before it had its name goes in time."""
        left = self.directory / "partial" / f"{self.vault.name('a')}.d0123"
        (left / "0000000000-0").mkdir(parents=True)
        self.vault.forget_unused()
        self.assertTrue(left.exists())
        os.utime(left, (1.0, 1.0))
        for place in ("content", "partial"):  # what another process has let go of since the look at its name
            (self.directory / place / f"{'0' * 64}.d4567").symlink_to("nowhere")
        self.vault.forget_unused()
        self.assertFalse(left.exists())

    def test_stopped(self) -> None:
        """A process is stopped at any moment, another finishes, and it wakes: of a hundred none writes a byte."""
        number = random.Random(15)
        words = [sys.executable, "-m", "tests.store.fenced_writer", str(self.directory)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as writer:
            assert writer.stdin is not None and writer.stdout is not None
            self.addCleanup(writer.kill)
            for turn in range(100):
                path = f"p{turn}"
                writer.stdin.write(f"{path}\n")
                self.assertEqual(writer.stdout.readline(), "begun\n")
                time.sleep(number.random() / 500)
                writer.send_signal(signal.SIGSTOP)
                mine = self.other.take(path)
                whole = (PIECE * (mine.length // len(PIECE) + 1))[: mine.length] + b"the end"
                mine.append(b"the end")
                self.other.finish(path, mine)
                mine.close()
                writer.send_signal(signal.SIGCONT)
                self.assertEqual(writer.stdout.readline(), "taken\n")
                self.assertEqual(self.content(path), whole)
                self.other.remove(path)
            writer.stdin.close()
