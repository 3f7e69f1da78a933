"""The `morphnet` command itself: what it has, and how it says no."""

from __future__ import annotations

import click
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import Commands, commands
from morphnet.errors import BugError, ConfigError


@click.command()
def fails() -> None:
    """As an operator would make it fail."""
    raise ConfigError("do something else")


@click.command()
def disk() -> None:
    """As a full disk would."""
    raise OSError(28, "No space left on device", "/full")


@click.command()
def bug() -> None:
    """As we would."""
    raise BugError("impossible")


class CommandsTests(SynchronousTestCase):
    def _answer(self, name: str) -> Result:
        homes = {each: f"tests.cli.test_cli:{each}" for each in ("fails", "disk", "bug")} | {"lost": "tests.cli.lost:x"}
        return CliRunner().invoke(Commands("test", homes, ""), [name])

    def test_has(self) -> None:
        """Every command that exists is listed."""
        said = CliRunner().invoke(commands, ["--help"]).output
        for name in (
            "init",
            "invite",
            "join",
            "pki",
            "backup",
            "restore",
            "status",
            "why",
            "ping",
            "netcheck",
            "console",
        ):
            self.assertIn(f"\n  {name} ", said)

    def test_every_help(self) -> None:
        """Every command explains itself."""
        pki = (["pki"], ["pki", "list"], ["pki", "revoke"], ["pki", "renew"])
        for words in (["init"], ["invite"], ["join"], *pki, ["why"], ["ping"], ["netcheck"]):
            result = CliRunner().invoke(commands, [*words, "--help"])
            self.assertEqual(result.exit_code, 0)
            self.assertIn("Usage:", result.output)

    def test_sentence(self) -> None:
        """What the operator can put right is one sentence and exit code 1."""
        self.assertEqual(
            (self._answer("fails").stderr, self._answer("fails").exit_code), ("Error: do something else\n", 1)
        )
        self.assertEqual(self._answer("disk").stderr, "Error: /full: No space left on device\n")

    def test_bug(self) -> None:
        """Our own mistakes keep their traceback."""
        self.assertIsInstance(self._answer("bug").exception, BugError)

    def test_absent(self) -> None:
        """A command that this installation lacks is as unknown as any other."""
        self.assertIn("No such command", self._answer("lost").stderr)
        self.assertIn("No such command", self._answer("neverheardof").stderr)
