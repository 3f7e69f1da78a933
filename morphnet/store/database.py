"""
A database of ours in a file: how SQLite opens it, and how it is written to.

Source: https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from morphnet.errors import HostError
from morphnet.store.versions import Steps, bring_up

BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database
_PATIENCE = 10.0  # seconds to wait for another process that writes


@contextmanager
def told(path: Path) -> Iterator[None]:
    """
    SQLite's troubles, told to the operator.

    :raises HostError: as it says.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as trouble:
        raise HostError(f"the database {path}: {trouble}") from trouble


def open_database(path: Path, steps: Steps) -> sqlite3.Connection:
    """
    Open it, made with mode 0600 when it is not there, and bring it up to date. Transactions begin where `writing` says.
    Every write is on the disk when that ends. Threads may change, but never two at once.

    :raises HostError: there is something else in its place.
    :raises ConfigError: a later version of morphnet made it.
    :raises sqlite3.Error: it cannot be opened.
    :raises OSError: it cannot be made.
    """
    _check_files(path)
    _make(path)
    sql = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = FULL")  # a lease that was told must outlive a power cut
        with writing(sql):
            bring_up(sql, steps, path)
    except BaseException:
        sql.close()
        raise
    return sql


@contextmanager
def writing(sql: sqlite3.Connection) -> Iterator[None]:
    """
    One transaction: all of it or nothing. IMMEDIATE, so that what it reads cannot change before it writes.

    :raises sqlite3.Error: nothing of it is there.
    """
    sql.execute("BEGIN IMMEDIATE")
    try:
        yield
        sql.execute("COMMIT")
    except BaseException:
        if sql.in_transaction:  # a full disk has ended it already
            sql.execute("ROLLBACK")
        raise


def _check_files(path: Path) -> None:
    """SQLite would wait for ever at a pipe, and call a directory by a number."""
    for each in (f"{path}{suffix}" for suffix in ("", *BESIDE)):
        if os.path.lexists(each) and not os.path.isfile(each):
            raise HostError(f"{each} is no plain file: move it away")


def _make(path: Path) -> None:
    """
    Make the file if there is none: SQLite would make it with mode 0644.

    Never open one that is there: closing it would drop the locks that SQLite holds on it in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
