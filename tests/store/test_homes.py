"""Which homes may register."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.store.homes import _STEPS, Homes, HomesLedger, LedgerHomes, MemoryHomes, hidden
from tests.store import homes_contract


class MemoryHomesTests(homes_contract.HomesContract):
    def make_homes(self) -> Homes:
        return MemoryHomes()


class LedgerHomesTests(homes_contract.HomesContract):
    def make_homes(self) -> Homes:
        ledger = HomesLedger(Path(self.mktemp()))
        self.addCleanup(ledger.close)
        return LedgerHomes(ledger)


class HomesLedgerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.ledger = HomesLedger(self.path)
        self.addCleanup(self.ledger.close)

    def test_lasts(self) -> None:
        """What is known is known after a restart too."""
        self.ledger.invite(hidden("token"), 100)
        self.ledger.take("home", hidden("token"), 50)
        again = HomesLedger(self.path)
        self.addCleanup(again.close)
        self.assertTrue(again.is_known("home"))

    def test_not_told_yet(self) -> None:
        """What the other coordinators do not know yet is kept until they do; invitations are then with them alone."""
        self.ledger.know("old", 10)
        self.ledger.know("theirs", 20, copied=True)
        self.ledger.invite(hidden("token"), 100, 3, 7)
        self.ledger.forget("theirs", 8, tell=True)
        self.ledger.forget("elsewhere", 9, tell=True)
        told = ["old"], [hidden("token")], ["elsewhere", "theirs"]
        self.assertEqual(self.ledger.not_copied(), [("old", 10)])
        self.assertEqual(self.ledger.invitations(), [(hidden("token"), 100, 3, 7)])
        self.assertEqual(self.ledger.forgotten(), [("elsewhere", 9), ("theirs", 8)])
        self.ledger.copied(*told)
        self.assertEqual((self.ledger.not_copied(), self.ledger.invitations(), self.ledger.forgotten()), ([], [], []))
        self.assertTrue(self.ledger.is_known("old"))

    def test_nobody_to_forget(self) -> None:
        """A name that is mistaken leaves nothing behind, unless the others may know it."""
        self.assertFalse(self.ledger.forget("nobody", 8))
        self.assertEqual(self.ledger.forgotten(), [])

    def test_another_store(self) -> None:
        """A store that knows nothing yet is told of all homes, once."""
        self.ledger.know("home", 10, copied=True)
        for generation, copied in (("a", False), ("a", True), ("b", False)):
            self.ledger.share_with(generation)
            self.assertEqual(self.ledger.not_copied(), [] if copied else [("home", 10)])
            self.ledger.copied(["home"], (), ())

    def test_first_version(self) -> None:
        """The database of the version before is brought up to date, and its homes are told to the others."""
        path = Path(self.mktemp())
        sql = sqlite3.connect(path, isolation_level=None)
        sql.executescript(
            "CREATE TABLE home (key TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE invite (token BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;"
            "INSERT INTO home VALUES ('home', 5); PRAGMA user_version = 1"
        )
        sql.execute("INSERT INTO invite VALUES (?, 100)", (hidden("old"),))
        sql.close()
        for _ in "12":
            ledger = HomesLedger(path)
            self.addCleanup(ledger.close)
        self.assertEqual(ledger.invitations(), [(hidden("old"), 100, 1, 0)])
        self.assertEqual((ledger.is_known("home"), ledger.not_copied()), (True, [("home", 5)]))

    def test_third_version(self) -> None:
        """Who was forgotten there, and of whom the others were not told yet, is forgotten as of now."""
        path = Path(self.mktemp())
        sql = sqlite3.connect(path, isolation_level=None)
        for step in _STEPS.scripts[:3]:
            sql.executescript(step)
        sql.executescript("INSERT INTO forgotten VALUES ('home'); PRAGMA user_version = 3")
        sql.execute("INSERT INTO invite VALUES (?, ?, 5)", (hidden("old"), 1 << 40))
        sql.close()
        ledger = HomesLedger(path)
        self.addCleanup(ledger.close)
        ((home, at),) = ledger.forgotten()
        self.assertEqual((home, at > 1_700_000_000_000), ("home", True))
        self.assertEqual([ledger.take(each, hidden("old"), 1) for each in ("home", "other")], [False, True])

    def test_nobody_reads_it(self) -> None:
        """The file is for its owner, and holds no invitation that could be used."""
        self.ledger.invite(hidden("a token"), 100)
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
