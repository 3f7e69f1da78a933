"""SQLite keeps the promises of every store of uploads, and they outlive it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList

from morphnet.errors import BugError
from morphnet.store.base import OverQuota, UploadRecord, Uploads
from morphnet.store.uploads import SqliteUploads, UploadLedger
from tests.store import test_memory_uploads

reactor: Any = _reactor
ONE = test_memory_uploads.ONE


class _Slow(UploadLedger):
    """Of a disk that takes its time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.goes_on = Event()

    def announce(self, path: str) -> None:
        self.goes_on.wait(10.0)
        super().announce(path)


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

    def test_found_at_once(self) -> Deferred[None]:
        """One record is there when `find` returns: behind nobody who writes, and in no thread's queue."""

        async def story() -> None:
            await self.uploads.begin(ONE)
            slow = _Slow(self.file)
            uploads = SqliteUploads(slow, reactor)
            announced = uploads.announce(ONE.path)
            self.assertEqual(self.successResultOf(uploads.find(ONE.path)), ONE)
            slow.goes_on.set()
            await announced
            self.assertEqual(self.successResultOf(uploads.find(ONE.path)), replace(ONE, announced=True))
            await uploads.close()
            self.failureResultOf(uploads.find(ONE.path), BugError)

        return self.run_async(story())

    def test_at_once(self) -> Deferred[None]:
        """Of many that come at the same time each has its own answer; one that is refused leaves the others alone."""

        async def story() -> None:
            records = [UploadRecord(f"p{number}", 10, "", "a@x", 1) for number in range(600)]
            begun = [self.uploads.begin(each, quota=4000) for each in records]
            answers: Any = await DeferredList(begun, consumeErrors=True)
            self.assertEqual([good for good, _ in answers], [True] * 400 + [False] * 200)
            self.assertIsInstance(answers[-1][1].value, OverQuota)
            self.assertEqual(await self.uploads.used("a@x"), 4000)
            done = DeferredList([self.uploads.complete(each.path, 7) for each in records])
            await self.uploads.forget("p0")
            await done
            self.assertEqual(len(await self.uploads.older(0, 8, 9)), 399)

        return self.run_async(story())
