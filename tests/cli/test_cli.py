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


def everything(command: click.Command) -> list[tuple[list[str], click.Command]]:
    """A command and all below it, with what is typed for them."""
    found: list[tuple[list[str], click.Command]] = [([], command)]
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None  # it is listed
                found += [([name, *words], each) for words, each in everything(below)]
    return found


def is_option(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option)


def first_sentence(command: click.Command) -> str:
    """What the list of commands says of it: its first paragraph, up to the first stop."""
    words = (command.help or "").strip().split("\n\n")[0].split()
    last = next((place for place, word in enumerate(words) if word.endswith(".")), len(words))
    return " ".join(words[: last + 1])


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
        """Every command explains itself, and every option; at 80 columns no line is cut."""
        for words, command in everything(commands):
            result = CliRunner().invoke(commands, [*words, "--help"], terminal_width=80)
            self.assertEqual(result.exit_code, 0)
            self.assertIn("Usage:", result.output)
            self.assertLessEqual(max(map(len, result.output.splitlines())), 80, words)
            shown = "".join(result.output.split())
            said = [command.help or ""] + [str(getattr(each, "help", "")) for each in command.params if is_option(each)]
            if isinstance(command, Commands):
                said += [first_sentence(below) for path, below in everything(command) if len(path) == 1]
            for text in said:
                self.assertTrue(text.strip().endswith("."), (words, text))
                self.assertIn("".join(text.split()), shown, words)

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
