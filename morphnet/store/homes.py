"""Which homes may register at a coordinator, and which invitations are out: in SQLite, a few short calls a day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred, execute

from morphnet.store.database import open_database, told, writing
from morphnet.store.versions import Steps

DATABASE = "homes.db"  # its name in state_dir
_STEPS = Steps(
    (
        """
CREATE TABLE IF NOT EXISTS home (key TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS invite (token BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
""",
        """
ALTER TABLE invite ADD COLUMN homes INTEGER NOT NULL DEFAULT 1;
""",
        """
ALTER TABLE home ADD COLUMN copied INTEGER NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS forgotten (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shared (generation TEXT PRIMARY KEY) WITHOUT ROWID;
""",
        """
ALTER TABLE invite ADD COLUMN made INTEGER NOT NULL DEFAULT 0;
ALTER TABLE forgotten ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
UPDATE forgotten SET at = 1000 * CAST(strftime('%s', 'now') AS INTEGER);
""",
    )
)


def hidden(token: str) -> bytes:
    """What is kept of an invitation: whoever reads that cannot use it."""
    return sha256(b"morphnet home invite\0" + token.encode()).digest()


class Homes(Protocol):
    """The homes that may register, and the invitations that are out."""

    def is_known(self, home: str) -> Deferred[bool]:
        """Whether it was invited before."""
        ...

    def know(self, home: str, since: int) -> Deferred[None]:
        """
        Let it in without an invitation.

        :param since: Unix seconds; what is there already stays.
        """
        ...

    def invite(self, token: bytes, expires: int, homes: int = 1, made: int = 0) -> Deferred[None]:
        """
        Whoever brings this may register one home, or so many.

        :param token: hidden.
        :param expires: Unix seconds.
        :param made: Unix milliseconds.
        """
        ...

    def take(self, home: str, token: bytes, now: int) -> Deferred[bool]:
        """
        Let this home in for an invitation, which is used up; False when there is none, or when the home was forgotten
        since it was made.
        """
        ...

    def forget(self, home: str, at: int) -> Deferred[bool]:
        """
        It may not register any more, unless it is invited anew; False when it was not known.

        :param at: Unix milliseconds. No invitation that was made before is good for it.
        """
        ...


class HomesLedger:
    """
    The records in SQLite, one synchronous call each. With a Redis that several coordinators share, it is this one's
    copy, and holds what is yet to be told the others.

    :param path: of the database; made with mode 0600 when it is not there.
    :raises HostError: it cannot be opened or made; so does each call when it cannot be read or written.
    :raises ConfigError: a later version of morphnet made it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with told(path):
            self._sql = open_database(path, _STEPS)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with told(self._path), writing(self._sql):
            yield

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with told(self._path):
            return self._sql.execute(statement, values).fetchall()

    def is_known(self, home: str) -> bool:
        """See Homes."""
        return bool(self._rows("SELECT 1 FROM home WHERE key = ?", home))

    def know(self, home: str, since: int, *, copied: bool = False) -> None:
        """
        See Homes.

        :param copied: the others know it.
        """
        self._rows("INSERT OR IGNORE INTO home VALUES (?, ?, ?)", home, since, copied)

    def invite(self, token: bytes, expires: int, homes: int = 1, made: int = 0) -> None:
        """See Homes."""
        self._rows("INSERT OR REPLACE INTO invite VALUES (?, ?, ?, ?)", token, expires, homes, made)

    def take(self, home: str, token: bytes, now: int) -> bool:
        """See Homes."""
        with self._writing():
            used = self._sql.execute(
                "UPDATE invite SET homes = homes - 1 WHERE token = ? AND expires > ? AND homes > 0"
                " AND NOT EXISTS (SELECT 1 FROM forgotten WHERE key = ? AND at >= made)",
                (token, now, home),
            )
            if used.rowcount:
                self._sql.execute("DELETE FROM forgotten WHERE key = ?", (home,))
                self.know(home, now)
            self._sql.execute("DELETE FROM invite WHERE expires <= ? OR homes < 1", (now,))
            return used.rowcount > 0

    def forget(self, home: str, at: int, *, tell: bool = False) -> bool:
        """
        See Homes.

        :param tell: the others are to forget it as well, whether it is known here or not.
        """
        with self._writing():
            known = self._sql.execute("DELETE FROM home WHERE key = ?", (home,)).rowcount > 0
            if known or tell:
                self._sql.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?)", (home, at))
            return known

    def lose_copy(self, home: str) -> None:
        """The others do not know it any more."""
        self._rows("DELETE FROM home WHERE key = ? AND copied = 1", home)

    # -- what the others do not know yet ----------------------------------------------------------------------------

    def share_with(self, generation: str) -> None:
        """The others have a store of that name. A new one knows none of our homes, and is to be told of all."""
        with self._writing():
            if self._sql.execute("SELECT 1 FROM shared WHERE generation = ?", (generation,)).fetchone() is None:
                self._sql.execute("DELETE FROM shared")
                self._sql.execute("INSERT INTO shared VALUES (?)", (generation,))
                self._sql.execute("UPDATE home SET copied = 0")

    def not_copied(self) -> list[tuple[str, int]]:
        """Homes, and since when."""
        return self._rows("SELECT key, since FROM home WHERE copied = 0")

    def invitations(self) -> list[tuple[bytes, int, int, int]]:
        """All, when each expires, for how many homes it is, and when it was made."""
        return self._rows("SELECT token, expires, homes, made FROM invite")

    def forgotten(self) -> list[tuple[str, int]]:
        """Homes, and when."""
        return self._rows("SELECT key, at FROM forgotten")

    def copied(self, homes: Iterable[str], invitations: Iterable[bytes], forgotten: Iterable[str]) -> None:
        """The others know these; invitations are with them alone."""
        with self._writing():
            self._sql.executemany("UPDATE home SET copied = 1 WHERE key = ?", [(each,) for each in homes])
            self._sql.executemany("DELETE FROM invite WHERE token = ?", [(each,) for each in invitations])
            self._sql.executemany("DELETE FROM forgotten WHERE key = ?", [(each,) for each in forgotten])

    def close(self) -> None:
        """No more of it."""
        self._sql.close()


class LedgerHomes(Homes):
    """Homes upon a ledger; every Deferred has fired already."""

    def __init__(self, ledger: HomesLedger) -> None:
        self._ledger = ledger

    def is_known(self, home: str) -> Deferred[bool]:
        return execute(self._ledger.is_known, home)

    def know(self, home: str, since: int) -> Deferred[None]:
        return execute(self._ledger.know, home, since)

    def invite(self, token: bytes, expires: int, homes: int = 1, made: int = 0) -> Deferred[None]:
        return execute(self._ledger.invite, token, expires, homes, made)

    def take(self, home: str, token: bytes, now: int) -> Deferred[bool]:
        return execute(self._ledger.take, home, token, now)

    def forget(self, home: str, at: int) -> Deferred[bool]:
        return execute(self._ledger.forget, home, at)


class MemoryHomes(Homes):
    """Homes that are forgotten with the process; every Deferred has fired already."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._forgotten: dict[str, int] = {}
        self._invitations: dict[bytes, tuple[int, int, int]] = {}  # when each expires, for how many homes, when made

    def is_known(self, home: str) -> Deferred[bool]:
        return execute(self._known.__contains__, home)

    def know(self, home: str, since: int) -> Deferred[None]:
        return execute(lambda: self._known.setdefault(home, since)).addCallback(lambda _: None)

    def invite(self, token: bytes, expires: int, homes: int = 1, made: int = 0) -> Deferred[None]:
        return execute(self._invitations.__setitem__, token, (expires, homes, made))

    def take(self, home: str, token: bytes, now: int) -> Deferred[bool]:
        def taken() -> bool:
            expires, homes, made = self._invitations.get(token, (now, 1, 0))
            if expires > now and self._forgotten.get(home, -1) >= made:
                return False
            self._invitations.pop(token, None)
            if expires <= now:
                return False
            if homes > 1:
                self._invitations[token] = expires, homes - 1, made
            self._forgotten.pop(home, None)
            self._known.setdefault(home, now)
            return True

        return execute(taken)

    def forget(self, home: str, at: int) -> Deferred[bool]:
        def forgot() -> bool:
            self._forgotten[home] = at
            return self._known.pop(home, None) is not None

        return execute(forgot)
