"""How a database is opened, whichever it is."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.store.database import BESIDE, open_database, writing
from morphnet.store.homes import HomesLedger
from morphnet.store.ledger import Ledger
from morphnet.store.uploads import UploadLedger
from morphnet.store.versions import Steps

EVERY = (HomesLedger, UploadLedger, Ledger)
STEPS = Steps(("CREATE TABLE one (x UNIQUE);",))


class DatabaseTests(SynchronousTestCase):
    def setUp(self) -> None:
        """The loosest umask, which must not matter."""
        self.addCleanup(os.umask, os.umask(0))
        self.directory = Path(self.mktemp())
        self.directory.mkdir(0o700)

    def test_every_one(self) -> None:
        """Each is for its owner alone, written ahead and on the disk when a call returns."""
        for kind in EVERY:
            path = self.directory / kind.__name__
            with closing(kind(path)) as opened:
                for suffix in ("", "-wal", "-shm"):
                    self.assertEqual(Path(f"{path}{suffix}").stat().st_mode & 0o777, 0o600, (kind, suffix))
                pragmas = [
                    opened._sql.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
                ]
                self.assertEqual(pragmas, ["wal", 2])

    def test_no_plain_file(self) -> None:
        """A pipe or a directory in its place, or beside it, is one sentence, and nobody waits at it."""
        for kind in EVERY:
            for suffix in ("", *BESIDE):
                path = self.directory / f"{kind.__name__}{suffix}1"
                os.mkfifo(f"{path}{suffix}")
                self.assertIn("no plain file", str(self.assertRaises(HostError, kind, path)))
                path = self.directory / f"{kind.__name__}{suffix}2"
                Path(f"{path}{suffix}").mkdir()
                self.assertIn("no plain file", str(self.assertRaises(HostError, kind, path)))

    def test_not_opened(self) -> None:
        """One of a later version, or that is none, is not held open: another process may have it at once."""
        for kind in EVERY:
            path = self.directory / kind.__name__
            with closing(sqlite3.connect(path)) as sql:
                sql.execute("PRAGMA user_version = 999")
            self.assertRaises(ConfigError, kind, path)
            path.write_bytes(b"no database" * 100)
            self.assertRaises(HostError, kind, path)
            held = {os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd") if _is_open(each)}
            self.assertFalse({each for each in held if each.startswith(str(path.resolve()))})

    def test_writing(self) -> None:
        """All of a transaction is there, or nothing, whoever has ended it; the next one begins anew."""
        with closing(open_database(self.directory / "one", STEPS)) as sql:
            for ended_by_itself in (False, True):
                with self.assertRaisesRegex(ValueError, "ours"), writing(sql):
                    sql.execute("INSERT INTO one VALUES (1)")
                    if ended_by_itself:
                        sql.execute("ROLLBACK")
                    raise ValueError("ours")
                self.assertEqual(sql.execute("SELECT * FROM one").fetchall(), [])
            with writing(sql):
                sql.execute("INSERT INTO one VALUES (1)")
            self.assertEqual(sql.execute("SELECT * FROM one").fetchall(), [(1,)])


def _is_open(descriptor: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")
