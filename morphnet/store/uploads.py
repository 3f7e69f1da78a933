"""
What is known of uploads: in SQLite, with a thread that writes and one that reads; one record is read at once, by who
asks for it. Its twin that forgets is `store/memory_uploads`.

How many bytes of an upload are there is not in here: the length of its file says so (`store/vault`), so that no record
is written while bytes come in, and none can be wrong about them after a crash.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from morphnet.errors import BugError
from morphnet.store.base import MOST_MOVES, OPEN, Move, OverQuota, UploadRecord, Uploads, UploadSession, room_for
from morphnet.store.database import open_database, told, writing
from morphnet.store.together import Together
from morphnet.store.versions import Steps

DATABASE = "uploads.db"  # its name in state_dir
_STEPS = Steps(
    (
        """
CREATE TABLE IF NOT EXISTS upload (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    kind TEXT NOT NULL,
    user TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    completed_at INTEGER NOT NULL DEFAULT 0,
    announced INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
""",
        """
ALTER TABLE upload ADD COLUMN lasts_until INTEGER NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS upload_user ON upload (user);
""",
        """
ALTER TABLE upload ADD COLUMN refreshes INTEGER NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS move (
    path TEXT NOT NULL,
    at INTEGER NOT NULL,
    network TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS move_path ON move (path);
""",
        "ALTER TABLE upload ADD COLUMN room INTEGER NOT NULL DEFAULT 0;",
    )
)
_COLUMNS = "path, size, kind, user, created_at, completed_at, announced, lasts_until, room"

_T = TypeVar("_T")


def _record(row: tuple[str, int, str, str, int, int, int, int, int]) -> UploadRecord:
    return UploadRecord(*row[:6], announced=bool(row[6]), lasts_until=row[7], room=row[8])


def is_that(found: UploadRecord | None, only: UploadRecord | None) -> bool:
    """Whether it may be forgotten."""
    if found is None or only is None:
        return True
    return (found.created_at, found.completed_at) == (only.created_at, only.completed_at)


class UploadLedger:
    """
    The records in SQLite, one synchronous call each; for one thread at a time. See `store/base.Uploads`.

    :param path: of the database; made with mode 0600 when it is not there.
    :raises HostError: it cannot be opened or made.
    :raises ConfigError: a later version of morphnet made it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with told(path):
            self._sql = open_database(path, _STEPS)

    def find(self, path: str) -> UploadRecord | None:
        """The one of that path."""
        row = self._sql.execute(f"SELECT {_COLUMNS} FROM upload WHERE path = ?", (path,)).fetchone()
        return _record(row) if row else None

    def begin(self, record: UploadRecord, quota: int = 0) -> UploadRecord:
        """
        Remember a new one; answers with the one that is there.

        :raises OverQuota: with it its user would have more bytes than that.
        """
        with self._transaction():
            found = self.find(record.path)
            if found is not None:
                return found
            used = self.used(record.user) if quota else 0
            if quota and used + max(record.size, 0) > quota:
                raise OverQuota(used)
            self._insert(record)
        return record

    def together(self) -> AbstractContextManager[None]:
        """
        What is called within is one transaction: a call that raises something of ours leaves the others as they are.

        :raises sqlite3.Error: nothing of it is there.
        """
        return writing(self._sql)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if not self._sql.in_transaction:
            with self.together():
                yield
            return
        self._sql.execute("SAVEPOINT one")
        try:
            yield
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK TO one")
                self._sql.execute("RELEASE one")
            raise
        self._sql.execute("RELEASE one")

    def _insert(self, record: UploadRecord) -> None:
        values = (record.path, record.size, record.kind, record.user, record.created_at, record.completed_at)
        self._sql.execute(
            f"INSERT INTO upload ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, int(record.announced), record.lasts_until, record.room),
        )

    def announce(self, path: str) -> None:
        """Its offset is told."""
        self._sql.execute("UPDATE upload SET announced = 1 WHERE path = ? AND announced = 0", (path,))

    def sized(self, path: str, size: int, quota: int = 0) -> None:
        """
        Its size is known.

        :raises OverQuota: with it its user would have more bytes than that.
        """
        with self._transaction():
            found = self.find(path)
            if found is None or found.size != OPEN:
                return
            used = self.used(found.user) if quota else 0
            if quota and used - found.room + size > quota:
                raise OverQuota(used - found.room)
            self._sql.execute("UPDATE upload SET size = ?, room = 0 WHERE path = ?", (size, path))

    def grow(self, path: str, least: int, most: int, quota: int = 0) -> int:
        """
        It counts as so much from now on.

        :raises OverQuota: there is no room for the least of it.
        """
        with self._transaction():
            found = self.find(path)
            used = self.used(found.user) if quota and found is not None else 0
            room = room_for(found, used, least, most, quota)
            if room is None:
                return most
            self._sql.execute("UPDATE upload SET room = ? WHERE path = ?", (room, path))
            return room

    def complete(self, path: str, now: int) -> None:
        """All its bytes are there."""
        self._sql.execute("UPDATE upload SET completed_at = ? WHERE path = ?", (now, path))

    def forget(self, path: str, only: UploadRecord | None = None) -> None:
        """It is gone."""
        with self._transaction():
            if not is_that(self.find(path), only):
                return
            self._sql.execute("DELETE FROM upload WHERE path = ?", (path,))
            self._sql.execute("DELETE FROM move WHERE path = ?", (path,))

    def moved(self, path: str, move: Move) -> None:
        """Who uploads comes from there; of many moves the last are kept."""
        with self._transaction():
            if self.find(path) is None:
                return
            values = (path, move.at, move.network, move.address)
            self._sql.execute("INSERT INTO move (path, at, network, address) VALUES (?, ?, ?, ?)", values)
            self._sql.execute(
                "DELETE FROM move WHERE path = ?1 AND rowid NOT IN"
                " (SELECT rowid FROM move WHERE path = ?1 ORDER BY rowid DESC LIMIT ?2)",
                (path, MOST_MOVES),
            )

    def refresh(self, path: str, most: int) -> bool:
        """Count one more token."""
        changed = self._sql.execute(
            "UPDATE upload SET refreshes = refreshes + 1 WHERE path = ? AND refreshes < ?", (path, most)
        )
        return changed.rowcount == 1

    def session(self, path: str) -> UploadSession:
        """Of who uploads."""
        row = self._sql.execute("SELECT refreshes FROM upload WHERE path = ?", (path,)).fetchone()
        moves = self._sql.execute("SELECT at, network, address FROM move WHERE path = ? ORDER BY rowid", (path,))
        return UploadSession(row[0], tuple(Move(*each) for each in moves)) if row else UploadSession()

    def used(self, user: str) -> int:
        """Bytes of that user."""
        (size,) = self._sql.execute("SELECT total(max(size, room)) FROM upload WHERE user = ?", (user,)).fetchone()
        return int(size)

    def older(self, begun: int, completed: int, now: int) -> list[UploadRecord]:
        """Those that are over."""
        rows = self._sql.execute(
            f"SELECT {_COLUMNS} FROM upload WHERE (completed_at = 0 AND created_at < ?)"
            " OR (completed_at != 0 AND lasts_until = 0 AND completed_at < ?)"
            " OR (completed_at != 0 AND lasts_until != 0 AND lasts_until < ?)",
            (begun, completed, now),
        )
        return [_record(each) for each in rows]

    def close(self) -> None:
        """No call may follow."""
        self._sql.close()


def _no_room(failure: Failure) -> Failure:
    """:raises OSError: there is no room on the disk."""
    trouble = failure.value
    full = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    if isinstance(trouble, sqlite3.OperationalError) and trouble.sqlite_errorcode & 0xFF in full:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from trouble
    return failure


class SqliteUploads(Uploads):
    """
    See Uploads. One thread writes, for all who wait at once; another adds up meanwhile, and waits for no disk.

    One record is found in the reactor's own thread: that takes 15 microseconds, as a reader of a log waits for no
    writer, and the way to a thread and back ten times as long. Answers that a thread gave were told in their order,
    each with what its request did next: of a thousand requests the last one waited a quarter of a second.

    :param ledger: open; it is ours from now on.
    :param reactor: answers are given in its thread.
    """

    def __init__(self, ledger: UploadLedger, reactor: IReactorFromThreads) -> None:
        self._ledger, self._reader, self._finder = ledger, UploadLedger(ledger.path), UploadLedger(ledger.path)
        self._writing = Together(reactor, "uploads", ledger.together)
        self._reading = Together(reactor, "uploads, reading", nullcontext)
        self._closed = False

    def _ask(self, work: Callable[[UploadLedger], _T]) -> Deferred[_T]:
        return self._writing.ask(lambda: work(self._ledger)).addErrback(_no_room)

    def _look(self, work: Callable[[UploadLedger], _T]) -> Deferred[_T]:
        return self._reading.ask(lambda: work(self._reader)).addErrback(_no_room)

    def find(self, path: str) -> Deferred[UploadRecord | None]:
        if self._closed:
            return fail(BugError("the store was closed"))
        return execute(self._finder.find, path).addErrback(_no_room)

    def begin(self, record: UploadRecord, quota: int = 0) -> Deferred[UploadRecord]:
        return self._ask(lambda ledger: ledger.begin(record, quota))

    def announce(self, path: str) -> Deferred[None]:
        return self._ask(lambda ledger: ledger.announce(path))

    def sized(self, path: str, size: int, quota: int = 0) -> Deferred[None]:
        return self._ask(lambda ledger: ledger.sized(path, size, quota))

    def grow(self, path: str, least: int, most: int, quota: int = 0) -> Deferred[int]:
        return self._ask(lambda ledger: ledger.grow(path, least, most, quota))

    def complete(self, path: str, now: int) -> Deferred[None]:
        return self._ask(lambda ledger: ledger.complete(path, now))

    def forget(self, path: str, only: UploadRecord | None = None) -> Deferred[None]:
        return self._ask(lambda ledger: ledger.forget(path, only))

    def used(self, user: str) -> Deferred[int]:
        return self._look(lambda ledger: ledger.used(user))

    def older(self, begun: int, completed: int, now: int) -> Deferred[list[UploadRecord]]:
        return self._look(lambda ledger: ledger.older(begun, completed, now))

    def moved(self, path: str, move: Move) -> Deferred[None]:
        return self._ask(lambda ledger: ledger.moved(path, move))

    def refresh(self, path: str, most: int) -> Deferred[bool]:
        return self._ask(lambda ledger: ledger.refresh(path, most))

    def session(self, path: str) -> Deferred[UploadSession]:
        return self._look(lambda ledger: ledger.session(path))

    async def _close(self) -> None:
        self._closed = True
        self._finder.close()
        try:
            await self._reading.close(self._reader.close)
        finally:
            await self._writing.close(self._ledger.close)

    def close(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._close())
