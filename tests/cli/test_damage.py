"""Whatever becomes of our files: a command does what it should, or says one sentence. It never ends in a traceback."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from morphnet.cli import commands
from morphnet.pki.book import JOIN, Book, Entry, signer_directory
from morphnet.pki.files import load_authority
from morphnet.pki.revocations import as_text
from tests.cli.case import CommandCase

GARBAGE = bytes(range(256)) * 8


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nonexistent/file")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "torn": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "garbage": lambda path: path.write_bytes(GARBAGE),
    "garbage behind": lambda path: path.write_bytes(path.read_bytes() + GARBAGE),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "another": lambda path: path.write_bytes((path.parent / sorted(os.listdir(path.parent))[0]).read_bytes()),
    "open": lambda path: path.chmod(0o666),
    "directory": _directory,
    "pipe": _pipe,
    "link": _link,
}
COMMANDS = (
    ("pki", "list"),
    ("invite", "tablet"),
    ("pki", "renew"),
    ("backup", "{}/backup", "--replace"),
)


class DamageTests(CommandCase):
    def setUp(self) -> None:
        """A network with a machine, an invitation and a list of what is revoked."""
        super().setUp()
        self.init()
        self.good("invite", "phone")
        state = self.place.state_dir
        with Book(signer_directory(state)).opened() as entries:
            entries.add(Entry(5, JOIN, "laptop", "a1", "c3", ("10.73.0.2",)))
        text = as_text(load_authority(self.place.pki_dir).revocations(["b2"], now=1.0))
        (state / "revocations.pem").write_bytes(text.encode())
        self.whole = self.place.root.with_name("whole")
        shutil.copytree(self.place.root, self.whole)

    def _again(self) -> None:
        shutil.rmtree(self.place.root)
        shutil.copytree(self.whole, self.place.root)

    def _files(self) -> list[str]:
        files = sorted(str(each.relative_to(self.whole)) for each in self.whole.rglob("*") if each.is_file())
        self.assertGreater(len(files), 8)
        return files

    def test_every_file(self) -> None:
        """Each file that is damaged in each way, and each command: done, or one sentence that names a file."""
        for file in self._files():
            for name, damage in DAMAGES.items():
                if name == "pipe" and file.endswith(".toml"):
                    continue  # whoever gives a pipe means it
                for command in COMMANDS:
                    self._again()
                    damage(self.place.root / file)
                    self._sentence((file, name, command), *command)

    def test_revoked(self) -> None:
        """The same when somebody is revoked, which asks a process of its own to sign the list."""
        for file in self._files():
            self._again()
            (self.place.root / file).write_bytes(GARBAGE)
            self._sentence(file, "pki", "revoke", "phone")

    def _sentence(self, what: object, *words: str) -> None:
        words = tuple(each.format(self.place.root.parent) for each in words)
        done = CliRunner().invoke(commands, [*words, "--dir", str(self.place.root)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            sys.stderr.write(f"{what}\n")
            raise done.exception
        if done.exit_code not in (0, 3):  # 3 is what `pki list` warns with
            said = done.stderr.strip()
            self.assertEqual((done.exit_code, said.count("\n")), (1, 0), (what, said))
            self.assertRegex(said, "/|network|certificate", what)
