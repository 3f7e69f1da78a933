"""What a webhook is told, and told again, until it has taken it."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.roles.server import reporting
from morphnet.roles.server.reporting import FIRST_REST, LONGEST_REST, SET_ASIDE, Posts, Reporter, read_token
from morphnet.store.memory import MemoryStore


class FakeDoor(Posts):
    """Answers as it is told; None for never."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, str]] = []
        self.answers: list[int | Exception | None] = []  # of the next ones; then 200
        self.refuses = ""  # a path

    def post(self, path: str, body: bytes, key: str) -> Awaitable[int]:
        self.got.append((path, body, key))
        answer = 422 if path == self.refuses else self.answers.pop(0) if self.answers else 200
        if answer is None:
            return Deferred()
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


class ReporterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.store, self.door = Clock(), MemoryStore(), FakeDoor()
        self.book = self.store.accounts
        self.make()

    def make(self) -> None:
        """One of a new process."""
        self.reporter = Reporter(self.store, self.door, {"name": "gw", "ip": "192.0.2.1"}, self.clock.seconds)

    def owe(self, *names: str) -> None:
        """Traffic of these is to be told."""
        self.book.add("2026-11", dict.fromkeys(names, (1, 2)), report=True)
        self.book.report()
        self.reporter.stir()

    def look_for(self, seconds: int) -> None:
        """Each second."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.reporter.look()

    def test_bodies(self) -> None:
        """As the original's API has them."""
        self.book.announce("gw")
        self.book.came("laptop")
        self.owe("laptop", "old:anna")
        self.reporter.look()
        told = [(path, json.loads(body)) for path, body, _ in self.door.got]
        self.assertEqual(
            told,
            [
                ("/server", {"name": "gw", "ip": "192.0.2.1"}),
                ("/client/add", {"name": "gw"}),
                ("/traffic", {"id": "laptop", "traffic": 1, "up": 2}),
                ("/traffic", {"id": "anna", "traffic": 1, "up": 2}),
            ],
        )
        self.assertEqual(self.reporter.counters(), {"webhook_taken": 4, "webhook_waiting": 0})

    def test_again(self) -> None:
        """What was not answered goes again, ever more seldom, the same under the same key, and nothing before it."""
        self.door.answers = [HostError("no answer"), 503, 429, 500]
        self.owe("a", "b")
        self.reporter.look()
        self.look_for(1)
        self.assertIn("2 reports wait", self.reporter.warnings()[0])
        self.look_for(20)
        self.assertEqual(len(set(self.door.got[:5])), 1)
        self.assertEqual(len(set(self.door.got)), 2)
        self.assertEqual((len(self.door.got), self.reporter.warnings(), self.book.waiting()), (6, (), 0))
        self.assertEqual(self.reporter.counters()["webhook_failed"], 4)

    def test_seldom(self) -> None:
        """One that never answers is not asked more often than that."""
        self.door.answers = [503] * 1000
        self.owe("a")
        self.look_for(3600)
        self.assertTrue(3600 / LONGEST_REST <= len(self.door.got) <= 3600 / LONGEST_REST + 10, len(self.door.got))
        self.assertLess(FIRST_REST, LONGEST_REST)

    def test_refused(self) -> None:
        """What it does not want waits for an hour; what comes behind it does not."""
        self.door.refuses = "/server"
        self.book.announce("gw")
        self.owe("a")
        self.reporter.look()
        self.assertEqual([path for path, _, _ in self.door.got], ["/server", "/traffic"])
        self.look_for(int(SET_ASIDE) // 2)
        self.assertEqual(len(self.door.got), 2)
        self.door.refuses = ""
        self.look_for(int(SET_ASIDE))
        self.assertEqual((len(self.door.got), self.book.waiting()), (3, 0))
        self.flushLoggedErrors()

    def test_about_all(self) -> None:
        """A wrong token, a wrong place: that is no report's fault, and each waits as if there had been no answer."""
        for status in (301, 401, 403, 404, 405, 418, 451):
            self.store, self.door = MemoryStore(), FakeDoor()
            self.book, self.door.answers = self.store.accounts, [status] * 3
            self.make()
            for _ in range(3):
                self.owe("a", "b")
            self.reporter.look()
            self.assertEqual(len(self.door.got), 1, status)
            self.assertIn(f"it answers {status}): 2 reports wait", self.reporter.warnings()[0])
            self.look_for(60)
            self.assertEqual((len(set(self.door.got)), self.reporter.warnings(), self.book.waiting()), (2, (), 0))

    def test_few_are_set_aside(self) -> None:
        """The operator is told how many; one user's are one, and beyond a bound all wait."""
        self.patch(reporting, "MOST_ASIDE", 3)
        self.door.refuses = "/traffic"
        for _ in range(5):
            self.owe("a", "b")
            self.look_for(1)
        self.assertIn("does not want 2 reports", self.reporter.warnings()[-1])
        self.assertEqual((len(self.door.got), self.book.waiting()), (2, 4))
        self.owe("c", "d", "e")
        self.look_for(60)
        self.assertIn("it answers 422, and to 3 others", self.reporter.warnings()[0])
        self.assertEqual(len(set(self.door.got)), 4)
        self.assertLess(len(self.door.got), 12)
        self.door.refuses = ""
        self.look_for(int(SET_ASIDE) + 300)
        self.assertEqual((self.book.waiting(), self.reporter.warnings()), (0, ()))
        self.flushLoggedErrors()

    def test_next_process(self) -> None:
        """What was under way at the end goes out again, the same under the same key."""
        self.door.answers = [None]
        self.owe("a")
        self.reporter.look()
        self.reporter.stop()
        self.book.add("2026-11", {"a": (5, 5)}, report=True)
        self.make()
        self.owe()
        self.reporter.look()
        self.assertEqual(self.door.got[0], self.door.got[1])
        self.assertEqual(json.loads(self.door.got[2][1]), {"id": "a", "traffic": 5, "up": 5})

    def test_one_at_a_time(self) -> None:
        """While one is under way no other goes out."""
        self.door.answers = [None]
        self.owe("a", "b")
        self.look_for(10)
        self.assertEqual(len(self.door.got), 1)


class TokenTests(SynchronousTestCase):
    def test_file(self) -> None:
        """One line; everything else is a sentence for the operator."""
        path = Path(self.mktemp()).absolute()
        self.assertEqual(read_token(""), "")
        self.assertRaises(ConfigError, read_token, str(path))
        path.write_text("secret\n")
        self.assertEqual(read_token(str(path)), "secret")
        for wrong in (b"", b"one\ntwo", "ü".encode()):
            path.write_bytes(wrong)
            self.assertRaises(ConfigError, read_token, str(path))
