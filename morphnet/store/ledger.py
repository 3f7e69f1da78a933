"""
The records in SQLite, one synchronous call each: the core of the server's store, and what the command line uses while
the server runs. Every write is on the disk when its call returns.

See `store/database` for how the file is opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import ClassVar, TypeVar

from morphnet.errors import BugError, ConfigError, HostError
from morphnet.store.accounts import AccountBook
from morphnet.store.base import Accounts, Amount, Approval, CertificateRecord, Lease, PhoneRecord
from morphnet.store.database import open_database, told, writing
from morphnet.store.pool import Pool
from morphnet.store.versions import Steps

DATABASE = "morphnet.db"  # its name in state_dir
_SPOILT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOST = (
    "the database {path} is {how}, and with it the records of this network are lost, while its CA is here: stop what"
    " runs, and put a backup back with `morphnet restore FILE`; without one, `morphnet restore --from-book` makes them"
    " from what the CA has signed"
)
_SPOILT_TEXT = (
    "the database {path} is damaged ({trouble}): stop what runs, and put a backup back with `morphnet restore FILE"
    " --replace`"
)
_T = TypeVar("_T")
_COLUMNS = "serial, name, kind, not_after, revoked_at, used_at"


def _schema() -> list[str]:
    """The numbered schema files in their order; what file N makes is version N."""
    folder = resources.files("morphnet.store") / "schema"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    return [each.read_text("utf-8") for each in files]


SCHEMA = Steps(_schema())  # read before root takes another's rights, who may not read where we are installed


class RecordsLost(ConfigError):
    """A network was founded here, and its records are gone."""


class RecordsDamaged(HostError):
    """What is in the database's file is not what SQLite has written."""


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """SQLite's troubles, told to the operator."""
    with told(path):
        try:
            yield
        except sqlite3.DatabaseError as trouble:
            if getattr(trouble, "sqlite_errorcode", 0) & 0xFF in _SPOILT:  # above that byte is a detail of it
                raise RecordsDamaged(_SPOILT_TEXT.format(path=path, trouble=trouble)) from trouble
            raise


