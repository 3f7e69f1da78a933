"""The `morphnet` command, run in a directory of its own."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, closing
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import commands
from morphnet.cli.layout import Place
from morphnet.pki.invitation import Invitation, decode
from morphnet.store.ledger import Ledger


class CommandCase(SynchronousTestCase):
    """A directory of its own, and the command to run in it."""

    def setUp(self) -> None:
        """The loosest umask, which must not matter."""
        self.place = Place(Path(self.mktemp()).absolute())
        self.addCleanup(os.umask, os.umask(0))

    def run_command(self, *words: str, place: Place | None = None, stdin: bytes | None = None) -> Result:
        """Run it with this place's --dir."""
        where = ["--dir", str((place or self.place).root)]
        return CliRunner().invoke(commands, [*words, *where], input=stdin, catch_exceptions=False)

    def good(self, *words: str, place: Place | None = None) -> Result:
        """Run it; it must succeed."""
        result = self.run_command(*words, place=place)
        self.assertEqual(result.exit_code, 0, result.output)
        return result

    def bad(self, *words: str, place: Place | None = None, stdin: bytes | None = None) -> str:
        """Run it; it must fail with one sentence, which is returned."""
        result = self.run_command(*words, place=place, stdin=stdin)
        self.assertEqual((result.exit_code, result.stdout), (1, ""), result.output)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        return result.stderr

    def ledger(self) -> AbstractContextManager[Ledger]:
        """The records, between two commands: a process has them open once."""
        return closing(Ledger(self.place.state_dir / "morphnet.db"))

    def init(self) -> None:
        """A network called gw."""
        self.good("init", "--name", "gw", "--address", "vpn.example.org", "--address", "192.0.2.1")

    def invitation(self, *words: str) -> Invitation:
        """An invitation that was printed."""
        return decode(self.good("invite", *words).stdout)

    def modes(self, place: Place | None = None) -> dict[str, str]:
        """Permission bits of everything there."""
        root = (place or self.place).root
        return {str(each.relative_to(root)): oct(each.stat().st_mode & 0o777) for each in [root, *root.rglob("*")]}
