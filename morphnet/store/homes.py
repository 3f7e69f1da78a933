"""Which homes may register at a coordinator, and which invitations are out: in SQLite, a few short calls a day."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from morphnet.errors import ConfigError, HostError

DATABASE = "homes.db"  # its name in state_dir
_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS home (key TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS invite (token BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
"""


def _hidden(token: str) -> bytes:
    """What is kept of an invitation: whoever reads the file cannot use it."""
    return sha256(b"morphnet home invite\0" + token.encode()).digest()


class HomesLedger:
    """
    The records.

    :param path: of the database; made with mode 0600 when it is not there.
    :raises HostError: it cannot be opened or made.
    :raises ConfigError: a later version of morphnet made it.
    """

    def __init__(self, path: Path) -> None:
        try:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self._sql = sqlite3.connect(path, timeout=10.0, isolation_level=None)
            self._sql.execute("PRAGMA journal_mode = WAL")
            (version,) = self._sql.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise ConfigError(f"the database {path} is of a later morphnet: install that one again")
            self._sql.executescript(_SCHEMA)
            if version < 2:
                self._sql.execute("ALTER TABLE invite ADD COLUMN homes INTEGER NOT NULL DEFAULT 1")
            self._sql.execute(f"PRAGMA user_version = {_VERSION}")
        except (sqlite3.Error, OSError) as trouble:
            raise HostError(f"the database {path}: {trouble}") from trouble

    def is_known(self, home: str) -> bool:
        """Whether it was invited before."""
        return self._sql.execute("SELECT 1 FROM home WHERE key = ?", (home,)).fetchone() is not None

    def invite(self, token: str, expires: int, homes: int = 1) -> None:
        """
        Whoever brings this may register one home, or so many.

        :param expires: Unix seconds.
        """
        self._sql.execute("INSERT OR REPLACE INTO invite VALUES (?, ?, ?)", (_hidden(token), expires, homes))

    def take(self, home: str, token: str, now: int) -> bool:
        """Let this home in for an invitation, which is used up; False when there is none."""
        with self._sql:
            self._sql.execute("BEGIN IMMEDIATE")
            used = self._sql.execute(
                "UPDATE invite SET homes = homes - 1 WHERE token = ? AND expires > ? AND homes > 0",
                (_hidden(token), now),
            )
            if used.rowcount:
                self._sql.execute("INSERT OR IGNORE INTO home VALUES (?, ?)", (home, now))
            self._sql.execute("DELETE FROM invite WHERE expires <= ? OR homes < 1", (now,))
            return used.rowcount > 0

    def forget(self, home: str) -> bool:
        """It may not register any more; False when it was not known."""
        return self._sql.execute("DELETE FROM home WHERE key = ?", (home,)).rowcount > 0

    def close(self) -> None:
        """No more of it."""
        self._sql.close()
