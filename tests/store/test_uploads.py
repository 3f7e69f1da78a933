"""Both stores of uploads keep the same promises; SQLite's outlive it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from morphnet.store.base import MOST_MOVES, OPEN, Move, OverQuota, UploadRecord, Uploads, UploadSession
from morphnet.store.uploads import MemoryUploads, SqliteUploads, UploadLedger

reactor: Any = _reactor
ONE = UploadRecord("s/ä b", 10, "image/png", "a@x", 100)


class MemoryUploadsTests(TestCase):
    """What every store promises."""

    def made(self) -> Uploads:
        return MemoryUploads()

    def setUp(self) -> None:
        self.uploads = self.made()
        self.addCleanup(lambda: self.uploads.close())

    def run_async(self, coroutine: object) -> Deferred[None]:
        return Deferred.fromCoroutine(coroutine)  # type: ignore[arg-type]

    def test_story(self) -> Deferred[None]:
        """An upload begins once, is announced, becomes complete, and is forgotten."""

        async def story() -> None:
            uploads = self.uploads
            self.assertIsNone(await uploads.find(ONE.path))
            self.assertEqual(await uploads.begin(ONE), ONE)
            self.assertEqual(await uploads.begin(UploadRecord(ONE.path, 99, "", "", 1)), ONE)
            await uploads.announce(ONE.path)
            await uploads.complete(ONE.path, 200)
            done = UploadRecord(ONE.path, 10, "image/png", "a@x", 100, 200, announced=True)
            self.assertEqual(await uploads.find(ONE.path), done)
            for other in (ONE, replace(done, created_at=101)):
                await uploads.forget(ONE.path, other)
                self.assertEqual(await uploads.find(ONE.path), done)
            await uploads.forget(ONE.path, done)
            self.assertIsNone(await uploads.find(ONE.path))

        return self.run_async(story())

    def test_older(self) -> Deferred[None]:
        """What is partial is old by its beginning, what is whole by its end."""

        async def story() -> None:
            for path, begun, ended in (("p1", 10, 0), ("p2", 50, 0), ("w1", 10, 20), ("w2", 10, 90)):
                await self.uploads.begin(UploadRecord(path, 1, "", "", begun, ended))
            self.assertEqual(sorted(each.path for each in await self.uploads.older(40, 0, 99)), ["p1"])
            self.assertEqual(sorted(each.path for each in await self.uploads.older(40, 50, 99)), ["p1", "w1"])

        return self.run_async(story())

    def test_lasts(self) -> Deferred[None]:
        """A file with a time of its own goes then: sooner than others, or later."""

        async def story() -> None:
            for path, until in (("short", 30), ("long", 1000), ("usual", 0)):
                await self.uploads.begin(UploadRecord(path, 1, "", "", 10, 20, lasts_until=until))
            for completed, now, gone in ((0, 20, []), (0, 31, ["short"]), (21, 31, ["short", "usual"])):
                self.assertEqual(sorted(each.path for each in await self.uploads.older(0, completed, now)), gone)

        return self.run_async(story())

    def test_used(self) -> Deferred[None]:
        """Whole files and begun ones count, and nobody else's."""

        async def story() -> None:
            for path, user, ended in (("a", "a@x", 0), ("b", "a@x", 5), ("c", "b@x", 5)):
                await self.uploads.begin(UploadRecord(path, 100, "", user, 1, ended))
            self.assertEqual([await self.uploads.used(each) for each in ("a@x", "b@x", "c@x")], [200, 100, 0])

        return self.run_async(story())

    def test_quota(self) -> Deferred[None]:
        """Of those that begin at the same moment no more do than there is room for; what has begun is not refused."""

        async def story() -> None:
            records = [UploadRecord(f"p{number}", 40, "", "a@x", 1) for number in range(4)]
            begun: list[Any] = await DeferredList(
                [self.uploads.begin(each, 100) for each in records], consumeErrors=True
            )
            self.assertEqual([done for done, _ in begun], [True, True, False, False])
            self.assertEqual([each.value.used for _, each in begun[2:]], [80, 80])
            self.assertEqual(await self.uploads.begin(records[0], 10), records[0])
            self.assertEqual(await self.uploads.used("a@x"), 80)

        return self.run_async(story())

    def test_open(self) -> Deferred[None]:
        """A size that is told later, once."""

        async def story() -> None:
            await self.uploads.begin(replace(ONE, size=OPEN))
            self.assertEqual(await self.uploads.used("a@x"), 0)
            await self.uploads.begin(replace(ONE, path="full", size=95), 95)
            refused: list[Any] = await DeferredList([self.uploads.sized(ONE.path, 6, 100)], consumeErrors=True)
            self.assertEqual((type(refused[0][1].value), refused[0][1].value.used), (OverQuota, 95))
            await self.uploads.forget("full")
            for size in (10, 11):
                await self.uploads.sized(ONE.path, size, 10)
                self.assertEqual(await self.uploads.find(ONE.path), ONE)
            self.assertEqual(await self.uploads.used("a@x"), 10)
            await self.uploads.forget(ONE.path)
            self.assertEqual(await self.uploads.used("a@x"), 0)

        return self.run_async(story())

    def test_session(self) -> Deferred[None]:
        """Of the moves the last are kept; so many tokens are given and no more, also to those who ask together."""

        async def story() -> None:
            uploads, nothing = self.uploads, UploadSession()
            await uploads.moved(ONE.path, Move(1, "other", "192.0.2.1"))
            self.assertEqual((await uploads.session(ONE.path), await uploads.refresh(ONE.path, 3)), (nothing, False))
            await uploads.begin(ONE)
            moves = [Move(number, "wifi_private", f"192.168.0.{number}") for number in range(MOST_MOVES + 3)]
            for each in moves:
                await uploads.moved(ONE.path, each)
            given: list[Any] = await DeferredList([uploads.refresh(ONE.path, 3) for _ in range(5)])
            self.assertEqual([each for _, each in given], [True, True, True, False, False])
            self.assertEqual(await uploads.session(ONE.path), UploadSession(3, tuple(moves[3:])))
            self.assertEqual(await uploads.find(ONE.path), ONE)
            await uploads.forget(ONE.path)
            await uploads.begin(ONE)
            self.assertEqual(await uploads.session(ONE.path), nothing)

        return self.run_async(story())


class SqliteUploadsTests(MemoryUploadsTests):
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
                sql.execute("ALTER TABLE upload DROP COLUMN lasts_until")
                sql.execute("PRAGMA user_version = 1")
            self.uploads = SqliteUploads(UploadLedger(self.file), reactor)
            self.assertEqual(await self.uploads.find(ONE.path), ONE)

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
