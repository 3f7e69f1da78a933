"""Databases of versions before and after: they open, or it is said in one sentence why not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.store.ledger import SCHEMA, Ledger
from morphnet.store.versions import ADDITION, Steps, bring_up, statements
from tests.store.contract import POOL4, POOL6, a_record

FIRST = "CREATE TABLE one (x);"
SECOND = f"{ADDITION} nobody else needs it.\nCREATE TABLE IF NOT EXISTS two (x);"
THIRD = "ALTER TABLE one ADD COLUMN y;"
# A database as version 2 of the records made it, and as a process of that version goes on with it.
RECORDED = """
CREATE TABLE lease (name TEXT PRIMARY KEY, inner4 TEXT UNIQUE, inner6 TEXT UNIQUE,
    session BLOB NOT NULL UNIQUE CHECK (length(session) = 16)) STRICT;
CREATE TABLE certificate (number INTEGER PRIMARY KEY AUTOINCREMENT, serial TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('server', 'client', 'invite')), not_after INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL DEFAULT 0, used_at INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX certificate_name ON certificate (name);
CREATE TABLE month (name TEXT NOT NULL, month TEXT NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,
    PRIMARY KEY (name, month)) STRICT, WITHOUT ROWID;
CREATE TABLE unreported (name TEXT PRIMARY KEY, sent INTEGER NOT NULL, received INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),
    kind TEXT NOT NULL CHECK (kind IN ('server', 'add', 'subtract', 'traffic')), name TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE present (session TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO lease VALUES ('laptop', '10.73.0.2', 'fd73::2', x'00112233445566778899aabbccddeeff');
INSERT INTO certificate (serial, name, kind, not_after) VALUES ('1', 'laptop', 'client', 2000000000);
INSERT INTO month VALUES ('laptop', '2026-11', 5, 7);
PRAGMA user_version = 2;
"""


class StepsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """:ivar sql: an empty database."""
        self.sql = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.sql.close)

    def up(self, *scripts: str) -> tuple[int, list[str]]:
        """The version that the database says then, and its tables."""
        bring_up(self.sql, Steps(scripts), Path("some.db"))
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        return version, [name for (name,) in self.sql.execute("SELECT name FROM sqlite_schema ORDER BY name")]

    def test_addition(self) -> None:
        """What is added keeps no earlier version out, is made once more without harm, and stays over its time."""
        self.assertEqual(self.up(FIRST, SECOND), (1, ["one", "two"]))
        self.sql.execute("INSERT INTO two VALUES (5)")
        for scripts in ((FIRST,), (FIRST, SECOND), (FIRST,)):
            self.assertEqual(self.up(*scripts), (1, ["one", "two"]))
        self.assertEqual(self.up(FIRST, SECOND, THIRD), (3, ["one", "two"]))
        self.assertEqual(self.sql.execute("SELECT x FROM two").fetchall(), [(5,)])

    def test_counted(self) -> None:
        """A number that an addition had raised stays: the version that counted it would make its table once more."""
        self.up(FIRST, SECOND)
        self.sql.execute("PRAGMA user_version = 2")
        self.assertEqual(self.up(FIRST, SECOND), (2, ["one", "two"]))
        self.assertEqual(self.up(FIRST, "CREATE TABLE two (x);"), (2, ["one", "two"]))
        self.assertRaises(ConfigError, self.up, FIRST)

    def test_changed(self) -> None:
        """What an earlier version could not read it does not touch, and says so in one sentence."""
        self.up(FIRST, SECOND, THIRD)
        refused = self.assertRaises(ConfigError, self.up, FIRST, SECOND)
        self.assertEqual(str(refused), "the database some.db is of a later morphnet: install that one again")

    def test_statements(self) -> None:
        """A script comes apart between its statements, not within one."""
        script = "CREATE TABLE a (b TEXT DEFAULT ';');\n-- and\nCREATE TABLE c (\n    d\n);\n"
        self.assertEqual(len(list(statements(script))), 2)
        self.assertEqual(len(list(Steps([FIRST, SECOND, THIRD]).missing(1))), 2)


class RecordsTests(SynchronousTestCase):
    """The records of a server that goes to this version and back."""

    def setUp(self) -> None:
        """:ivar path: of a database of the version before."""
        self.path = Path(self.mktemp())
        with closing(sqlite3.connect(self.path)) as sql:
            sql.executescript(RECORDED)
        self.path.chmod(0o600)

    def test_there_and_back(self) -> None:
        """All that was there is there; what is written now is read by the version before, which opens it."""
        for addresses in (["10.73.0.2"], ["10.73.0.2", "10.73.0.3"]):
            with closing(Ledger(self.path)) as ledger:
                self.assertEqual([each.inner4 for each in ledger.leases()], addresses)
                self.assertEqual([each.name for each in ledger.certificates()], ["laptop"])
                ledger.approve("laptop", "192.168.7.0/24")
                ledger.lease("desk", POOL4, POOL6, bytes(16))
            with closing(sqlite3.connect(self.path)) as sql:
                self.assertEqual(sql.execute("PRAGMA user_version").fetchone(), (2,))
                self.assertEqual(sql.execute("SELECT count(*) FROM lease").fetchone(), (2,))
        with closing(Ledger(self.path)) as ledger:
            ledger.add_certificate(a_record("2"))
            self.assertEqual(ledger.approved(), [("laptop", "192.168.7.0/24")])

    def test_as_recorded(self) -> None:
        """A database that is made now has the tables of the recorded one, to the letter of their columns, and more."""
        with closing(sqlite3.connect(":memory:")) as fresh, closing(sqlite3.connect(self.path)) as old:
            fresh.executescript("".join(SCHEMA.scripts))
            for (table,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
                columns = f"SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table}')"
                self.assertEqual(fresh.execute(columns).fetchall(), old.execute(columns).fetchall(), table)
