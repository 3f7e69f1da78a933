"""`morphnet uplink`, as far as it needs no process; it is tried on one in tests/lab."""

from __future__ import annotations

from dataclasses import replace

from morphnet.cli.uplink import USES, _line
from morphnet.roles.client.policies import WORDS
from tests.cli.case import CommandCase
from tests.ops.test_show_uplinks import PLAIN


class UplinkTests(CommandCase):
    def test_words(self) -> None:
        """It takes the words that a client takes, and no others; without a client it says that there is none."""
        self.assertEqual(set(USES), set(WORDS))
        result = self.run_command("uplink", "wwan0", "fast")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("'fast' is not one of", result.output)
        self.assertTrue(self.bad("uplink", "wwan0", "backup"))

    def test_lines(self) -> None:
        """One line for each: how it is used, and what is wrong with it."""
        for uplink, text in (
            (PLAIN, "normal"),
            (replace(PLAIN, use="backup"), "backup"),
            (replace(PLAIN, state="lost", why="there is no such device", use="backup"), "backup, lost: there is no"),
        ):
            line = "".join(text for text, _ in _line(uplink))
            self.assertTrue(line.startswith(f"wwan0           {text}"), line)
