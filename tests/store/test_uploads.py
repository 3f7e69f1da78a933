"""SQLite keeps the promises of every store of uploads, and they outlive it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred

from morphnet.store.base import Uploads
from morphnet.store.uploads import SqliteUploads, UploadLedger
from tests.store import test_memory_uploads

reactor: Any = _reactor
ONE = test_memory_uploads.ONE


class SqliteUploadsTests(test_memory_uploads.MemoryUploadsTests):
    """The same on a disk."""

    path: ClassVar[Path]

    def made(self) -> Uploads:
        self.file = Path(self.mktemp())
        return SqliteUploads(UploadLedger(self.file), reactor)

    def test_outlives(self) -> Deferred[None]:
        """What was told is there for the next process, in a file of our own."""

        async def story() -> None:
            await self.uploads.begin(ONE)
            await self.uploads.close()
            self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
            self.uploads = SqliteUploads(UploadLedger(self.file), reactor)
            self.assertEqual(await self.uploads.find(ONE.path), ONE)

        return self.run_async(story())

    def test_of_before(self) -> Deferred[None]:
        """A database of the first version goes on, with all that is in it."""

        async def story() -> None:
            await self.uploads.begin(ONE)
            await self.uploads.close()
            with closing(sqlite3.connect(self.file)) as sql:
                sql.executescript("DROP TABLE move; ALTER TABLE upload DROP COLUMN refreshes; DROP INDEX upload_user")
                sql.execute("ALTER TABLE upload DROP COLUMN room")
                sql.execute("ALTER TABLE upload DROP COLUMN lasts_until")
                sql.execute("PRAGMA user_version = 1")
            self.uploads = SqliteUploads(UploadLedger(self.file), reactor)
            self.assertEqual(await self.uploads.find(ONE.path), ONE)

        return self.run_async(story())
