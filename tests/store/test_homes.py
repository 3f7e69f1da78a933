"""Which homes may register."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.store.homes import HomesLedger, _hidden


class HomesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.ledger = HomesLedger(self.path)
        self.addCleanup(self.ledger.close)

    def test_invitation(self) -> None:
        """It is good once, until it expires; who has used it is known from then on, after a restart too."""
        self.ledger.invite("token", 100)
        self.assertFalse(self.ledger.take("home", "another", 50))
        self.assertTrue(self.ledger.take("home", "token", 50))
        self.assertFalse(self.ledger.take("other", "token", 50))
        again = HomesLedger(self.path)
        self.addCleanup(again.close)
        self.assertEqual((again.is_known("home"), again.is_known("other")), (True, False))
        self.ledger.invite("late", 100)
        self.assertFalse(self.ledger.take("other", "late", 100))

    def test_several(self) -> None:
        """One for several homes is good for as many; one that knows the table of before is told how many it is for."""
        self.ledger.invite("token", 100, 2)
        self.assertEqual([self.ledger.take(home, "token", 50) for home in "abc"], [True, True, False])
        old = Path(self.mktemp())
        with closing(sqlite3.connect(old, isolation_level=None)) as before:
            before.execute("CREATE TABLE invite (token BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID")
            before.execute("INSERT INTO invite VALUES (?, 100)", (_hidden("old"),))
            before.execute("PRAGMA user_version = 1")
        for _ in "12":
            ledger = HomesLedger(old)
            self.addCleanup(ledger.close)
        self.assertEqual([ledger.take(home, "old", 50) for home in "ab"], [True, False])

    def test_forget(self) -> None:
        """One that was known is not any more."""
        self.ledger.invite("token", 100)
        self.ledger.take("home", "token", 50)
        self.assertEqual((self.ledger.forget("home"), self.ledger.forget("home")), (True, False))
        self.assertFalse(self.ledger.is_known("home"))

    def test_nobody_reads_it(self) -> None:
        """The file is for its owner, and holds no invitation that could be used."""
        self.ledger.invite("a token", 100)
        self.ledger.close()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(b"a token", self.path.read_bytes())

    def test_refused(self) -> None:
        """What is no database, or of a later version, is told in one sentence."""
        other = Path(self.mktemp())
        sqlite3.connect(other).execute("PRAGMA user_version = 99").connection.close()
        self.assertRaises(ConfigError, HomesLedger, other)
        other.write_bytes(b"no database" * 100)
        self.assertRaises(HostError, HomesLedger, other)
