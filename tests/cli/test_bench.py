"""`morphnet bench` without running anything: how readings become a table and lines, and what it refuses."""

from __future__ import annotations

from io import StringIO

from click.testing import CliRunner, Result
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import bench as command
from morphnet.cli import commands
from morphnet.lab.race import DOWN, ECHO, MEMORY, Reading

READINGS = [
    Reading("morphnet", DOWN, 7.0),
    Reading("morphnet", ECHO, 0.2),
    Reading("morphnet", MEMORY, 70.0),
    Reading("bare cable", DOWN, 20.0),
    Reading("bare cable", ECHO, 0.05),
    Reading("morphnet", DOWN, 8.0),
    Reading("morphnet", DOWN, 9.0),
]


class ReadingsTests(SynchronousTestCase):
    """What is told of them."""

    def test_table(self) -> None:
        """Medians, a row for each case; a dash where a contender has none."""
        console = Console(width=100, file=StringIO())
        with console.capture() as drawn_there:
            console.print(command.table(READINGS))
        drawn = [line.split("  ") for line in drawn_there.get().splitlines()]
        rows = {cells[0]: [cell.strip() for cell in cells[1:] if cell.strip()] for cells in drawn}
        self.assertEqual(rows["TCP down, Gbit/s"], ["8", "20"])
        self.assertEqual(rows["memory of the client, MB"], ["70", "-"])

    def test_lines(self) -> None:
        """Each says what it is, its rounds, and how much ours is of it."""
        lines = {(line["case"], line["tunnel"]): line for line in command.lines(READINGS)}
        down = lines["TCP down", "bare cable"]
        self.assertEqual((down["value"], down["rounds"], down["ratio"], down["better"]), (20.0, [20.0], 0.4, "more"))
        self.assertEqual(lines["TCP down", "morphnet"]["rounds"], [7.0, 8.0, 9.0])

    def test_numbers(self) -> None:
        """Three digits that count."""
        self.assertEqual([command.number(each) for each in (0.12345, 7.1234, 123456.7)], ["0.123", "7.12", "123 457"])


class RefusalTests(SynchronousTestCase):
    """What an operator gets wrong is told before anything runs."""

    def _answer(self, *words: str) -> Result:
        return CliRunner().invoke(commands, ["bench", *words])

    def test_unknown(self) -> None:
        """No such load, no such tunnel: the sentence names those there are."""
        for words, known in ((["speed"], "bulk"), (["--only", "carrier pigeon"], "morphnet")):
            result = self._answer(*words)
            self.assertEqual(result.exit_code, 2)
            self.assertIn(known, result.stderr)

    def test_no_room(self) -> None:
        """A machine without namespaces: one sentence."""
        self.patch(command, "why_not", lambda: "no namespaces here: ask for them")
        result = self._answer("--only", "morphnet")
        self.assertEqual((result.exit_code, result.stderr), (1, "Error: no namespaces here: ask for them\n"))
