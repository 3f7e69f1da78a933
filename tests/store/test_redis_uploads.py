"""What is known of uploads, in a real Redis, also while it is away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from morphnet.config.redis_url import redis_url_of
from morphnet.net.redis_exchange import RedisLink
from morphnet.roles.upload.sharing import Sharing
from morphnet.store.base import OPEN, StoreAway, UploadRecord, Uploads, UploadSession
from morphnet.store.redis_uploads import RedisUploads
from tests.redis_server import WITHOUT, RedisServer
from tests.store import test_memory_uploads

reactor: Any = _reactor
ONE = test_memory_uploads.ONE


class Joined:
    """One of several that share a Redis."""

    def __init__(self, server: RedisServer) -> None:
        self.ended: list[str] = []
        self.away = "not reached yet"
        self.sharing = Sharing(self.ended.append, self._is_there)
        self.files = set[str]()  # paths of whole files that are there
        self.notes = dict[str, UploadRecord]()  # what is beside the bytes
        self.uploads = RedisUploads(
            self.sharing.ask, lambda path: path in self.files, self.notes.get, lambda: list(self.notes.values())
        )
        self.sharing.catch_up = self.uploads.catch_up
        self.link = RedisLink(reactor, redis_url_of(server.url), self.sharing)
        self.link.start()

    def _is_there(self, why_not: str) -> None:
        self.away = why_not

    async def until(self, there: bool) -> None:
        """Redis is there for us, or away."""
        while bool(self.away) == there:
            await deferLater(reactor, 0.01)


class RedisUploadsTests(test_memory_uploads.MemoryUploadsTests):
    """The same promises as of the others."""

    skip = WITHOUT
    timeout = 60

    def made(self) -> Uploads:
        self.server = RedisServer()
        self.addCleanup(self.server.end)
        self.server.start()
        self.joined = Joined(self.server)
        self.addCleanup(self.joined.link.stop)
        return self.joined.uploads

    def run_async(self, coroutine: object) -> Deferred[None]:
        async def first() -> None:
            await self.joined.until(True)
            await coroutine  # type: ignore[misc]

        return super().run_async(first())


class AwayTests(TestCase):
    skip = WITHOUT
    timeout = 60

    def setUp(self) -> None:
        self.server = RedisServer()
        self.addCleanup(self.server.end)
        self.server.start()

    def joined(self) -> Joined:
        """One more."""
        made = Joined(self.server)
        self.addCleanup(made.link.stop)
        return made

    async def refused(self, doing: Deferred[Any]) -> bool:
        """Whether it is, as Redis is away."""
        try:
            await doing
        except StoreAway:
            return True
        return False

    def test_away(self) -> Deferred[None]:
        """What one has known goes on without Redis, is told to it later, and then the others know of it."""

        async def story() -> None:
            one, other = self.joined(), self.joined()
            await one.until(True)
            await other.until(True)
            await one.uploads.begin(ONE)
            self.assertEqual(await other.uploads.find(ONE.path), ONE)
            self.server.stop()
            await one.until(False)
            await one.uploads.announce(ONE.path)
            await one.uploads.complete(ONE.path, 200)
            done = UploadRecord(ONE.path, 10, "image/png", "a@x", 100, 200, announced=True)
            self.assertEqual((await one.uploads.find(ONE.path), one.uploads.owed), (done, 1))
            for doing in (one.uploads.begin(UploadRecord("n", 1, "", "", 1)), one.uploads.find("n"),
                          one.uploads.refresh(ONE.path, 3), one.uploads.forget(ONE.path)):  # fmt: skip
                self.assertTrue(await self.refused(doing))
            other.notes[ONE.path] = replace(done, announced=False)
            self.assertEqual(await other.uploads.find(ONE.path), other.notes[ONE.path])  # which knew it as begun
            self.server.start()
            await one.until(True)
            await other.until(True)
            self.assertEqual((await other.uploads.find(ONE.path), one.uploads.owed), (done, 0))
            self.assertEqual([each.path for each in await other.uploads.older(0, 201, 300)], [ONE.path])

        return Deferred.fromCoroutine(story())

    def test_open(self) -> Deferred[None]:
        """One without a size grows and gets one while Redis is away, which counts it when it is back."""

        async def story() -> None:
            one, other = self.joined(), self.joined()
            await one.until(True)
            await other.until(True)
            for path in ("grows", "ends"):
                await one.uploads.begin(replace(ONE, path=path, size=OPEN))
            self.server.stop()
            await one.until(False)
            self.assertEqual([await one.uploads.grow(path, 1, 50, 10) for path in ("grows", "ends")], [50, 50])
            await one.uploads.sized("ends", 40, 10)
            await one.uploads.complete("ends", 200)
            self.assertTrue(await self.refused(one.uploads.grow("n", 1, 2)))
            self.assertTrue(await self.refused(one.uploads.sized("n", 1)))
            self.server.start()
            await one.until(True)
            await other.until(True)
            done = replace(ONE, path="ends", size=40, completed_at=200)
            self.assertEqual(await other.uploads.find("ends"), done)
            self.assertEqual(await other.uploads.find("grows"), replace(ONE, path="grows", size=OPEN, room=50))
            self.assertEqual((one.uploads.owed, await other.uploads.used("a@x")), (0, 90))

        return Deferred.fromCoroutine(story())

    def test_lost(self) -> Deferred[None]:
        """A file that became whole is one, though Redis has lost that, or that it began; not one that has gone."""
        self.server.end()
        self.server = RedisServer(keeps=False)
        self.addCleanup(self.server.end)
        self.server.start()

        async def story() -> None:
            one = self.joined()
            one.files = {"away", "told", "size"}
            await one.until(True)
            for path in ("away", "told", "gone", "begun"):
                await one.uploads.begin(replace(ONE, path=path))
            await one.uploads.begin(replace(ONE, path="size", size=OPEN))
            await one.uploads.sized("size", 10)
            await one.uploads.complete("told", 200)
            self.server.stop()
            await one.until(False)
            for path in ("away", "gone", "size"):
                await one.uploads.complete(path, 200)
            self.server.start()
            await one.until(True)
            other = self.joined()
            await other.until(True)
            await one.uploads.find("told")
            for path in ("away", "told", "size"):
                self.assertEqual(await other.uploads.find(path), replace(ONE, path=path, completed_at=200))
            for each in (one, other):
                self.assertEqual([await each.uploads.find(path) for path in ("gone", "begun")], [None, None])
            self.assertEqual((one.uploads.owed, await other.uploads.used("a@x")), (0, 30))

        return Deferred.fromCoroutine(story())

    def test_noted(self) -> Deferred[None]:
        """What is noted beside the bytes is found by who knows nothing, and is told to a Redis that knows nothing."""

        async def story() -> None:
            one = self.joined()
            await one.until(True)
            whole = replace(ONE, path="whole", completed_at=200)
            self.assertIsNone(await one.uploads.find(ONE.path))
            one.notes.update({each.path: each for each in (ONE, whole, replace(ONE, path="gone"))})
            self.assertEqual([await one.uploads.find(each.path) for each in (ONE, whole)], [ONE, whole])
            await one.uploads.forget("whole")
            del one.notes["gone"]
            self.assertEqual(await one.uploads.used("a@x"), 10)
            await one.uploads.restore()
            self.assertEqual(await one.uploads.used("a@x"), 20)
            await one.uploads.forget(ONE.path)
            await one.uploads.restore()
            self.assertEqual(await one.uploads.used("a@x"), 10)  # it was told that it has everything

        return Deferred.fromCoroutine(story())

    def test_begun_anew(self) -> Deferred[None]:
        """What became whole on a server that was cut off does not make another whole that has begun there since."""

        async def story() -> None:
            one, other = self.joined(), self.joined()
            await one.until(True)
            await other.until(True)
            await one.uploads.begin(ONE)
            one.sharing.closed("cut off")
            await one.uploads.complete(ONE.path, 200)
            await other.uploads.forget(ONE.path)
            anew = await other.uploads.begin(replace(ONE, created_at=150))
            one.link.stop()
            again = RedisLink(reactor, redis_url_of(self.server.url), one.sharing)
            self.addCleanup(again.stop)
            again.start()
            await one.until(True)
            self.assertEqual((await other.uploads.find(ONE.path), one.uploads.owed), (anew, 0))

        return Deferred.fromCoroutine(story())

    def test_taken(self) -> Deferred[None]:
        """Who goes on with an upload is heard by the others, and not by itself."""

        async def story() -> None:
            one, other = self.joined(), self.joined()
            await one.until(True)
            await other.until(True)
            one.sharing.taken("s/ä")
            while not other.ended:
                await deferLater(reactor, 0.01)
            self.assertEqual((one.ended, other.ended), ([], ["s/ä"]))

        return Deferred.fromCoroutine(story())

    def test_counts_of_all(self) -> Deferred[None]:
        """Quota and tokens are counted over all servers; what is let go by one is so for all."""

        async def story() -> None:
            one, other = self.joined(), self.joined()
            await one.until(True)
            await other.until(True)
            await one.uploads.begin(ONE)
            self.assertEqual(await other.uploads.used("a@x"), 10)
            for each in (one, other):
                self.assertTrue(await each.uploads.refresh(ONE.path, 2))
            self.assertFalse(await one.uploads.refresh(ONE.path, 2))
            await other.uploads.forget(ONE.path)
            self.assertEqual(await one.uploads.session(ONE.path), UploadSession())
            self.assertIsNone(await one.uploads.find(ONE.path))
            self.assertEqual(await one.uploads.used("a@x"), 0)

        return Deferred.fromCoroutine(story())
