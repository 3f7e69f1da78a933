"""Accounts in a file and in memory keep what they promise; what was before there were months is kept."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.store.base import Accounts, Store
from morphnet.store.ledger import SCHEMA, Ledger
from morphnet.store.memory import MemoryStore
from morphnet.store.sqlite import SqliteStore
from tests.store import contract

KILLS = 6
# Counts and reports until it is killed; says each time how much it has counted, and, less than nothing, what it tells.
COUNTER = """
import sys
from pathlib import Path
from morphnet.store.ledger import Ledger
ledger, total = Ledger(Path(sys.argv[1])), 0
while True:
    total += 7
    ledger.account(lambda book: book.add("2026-11", {"laptop": (7, 14)}, report=True))
    print(total, flush=True)
    ledger.account(lambda book: book.report())
    post = ledger.account(lambda book: book.next_post())
    if total % 3 == 0:
        print(-post.sent, flush=True)
        ledger.account(lambda book: book.taken(post.number))
"""


class SqliteAccountsTests(contract.AccountsContract):
    def make_store(self) -> Store:
        """One in a new file."""
        return SqliteStore(Ledger(Path(self.mktemp()) / "morphnet.db"), reactor)  # type: ignore[arg-type]


class MemoryAccountsTests(contract.AccountsContract):
    def make_store(self) -> Store:
        """One that forgets."""
        return MemoryStore()


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def test_before_months(self) -> None:
        """What a morphnet of before has counted is there still, of no month, and counts for no quota."""
        old = sqlite3.connect(self.path)
        old.executescript(SCHEMA.scripts[0] + "INSERT INTO traffic VALUES ('laptop', 5, 7); PRAGMA user_version = 1;")
        old.close()
        ledger = Ledger(self.path)
        self.addCleanup(ledger.close)
        self.assertEqual(ledger.account(lambda book: book.months()), [("laptop", "", 5, 7)])
        self.assertEqual(ledger.account(lambda book: book.standing("2026-11")), ("2026-11", {}))
        ledger.account(lambda book: book.add("2026-11", {"laptop": (1, 1)}, report=False))
        self.assertEqual(ledger.traffic(), {"laptop": (6, 8)})

    def test_all_or_nothing(self) -> None:
        """Work that fails half way has done nothing."""
        ledger = Ledger(self.path)
        self.addCleanup(ledger.close)

        def half(book: Accounts) -> None:
            book.add("2026-11", {"laptop": (1, 1)}, report=True)
            raise sqlite3.OperationalError("disk is full")

        self.assertRaises(HostError, ledger.account, half)
        self.assertEqual(ledger.account(lambda book: book.months()), [])

    def test_killed(self) -> None:
        """`kill -9` at whatever moment leaves all that was counted, and is still to be told what was not taken."""
        counted = taken = 0
        for turn in range(KILLS):
            words = [sys.executable, "-c", COUNTER, str(self.path)]
            counter = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            assert counter.stdout is not None  # a pipe was asked for
            said = [int(counter.stdout.readline()) for _ in range(20 + 7 * turn)]
            counter.kill()
            said += [int(line) for line in counter.communicate()[0].splitlines()]
            least, told = counted + max(said), [-each for each in said if each < 0]
            counted, waiting = self.standing()
            self.assertIn(counted, (least, least + 7))  # one may have been counted and not said
            before, taken = taken, counted - waiting
            self.assertIn(taken - before, (sum(told), sum(told[:-1])))  # one may have been said and not taken

    def standing(self) -> tuple[int, int]:
        """Bytes to the laptop that were counted, and those that are still to be told."""
        ledger = Ledger(self.path)
        sent, received = ledger.account(lambda book: book.standing("2026-11")).amounts["laptop"]
        ledger.close()
        self.assertEqual(received, 2 * sent)
        owed = "SELECT total(sent) FROM (SELECT sent FROM outbox UNION ALL SELECT sent FROM unreported)"
        sql = sqlite3.connect(self.path)
        ((waiting,),) = sql.execute(owed)
        sql.close()
        return sent, int(waiting)
