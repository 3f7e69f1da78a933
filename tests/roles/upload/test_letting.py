"""Two upload servers with one directory and the same records, of which one stands still at a bad moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.base import OPEN, StoreAway, UploadRecord
from morphnet.store.memory_uploads import MemoryUploads
from morphnet.store.shared_vault import SharedVault
from morphnet.store.vault import Taken
from tests.fakes_upload import NOW, Service, slot

DATA = bytes(range(100))


class LettingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.uploads, self.directory = MemoryUploads(), Path(self.mktemp())
        self.one, self.two = self.made(), self.made()
        self.work = list[Callable[[], object]]()

    def made(self) -> Service:
        """One of them."""
        service = Service(str(self.directory))
        service.uploads = service.shelf.uploads = self.uploads
        service.vault = service.shelf.vault = SharedVault(self.directory)
        return service

    def stands_still(self, after: int = 0) -> None:
        """The first one does not get on with its disk, after so many steps, before the test does it."""
        steps = [execute] * after

        def later(work: Callable[[], None]) -> Deferred[None]:
            if steps:
                return steps.pop()(work)
            done: Deferred[None] = Deferred()
            self.work.append(lambda: execute(work).chainDeferred(done))
            return done

        self.one.shelf._beside = later

    def put(self) -> None:
        """A whole file, at the second one."""
        self.assertEqual(self.two.ask("PUT", slot("s/a", 100), {}, DATA).status, 201)

    def let_go(self) -> None:
        """By the second one."""
        gone = Deferred.fromCoroutine(self.two.shelf.forget(self.uploads._records["s/a"]))
        self.assertTrue(self.successResultOf(gone))

    def wakes(self) -> None:
        """It goes on, and what the other has is not touched."""
        while self.work:
            self.work.pop(0)()
        self.assertEqual(self.two.ask("GET", "/up/s/a").body, DATA)
        self.assertEqual(list((self.directory / "partial").iterdir()), [])

    def test_deleted_late(self) -> None:
        """One that lets go of an upload, at whichever step it stands still, takes nobody else's file."""
        for after in (0, 1):
            self.one.cut_put(slot("s/a", 100), {}, 100, b"old")
            self.stands_still(after)
            Deferred.fromCoroutine(self.one.shelf.forget(self.uploads._records["s/a"])).addErrback(lambda _: None)
            self.assertEqual(len(self.work), 1)
            self.put()
            self.wakes()
            self.one.shelf._beside = execute
            self.let_go()
            self.assertIsNone(self.two.stored("s/a"))

    def test_swept_late(self) -> None:
        """The same with a file whose time is over, which the other lets go of first."""
        self.put()
        for each in (self.one, self.two):
            each.now = NOW + 100.0
        for after in (0, 1):
            self.stands_still(after)
            Deferred.fromCoroutine(self.one.shelf.sweep(3600.0, 10.0))
            self.let_go()
            self.put()
            self.wakes()
            for each in (self.one, self.two):
                each.now += 100.0

    def test_not_told(self) -> None:
        """What was let go of without an answer, or killed before its record was, leaves no byte to the next."""
        forget = self.uploads.forget

        def away(path: str, only: UploadRecord | None = None) -> Deferred[None]:
            forget(path, only)
            return fail(StoreAway())

        for whole in (False, True):
            if whole:
                self.put()
            else:
                self.one.cut_put(slot("s/a", 100), {}, 100, b"old")
            self.patch(self.uploads, "forget", away)
            letting = Deferred.fromCoroutine(self.one.shelf.forget(self.uploads._records["s/a"]))
            self.failureResultOf(letting, StoreAway)
            self.assertEqual([each for each in self.directory.glob("*/*") if each.parent.name != "content"], [])
            self.patch(self.uploads, "forget", forget)
            self.put()
            self.let_go()

    def test_size_lost(self) -> None:
        """A file that is there has its size, though whoever keeps the record has lost it."""
        self.put()
        for completed in (0, int(NOW)):
            self.uploads._records["s/a"] = replace(self.uploads._records["s/a"], size=OPEN, completed_at=completed)
            self.assertEqual(self.one.ask("GET", "/up/s/a").body, DATA)
            self.assertEqual(self.uploads._records["s/a"].size, 100)

    def test_told_while_away(self) -> None:
        """An offset that one has told while the records were away binds the other, which has not heard of it."""
        self.patch(self.uploads, "announce", lambda path: succeed(None))
        self.one.cut_put(slot("s/a", 100), {}, 100, DATA[:50])
        answer = self.one.ask("HEAD", slot("s/a", 100), {"Tus-Resumable": "1.0.0"})
        self.assertEqual(answer.headers["upload-offset"], "50")
        self.assertEqual(self.two.ask("PUT", slot("s/a", 100), {}, DATA[::-1]).status, 409)
        self.put()
        self.wakes()

    def test_told_and_taken(self) -> None:
        """Who tells it once another has it tells nothing, and binds nobody."""
        self.one.cut_put(slot("s/a", 100), {}, 100, DATA[::-1][:50])
        partial = self.one.vault.take("s/a")
        self.two.vault.take("s/a").close()
        self.assertRaises(Taken, partial.tell)
        partial.close()
        self.put()

    def test_not_while_away(self) -> None:
        """Nothing is let go while the records are away."""
        self.one.cut_put(slot("s/a", 100), {}, 100, DATA[:50])
        self.patch(self.uploads, "used", lambda user: fail(StoreAway()))
        letting = Deferred.fromCoroutine(self.one.shelf.forget(self.uploads._records["s/a"]))
        self.failureResultOf(letting, StoreAway)
        self.assertEqual(self.one.vault.length("s/a"), 50)
