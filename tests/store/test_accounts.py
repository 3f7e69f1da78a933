"""Accounts in a file and in memory keep what they promise; what was before there were months is kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.store.base import Accounts, Store
from morphnet.store.ledger import SCHEMA, Ledger
from morphnet.store.memory import MemoryStore
from morphnet.store.sqlite import SqliteStore
from tests.store import contract


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
        old.executescript(SCHEMA[0] + "INSERT INTO traffic VALUES ('laptop', 5, 7); PRAGMA user_version = 1;")
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
