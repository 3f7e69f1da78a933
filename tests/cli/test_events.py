"""`morphnet events`, as far as it needs no process to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import commands, events
from morphnet.errors import HostError
from morphnet.ops import feedclient
from morphnet.status import Happening, as_json
from tests.ops.pictures import HAPPENINGS


class EventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(feedclient, "ask", lambda feed, request: {"happenings": [as_json(each) for each in HAPPENINGS]})

    def run_with(self, *words: str) -> tuple[int, list[str]]:
        """Exit code and lines."""
        ended = CliRunner().invoke(commands, ["events", "--run-dir", "/nowhere", *words])
        return ended.exit_code, ended.output.splitlines()

    def test_lines(self) -> None:
        """One line each with its time, the newest last; so many of them as were asked for."""
        code, lines = self.run_with()
        self.assertEqual((code, len(lines)), (0, len(HAPPENINGS)))
        self.assertRegex(lines[-1], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")
        self.assertTrue(lines[-1].endswith(HAPPENINGS[-1].text))
        self.assertEqual(self.run_with("--last", "1")[1], lines[-1:])
        self.assertEqual(self.run_with("--last", "0")[1], [])

    def test_json(self) -> None:
        """For machines each is an object."""
        self.assertEqual([json.loads(line) for line in self.run_with("--json")[1]], [*map(as_json, HAPPENINGS)])

    def test_follow(self) -> None:
        """
        What comes later follows what was there, without a gap. At the end of the process it says so, waits for the next
        one and goes on with that, from its beginning; Ctrl-C ends it.
        """
        asked: list[dict[str, Any]] = []

        def follow(feed: object, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
            asked.append(request)
            yield as_json(HAPPENINGS[0])
            if len(asked) == 2:
                raise HostError("connection reset")
            if len(asked) == 3:
                raise KeyboardInterrupt

        answers: list[list[Happening] | None] = [list(HAPPENINGS), None, None, [], list(HAPPENINGS[:2])]

        def ask(feed: object, request: object) -> dict[str, Any]:
            if (answer := answers.pop(0)) is None:
                raise feedclient.Nobody("no morphnet is running here")
            return {"happenings": [as_json(each) for each in answer]}

        self.patch(feedclient, "follow", follow)
        self.patch(feedclient, "ask", ask)
        self.patch(events, "AGAIN", 0.0)
        code, lines = self.run_with("--follow", "--last", "1")
        ended, again = "the process has ended: waiting for the next one, until Ctrl-C", "it runs again"
        said = [line if line in (ended, again) else "." for line in lines]
        self.assertEqual((code, said), (0, [".", ".", ended, again, ".", ended, again, ".", ".", "."]))
        self.assertEqual([each["after"] for each in asked], [HAPPENINGS[-1].number, 0, HAPPENINGS[1].number])

    def test_other_version(self) -> None:
        """An answer that is none is a sentence."""
        for answer in ({"happenings": 3}, {"happenings": [3]}, {}):
            self.patch(feedclient, "ask", lambda feed, request, answer=answer: answer)
            self.assertEqual(self.run_with(), (1, [f"Error: {feedclient.OTHER_VERSION}"]))
            self.assertRaises(HostError, lambda answer=answer: feedclient.happening(answer))
