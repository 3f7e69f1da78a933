"""
What each user has carried, by month, and what is to be told to a webhook: SQL upon an open database.

Every method is for the inside of one transaction. So bytes are counted and owed to the webhook at once or not at all,
and what was tried is known to have been tried before it is sent: after a crash the same goes out under the same key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

from morphnet.store.base import Accounts, Amount, MonthRecord, Post, Standing

_LARGEST = (1 << 63) - 1  # what an integer of SQLite holds
_ADD = (
    "INSERT INTO {table} ({keys}, sent, received) VALUES ({marks}, ?, ?) ON CONFLICT ({keys}) DO UPDATE SET"
    f" sent = min({_LARGEST} - excluded.sent, sent) + excluded.sent,"
    f" received = min({_LARGEST} - excluded.received, received) + excluded.received"
)
_COUNT = _ADD.format(table="month", keys="name, month", marks="?, ?")
_OWE = _ADD.format(table="unreported", keys="name", marks="?")
_ABOUT = "kind, CASE kind WHEN 'traffic' THEN name ELSE '' END"  # reports about the same look alike to the webhook


class AccountBook(Accounts):
    """See `base.Accounts`. :param sql: within a transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    # -- months ------------------------------------------------------------------------------------------------------

    def standing(self, month: str) -> Standing:
        month = self._month(month)
        rows = self._sql.execute("SELECT name, sent, received FROM month WHERE month = ?", (month,))
        return Standing(month, {name: (sent, received) for name, sent, received in rows})

    def _month(self, month: str) -> str:
        (latest,) = self._sql.execute("SELECT max(month) FROM month").fetchone()
        return max(month, latest or "")

    def add(self, month: str, amounts: Mapping[str, Amount], *, report: bool) -> str:
        month = self._month(month)
        self._sql.executemany(_COUNT, [(name, month, *amount) for name, amount in amounts.items()])
        if report:
            self._sql.executemany(_OWE, [(name, *amount) for name, amount in amounts.items()])
        return month

    def months(self) -> list[MonthRecord]:
        rows = self._sql.execute("SELECT name, month, sent, received FROM month ORDER BY name, month DESC")
        return [MonthRecord(*each) for each in rows]

    def fold(self, month: str) -> int:
        rows = self._sql.execute("SELECT name, sent, received FROM month WHERE month > ?", (month,)).fetchall()
        self._sql.executemany(_COUNT, [(name, month, sent, received) for name, sent, received in rows])
        self._sql.execute("DELETE FROM month WHERE month > ?", (month,))
        return len(rows)

    # -- the outbox --------------------------------------------------------------------------------------------------

    def announce(self, name: str) -> None:
        self._sql.execute("DELETE FROM outbox WHERE kind = 'server' AND tries = 0")
        self._post("server", name)
        self._absent(self._sql.execute("SELECT session FROM present").fetchall())

    def came(self, session: str) -> None:
        fresh = self._sql.execute("INSERT OR IGNORE INTO present (session) VALUES (?)", (session,)).rowcount
        if fresh and not self._take_back("subtract", session):
            self._post("add", session)

    def gone(self, sessions: Collection[str]) -> None:
        self._absent([(each,) for each in sessions])

    def _absent(self, sessions: Collection[tuple[str]]) -> None:
        for (session,) in sessions:
            there = self._sql.execute("DELETE FROM present WHERE session = ?", (session,)).rowcount
            if there and not self._take_back("add", session):
                self._post("subtract", session)

    def _take_back(self, kind: str, name: str) -> bool:
        """Whether that was to be told, had not been tried, and now will not be: its contrary has happened."""
        return bool(
            self._sql.execute("DELETE FROM outbox WHERE kind = ? AND name = ? AND tries = 0", (kind, name)).rowcount
        )

    def _post(self, kind: str, name: str, amount: Amount = (0, 0)) -> None:
        self._sql.execute("INSERT INTO outbox (kind, name, sent, received) VALUES (?, ?, ?, ?)", (kind, name, *amount))

    def report(self) -> None:
        owed = self._sql.execute("SELECT name, sent, received FROM unreported ORDER BY name").fetchall()
        for name, sent, received in owed:
            joined = self._sql.execute(
                "UPDATE outbox SET sent = sent + ?, received = received + ?"
                " WHERE kind = 'traffic' AND name = ? AND tries = 0",
                (sent, received, name),
            )
            if not joined.rowcount:
                self._post("traffic", name, (sent, received))
        self._sql.execute("DELETE FROM unreported")

    def next_post(self, besides: Collection[int] = ()) -> Post | None:
        marks = ", ".join("?" * len(besides))
        found = self._sql.execute(
            "SELECT number, key, kind, name, sent, received FROM outbox"
            f" WHERE ({_ABOUT}) NOT IN (SELECT {_ABOUT} FROM outbox WHERE number IN ({marks})) ORDER BY number LIMIT 1",
            tuple(besides),
        ).fetchone()
        if found is None:
            return None
        self._sql.execute("UPDATE outbox SET tries = tries + 1 WHERE number = ?", found[:1])
        return Post(*found)

    def taken(self, number: int) -> None:
        self._sql.execute("DELETE FROM outbox WHERE number = ?", (number,))

    def waiting(self) -> int:
        (count,) = self._sql.execute("SELECT count(*) FROM outbox").fetchone()
        return int(count)
