"""
Which version of a database this is, and how it is brought up to date.

Not every step locks out those who do not know it. One that only makes tables of its own is no concern of theirs: it is
an addition, written so that it may be made again, and the number in the database stays that of the last step that is
none. So who goes back to an earlier version of morphnet finds a database that opens.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from morphnet.errors import ConfigError

ADDITION = "-- An addition:"  # what the script of one begins with; why it is one follows


@dataclass(frozen=True, slots=True)
class Steps:
    """The scripts of a database in their order; what number N makes, from 1, is version N."""

    scripts: Sequence[str]  # an addition begins with ADDITION, and does no harm when it is made again

    @property
    def needed(self) -> int:
        """The version that whoever opens the database must know: of the last step that is no addition."""
        return max((number for number, each in self._numbered() if not each.startswith(ADDITION)), default=0)

    def missing(self, version: int) -> Iterator[str]:
        """The statements that are to be made in a database of that version; some of them may have been."""
        for number, script in self._numbered():
            if number > version:
                yield from statements(script)

    def _numbered(self) -> Iterator[tuple[int, str]]:
        return iter(enumerate(self.scripts, 1))


def bring_up(sql: sqlite3.Connection, steps: Steps, path: Path) -> None:
    """
    Bring a database up to date, within a transaction that has begun to write.

    :raises ConfigError: a later version of morphnet made it, and this one cannot read it.
    """
    (version,) = sql.execute("PRAGMA user_version").fetchone()
    if version > len(steps.scripts):
        raise ConfigError(f"the database {path} is of a later morphnet: install that one again")
    for statement in steps.missing(version):
        sql.execute(statement)
    if version < steps.needed:  # one that a version raised, for which an addition was none, stays: it makes it once
        sql.execute(f"PRAGMA user_version = {steps.needed}")


def statements(script: str) -> Iterator[str]:
    """The statements of a script, so that they can run inside of one transaction (executescript would end it)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
