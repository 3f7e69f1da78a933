"""Uploads without a size, and the room of their users."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload import growing
from morphnet.store.base import OPEN, StoreAway, UploadRecord
from morphnet.wire.messages.upload.slots import mac_v3
from tests.fakes_upload import NOW, TOKEN, Line, Service

QUOTA = 100


class GrowingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(growing, "STEP", 16)
        self.service = Service(self.mktemp(), quota=QUOTA)

    def target(self, name: str) -> str:
        expires = str(int(NOW) + 300)
        return f"/up/~bob/{name}?v3={mac_v3(TOKEN, 'PUT', f'~bob/{name}', expires)}&expires={expires}"

    def begun(self, name: str) -> Line:
        """One that goes on."""
        line = Line(self.service)
        line.send(
            f"PUT {self.target(name)} HTTP/1.1\r\nUpload-Complete: ?1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        return line

    def used(self) -> int:
        return self.successResultOf(self.service.uploads.used("~bob"))

    def statuses(self, line: Line) -> list[int]:
        self.service.clock.advance(3)
        return [each.status for each in line.answers()]

    def test_together(self) -> None:
        """Those that grow at the same time have the room together; which finds none is 413, and keeps what it has."""
        lines = [self.begun(name) for name in "ab"]
        for _ in range(3):
            for line in lines:
                line.send(b"a\r\n0123456789\r\n")
        self.assertEqual([self.service.vault.length(f"~bob/{name}") for name in "ab"], [30, 30])
        self.assertLessEqual(self.used(), QUOTA)
        lines[0].send(b"29\r\n" + b"x" * 41)
        self.assertEqual(self.statuses(lines[0]), [413])
        length = self.service.vault.length("~bob/a")
        self.assertLessEqual((30, length + 30), (length, QUOTA))
        self.assertEqual(self.service.shelf.counts["uploads_over_quota"], 1)
        lines[1].send(b"0\r\n\r\n")
        self.assertEqual((self.statuses(lines[1]), self.used()), ([201], length + 30))

    def test_full(self) -> None:
        """Byte by byte up to the quota, which it fills; what is let go of makes room, and then it ends."""
        self.successResultOf(self.service.uploads.begin(UploadRecord("~bob/x", 40, "", "~bob", int(NOW))))
        line = self.begun("a")
        for _ in range(60):
            line.send(b"1\r\nx\r\n")
        self.assertEqual((self.statuses(line), self.used()), ([], QUOTA))
        line.send(b"1\r\nx\r\n")
        self.assertEqual((self.statuses(line), self.service.vault.length("~bob/a")), ([413], 60))
        self.successResultOf(self.service.uploads.forget("~bob/x"))
        headers = {"Upload-Complete": "?1", "Upload-Offset": "60", "Content-Type": "application/partial-upload"}
        self.assertEqual(self.service.ask("PATCH", self.target("a"), headers, b"x" * 41).status, 413)
        self.assertEqual((self.service.vault.length("~bob/a"), self.used()), (60, 60))
        self.assertEqual(self.service.ask("PATCH", self.target("a"), headers, b"x" * 40).status, 200)
        self.assertEqual(self.service.stored("~bob/a"), b"x" * 100)

    def test_cut(self) -> None:
        """One that is cut counts as what is there, and when it is let go of as nothing."""
        line = self.begun("a")
        line.send(b"5\r\n01234\r\n")
        self.assertGreater(self.used(), 5)
        line.cut()
        self.assertEqual(self.used(), 5)
        record = self.service.uploads._records["~bob/a"]
        self.assertEqual(record, replace(record, size=OPEN, room=5))
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(self.service.shelf.let_go(record))))
        self.assertEqual(self.used(), 0)

    def test_taken_over(self) -> None:
        """Who takes over while room is asked for keeps what it gets; the last one, whatever it does, settles it."""
        asked, grow = list[Deferred[None]](), self.service.uploads.grow

        def slow(path: str, least: int, most: int, quota: int = 0) -> Deferred[int]:
            asked.append(Deferred())
            return asked[-1].addCallback(lambda _: grow(path, least, most, quota))

        self.patch(self.service.uploads, "grow", slow)
        self.begun("a").send(b"5\r\n01234\r\n")
        later = Line(self.service)
        later.begin("PUT", self.target("a"), {"Upload-Complete": "?0", "Content-Length": "70"}, b"01234")
        self.assertEqual(len(asked), 2)
        while asked:
            asked.pop(0).callback(None)
        self.assertEqual((later.aborted, self.service.vault.length("~bob/a")), (False, 5))
        self.assertGreaterEqual(self.used(), 70)
        last = Line(self.service)
        last.begin("PUT", self.target("a"), {"Upload-Complete": "?0", "Content-Length": "200"})
        while asked:
            asked.pop(0).callback(None)
        self.assertEqual((self.statuses(last), later.aborted, self.used()), ([413], True, 5))

    def test_asked_for(self) -> None:
        """One that was ended by who asked how far it is counts as that."""
        line = self.begun("a")
        line.send(b"5\r\n01234\r\n")
        headers = {"Upload-Draft-Interop-Version": "6"}
        self.assertEqual(self.service.ask("HEAD", self.target("a"), headers).headers["upload-offset"], "5")
        self.assertEqual((line.aborted, self.used()), (True, 5))

    def test_slow_records(self) -> None:
        """Nothing is read while room is asked for, and nothing is lost; while the records are away it is put off."""
        uploads, asked, grow = self.service.uploads, list[Deferred[None]](), self.service.uploads.grow

        def slow(path: str, least: int, most: int, quota: int = 0) -> Deferred[int]:
            asked.append(Deferred())
            return asked[-1].addCallback(lambda _: grow(path, least, most, quota))

        self.patch(uploads, "grow", slow)
        line = self.begun("a")
        line.send(b"14\r\n" + bytes(range(20)) + b"\r\n")
        self.assertEqual((line.transport.producerState, self.service.vault.length("~bob/a")), ("paused", 0))
        asked.pop(0).callback(None)
        self.assertEqual((line.transport.producerState, self.service.vault.length("~bob/a")), ("paused", 16))
        asked.pop(0).callback(None)
        self.assertEqual((line.transport.producerState, self.service.vault.length("~bob/a")), ("producing", 20))
        line.send(b"14\r\n" + bytes(range(20)) + b"\r\n")
        asked.pop(0).errback(StoreAway("away"))
        asked.pop(0).errback(StoreAway("away"))
        self.assertEqual((self.statuses(line), self.service.vault.length("~bob/a")), ([503], 33))
