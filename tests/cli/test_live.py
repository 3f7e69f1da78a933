"""`morphnet status` and `morphnet console`, as far as they need no process to look at."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import commands
from morphnet.cli.live import NOT_WELL, _draw, columns_of, picture
from morphnet.config.whole import NOT_JOINED
from morphnet.host.host import this_world
from morphnet.host.journal import encode_change
from morphnet.host.strict import StrictTable
from morphnet.ops import feedclient
from morphnet.ops.page import LEAST, WIDTH
from morphnet.ops.show import node_lines, plain
from morphnet.status import NodeStatus, as_json
from tests.cli.case import CommandCase
from tests.ops.pictures import NODE, NOW
from tests.ops.test_show import HEAD, PATHS


class PictureTests(SynchronousTestCase):
    def _printed(self, *, terminal: bool) -> str:
        paper = io.StringIO()
        Console(file=paper, width=80, force_terminal=terminal, color_system="standard" if terminal else None).print(
            picture(NODE, NOW)
        )
        return paper.getvalue()

    def test_plain(self) -> None:
        """At 80 columns rich wraps nothing and, without a terminal, colours nothing."""
        lines = [line.rstrip() for line in self._printed(terminal=False).splitlines()]
        self.assertEqual("\n".join(lines), HEAD + PATHS)

    def test_columns(self) -> None:
        """A terminal has the columns that it has, up to 80; a file has 80."""
        widths = [(30, LEAST), (72, 72), (200, WIDTH)]
        consoles = [Console(file=io.StringIO(), width=width, force_terminal=True) for width, _ in widths]
        self.assertEqual([columns_of(each) for each in consoles], [columns for _, columns in widths])
        self.assertEqual(columns_of(Console(file=io.StringIO(), width=30)), WIDTH)

    def test_colours(self) -> None:
        """On a terminal a silent path is red and an active one green."""
        printed = self._printed(terminal=True)
        self.assertIn("\x1b[1;31msilent", printed)
        self.assertIn("\x1b[32mactive", printed)


class WatchTests(SynchronousTestCase):
    def test_own_screen(self) -> None:
        """Pictures come on a screen of their own, cut to its size; the last one stays when that is left."""
        paper = io.StringIO()
        console = Console(file=paper, width=30, height=6, force_terminal=True, legacy_windows=False)
        _draw([as_json(NODE)] * 3, console)
        before, _, after = paper.getvalue().partition("\x1b[?1049l")
        self.assertTrue(before.startswith("\x1b[?1049h"))
        frames = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", before.rpartition("\x1b[H")[2]).splitlines()
        self.assertEqual((len(frames), max(map(len, frames))), (6, 30))
        self.assertIn("…", frames[0])
        kept = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", after)
        narrow = plain(node_lines(NODE, NOW, LEAST)).splitlines()
        self.assertEqual([line.rstrip() for line in kept.split("\n")[-2:]], [narrow[-1], ""])

    def test_nothing_seen(self) -> None:
        """A process that is not there leaves no empty picture behind."""
        paper = io.StringIO()
        _draw([], Console(file=paper, width=40, height=6, force_terminal=True, legacy_windows=False))
        self.assertNotIn("\n", paper.getvalue().partition("\x1b[?1049l")[2])


class ExitTests(SynchronousTestCase):
    def code(self, node: NodeStatus, *words: str) -> int:
        """With which `status` ends when that runs here."""
        self.patch(feedclient, "ask", lambda feed, request: as_json(node))
        return int(CliRunner().invoke(commands, ["status", "--run-dir", "/nowhere", *words]).exit_code)

    def test_tells(self) -> None:
        """A script can tell from the exit code whether all is well, however it is shown."""
        for words in ((), ("--json",)):
            self.assertEqual(self.code(NODE, *words), 0)
            self.assertEqual(self.code(replace(NODE, well=False), *words), NOT_WELL)


class HeldBackTests(CommandCase):
    def test_killed(self) -> None:
        """Where a client with a kill switch was killed `status` says why nothing gets out, and what to type."""
        self.place.root.mkdir()
        self.place.client_toml.write_text(f'server = "gw.example"\nstate_dir = "{self.place.state_dir}"\n')
        self.assertNotIn("held back", self.bad("status"))
        journal = self.place.state_dir / "host-journal"
        journal.parent.mkdir()
        begins = json.dumps({"world": this_world()}).encode() + b"\n"
        journal.write_bytes(begins + encode_change(1, StrictTable("morph0", 7)))
        said = self.bad("status")
        self.assertIn("no morphnet is running here", said)
        self.assertIn(f"`morphnet down --dir {self.place.root}` lets everything out", said)


class RoleTests(CommandCase):
    def test_named(self) -> None:
        """Where several roles run, the one that is named is asked."""
        self.good("coordinator", "init", "--plain")
        asked: list[Path] = []

        def ask(feed: Path, request: object) -> dict[str, object]:
            asked.append(feed)
            return as_json(NODE) | {"done": ""}

        self.patch(feedclient, "ask", ask)
        for word in ("status", "reload"):
            self.good(word, "--role", "coordinator")
        self.assertEqual(set(asked), {self.place.root / "run-coordinator/feed.sock"})
        self.assertIn("is no home", self.bad("status", "--role", "home"))


class ReloadTests(SynchronousTestCase):
    def test_said(self) -> None:
        """What the process says of it is said, and shown as text."""
        self.patch(feedclient, "ask", lambda feed, request: {"done": f"{request['ask']}: \x1b[2Jdone"})
        ended = CliRunner().invoke(commands, ["reload", "--run-dir", "/nowhere"])
        self.assertEqual((ended.exit_code, ended.output), (0, "reload: ?[2Jdone\n"))


class CommandTests(SynchronousTestCase):
    def _refusal(self, *words: str) -> str:
        ended = CliRunner().invoke(commands, words)
        self.assertEqual(ended.exit_code, 1)
        return ended.output

    def test_nothing_runs(self) -> None:
        """Without a process each command says so in one sentence."""
        nowhere = str(Path("/nowhere"))
        looks = (
            ["status"],
            ["status", "--json"],
            ["reload"],
            ["events"],
            ["status", "--watch"],
            ["console"],
            ["console", "paths()"],
        )
        for words in (*looks, ["why", "nas"], ["ping", "nas"], ["netcheck"]):
            output = self._refusal(words[0], "--run-dir", nowhere, *words[1:])
            self.assertTrue(output.startswith("Error: no morphnet "), output)
            self.assertIn(nowhere, output)
            self.assertEqual(output.count("\n"), 1)

    def test_not_joined(self) -> None:
        """On a machine without configuration each of them says first of all what to type, in one sentence."""
        place = Path(self.mktemp()).absolute()
        looks = (["status"], ["reload"], ["events"], ["console"], ["why", "nas"], ["ping", "nas"], ["netcheck"])
        for words in looks:
            output = self._refusal(words[0], "--dir", str(place), *words[1:])
            self.assertEqual(output, f"Error: {NOT_JOINED} (there is no configuration in {place})\n")
        place.mkdir()
        (place / "client.toml").touch()
        self.assertIn("no morphnet is running here", self._refusal("status", "--dir", str(place)))