class Ledger:
    """
    One open database; see `morphnet.store.base.Store` for what each call promises. For one thread at a time.

    A process has a database open once. POSIX gives locks to a process, and takes them all away when it closes any
    descriptor of the file: then another process believes to be the last one, and removes the log that we write to.

    :param path: of the database; made with mode 0600 when it is not there, its directory with 0700.
    :raises HostError: it cannot be opened or made.
    :raises ConfigError: a later version of morphnet made it.
    :raises BugError: it is open in this process already.

    Source: https://sqlite.org/howtocorrupt.html section 2.2.
    """

    _open: ClassVar[set[Path]] = set()  # in this process

    def __init__(self, path: Path) -> None:
        self._path, self._known_as = path, path.resolve()
        if self._known_as in self._open:
            raise BugError(f"the database {path} is open in this process already")
        with _sentences(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sql = open_database(path, SCHEMA)
        self._open.add(self._known_as)

    @classmethod
    def of_network(cls, path: Path) -> Ledger:
        """
        The records of a network that was founded: there is at least the first certificate in them.

        A database that is made anew in the place of a lost one would know nobody who was revoked.

        :raises RecordsLost: they are gone, or there are none.
        :raises RecordsDamaged: as it says.
        """
        with _sentences(path):
            try:
                path.stat()
            except FileNotFoundError:
                raise RecordsLost(_LOST.format(path=path, how="not there")) from None
        ledger = cls(path)
        try:
            ledger._check()
        except (HostError, ConfigError):
            ledger.close()
            raise
        return ledger

    def _check(self) -> None:
        with _sentences(self._path):
            (said,) = self._sql.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                raise RecordsDamaged(_SPOILT_TEXT.format(path=self._path, trouble=" ".join(str(said).split())))
            if self._sql.execute("SELECT 1 FROM certificate LIMIT 1").fetchone() is None:
                raise RecordsLost(_LOST.format(path=self._path, how="empty"))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: all of it or nothing."""
        with _sentences(self._path), writing(self._sql):
            yield

    def lease(self, name: str, pool4: str, pool6: str, fresh_session: bytes) -> Lease:
        """The lease of `name`, made now if it has none."""
        pools = (Pool(pool4, 4) if pool4 else None, Pool(pool6, 6) if pool6 else None)
        with _sentences(self._path):
            held = self._held(name)
        if held is not None and _suits(held, pools):
            return held  # the common case writes nothing
        with self._writing():
            held = self._held(name)
            session = held.session if held else fresh_session
            inner4, inner6 = (
                self._address(name, column, pool, getattr(held, column) if held else "")
                for column, pool in zip(("inner4", "inner6"), pools, strict=True)
            )
            self._sql.execute(
                "INSERT INTO lease (name, inner4, inner6, session) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET inner4 = excluded.inner4, inner6 = excluded.inner6",
                (name, inner4 or None, inner6 or None, session),
            )
        return Lease(name, inner4, inner6, session)

    def _held(self, name: str) -> Lease | None:
        row = self._sql.execute("SELECT name, inner4, inner6, session FROM lease WHERE name = ?", (name,)).fetchone()
        return _lease(row) if row else None

    def _address(self, name: str, column: str, pool: Pool | None, held: str) -> str:
        """The address that `name` keeps or gets."""
        if pool is None:
            return ""
        if pool.holds(held):
            return held
        rows = self._sql.execute(f"SELECT {column} FROM lease WHERE {column} IS NOT NULL AND name != ?", (name,))
        return pool.lowest_free([each for (each,) in rows])

    def leases(self) -> list[Lease]:
        """Every lease."""
        with _sentences(self._path):
            return [_lease(each) for each in self._sql.execute("SELECT name, inner4, inner6, session FROM lease")]

    def add_lease(self, lease: Lease) -> None:
        """Remember a lease that was made elsewhere."""
        values = (lease.name, lease.inner4 or None, lease.inner6 or None, lease.session)
        with self._writing():
            self._sql.execute("INSERT INTO lease (name, inner4, inner6, session) VALUES (?, ?, ?, ?)", values)

    def release(self, name: str) -> None:
        """Forget the lease of `name`; its addresses may be given to another. No network is approved for it then."""
        with self._writing():
            self._sql.execute("DELETE FROM lease WHERE name = ?", (name,))
            self._sql.execute("DELETE FROM network WHERE name = ?", (name,))

    def add_certificate(self, record: CertificateRecord) -> None:
        """Remember a certificate that was issued."""
        values = (record.serial, record.name, record.kind, record.not_after, record.revoked_at, record.used_at)
        with self._writing():
            self._sql.execute(f"INSERT INTO certificate ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", values)

    def certificates(self) -> list[CertificateRecord]:
        """Every certificate ever issued, oldest first."""
        with _sentences(self._path):
            rows = self._sql.execute(f"SELECT {_COLUMNS} FROM certificate ORDER BY number")
            return [CertificateRecord(*each) for each in rows]

    def revoke(self, name: str, now: int) -> list[str]:
        """Revoke every good certificate of `name`; answers with their serials."""
        with self._writing():
            rows = self._sql.execute(
                "SELECT serial FROM certificate WHERE name = ? AND revoked_at = 0 ORDER BY number", (name,)
            ).fetchall()
            self._sql.execute("UPDATE certificate SET revoked_at = ? WHERE name = ? AND revoked_at = 0", (now, name))
        return [serial for (serial,) in rows]

    def use_invite(self, serial: str, now: int) -> bool:
        """Mark an invitation used; False when it is unknown, revoked or used already."""
        with self._writing():
            done = self._sql.execute(
                "UPDATE certificate SET used_at = ?"
                " WHERE serial = ? AND kind = 'invite' AND revoked_at = 0 AND used_at = 0 AND not_after > ?",
                (now, serial, now),
            )
        return done.rowcount == 1

    def approve(self, name: str, network: str) -> bool:
        """That network may be behind that client; False when it could be already."""
        with self._writing():
            done = self._sql.execute("INSERT OR IGNORE INTO network (name, prefix) VALUES (?, ?)", (name, network))
        return done.rowcount == 1

    def disapprove(self, name: str, network: str) -> bool:
        """It may not any more; False when it could not before."""
        with self._writing():
            done = self._sql.execute("DELETE FROM network WHERE name = ? AND prefix = ?", (name, network))
        return done.rowcount == 1

    def approved(self) -> list[Approval]:
        """The networks that may be behind clients."""
        with _sentences(self._path):
            rows = self._sql.execute("SELECT name, prefix FROM network ORDER BY name, prefix")
            return [(name, prefix) for name, prefix in rows]

    def add_phone(self, phone: PhoneRecord) -> None:
        """Let a machine come by WireGuard, from now on with these keys alone."""
        with self._writing():
            self._sql.execute(
                "INSERT OR REPLACE INTO phone (name, public_key, preshared_key, made_at) VALUES (?, ?, ?, ?)",
                (phone.name, phone.public_key, phone.preshared_key, phone.made_at),
            )

    def remove_phone(self, name: str) -> bool:
        """It may not any more; False when it could not before. Its lease stays, until `release`."""
        with self._writing():
            done = self._sql.execute("DELETE FROM phone WHERE name = ?", (name,))
        return done.rowcount == 1

    def phones(self) -> list[PhoneRecord]:
        """The machines that come by WireGuard, by name."""
        with _sentences(self._path):
            rows = self._sql.execute("SELECT name, public_key, preshared_key, made_at FROM phone ORDER BY name")
            return [PhoneRecord(*each) for each in rows]

    def account(self, work: Callable[[Accounts], _T]) -> _T:
        """Have `work` done upon the accounts, all of it or nothing."""
        with self._writing():
            return work(AccountBook(self._sql))

    def traffic(self) -> dict[str, Amount]:
        """Bytes sent to and received from each name, ever."""
        with _sentences(self._path):
            rows = self._sql.execute("SELECT name, sum(sent), sum(received) FROM month GROUP BY name")
            return {name: (sent, got) for name, sent, got in rows}

    def settle(self) -> None:
        """
        Bring what was written from the log into the database: then that file alone is whole, whoever copies it. What
        another process reads just now, or a full disk, keeps in the log comes with the next call.
        """
        try:
            self._sql.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            pass  # it is safe in the log

    def image(self) -> bytes:
        """The whole database at this moment, as the content of a file, while others may write."""
        with _sentences(self._path), closing(sqlite3.connect(":memory:")) as copy:
            self._sql.backup(copy)
            return copy.serialize()

    def close(self) -> None:
        """Close the database; no call may follow, but this one."""
        self.settle()
        self._sql.close()
        self._open.discard(self._known_as)


def _lease(row: tuple[str, str | None, str | None, bytes]) -> Lease:
    return Lease(row[0], row[1] or "", row[2] or "", row[3])


def _suits(lease: Lease, pools: tuple[Pool | None, Pool | None]) -> bool:
    pairs = zip((lease.inner4, lease.inner6), pools, strict=True)
    return all(pool.holds(held) if pool else not held for held, pool in pairs)
