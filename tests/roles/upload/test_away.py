"""Redis is away for ten minutes, by a clock of the test, and what has begun goes on; nothing here waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.base import StoreAway, UploadRecord, Uploads
from morphnet.store.redis_uploads import RedisUploads
from morphnet.store.shared_vault import SharedVault
from morphnet.store.upload_notes import note_of, record_of
from morphnet.store.vault import Vault
from tests.fakes_upload import NOW, Line, Service, slot

AWAY, STEP, IDLE = 600.0, 10.0, 60.0  # seconds: that it is away, between two pieces, that a connection may be silent
PIECE = 4096  # bytes; as many in IDLE at least, or a connection is hung up on
SIZE = PIECE * int(AWAY / STEP)
DATA = bytes(range(256)) * (SIZE // 256)
TUS = {"Tus-Resumable": "1.0.0"}


class Lonely(Service):
    """One of several servers whose Redis does not answer."""

    def stores(self, directory: Path) -> tuple[Uploads, Vault]:
        self.asked = 0  # times that Redis was called

        async def ask(*words: object) -> Any:
            self.asked += 1
            raise StoreAway("Redis cannot be reached")

        vault = self.shared = SharedVault(directory, patience=0.0)
        self.known = RedisUploads(
            ask,
            lambda path: vault.size(path) is not None,
            lambda path: record_of(vault.noted(path)),
            lambda: filter(None, map(record_of, vault.all_noted())),
        )
        return self.known, vault


class AwayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Lonely(self.mktemp(), max_size=SIZE)

    def begun(self, path: str, size: int = SIZE) -> str:
        """The address of an upload that another server has begun, while Redis was there."""
        record = UploadRecord(path, size, "", "", int(NOW))
        self.service.shared.take(path, note=note_of(record)).close()
        return slot(path, size)

    def passes(self, seconds: float) -> None:
        self.service.now += seconds
        self.service.clock.advance(seconds)

    def running(self, target: str) -> Line:
        line = Line(self.service)
        line.begin("PUT", target, {"Content-Length": str(SIZE)})
        return line

    def test_ten_minutes(self) -> None:
        """
        A slow upload runs on for all of them and becomes whole; one that was cut before goes on in the end, from its
        byte; what nobody went on with stays, also if its time is over; a new one is put off, each time.
        """
        slow, cut, left = (self.begun(path) for path in ("s/slow", "s/cut", "s/left"))
        for target in (cut, left):
            self.service.cut_put(target, {}, SIZE, DATA[: SIZE // 3])
        line = self.running(slow)
        for at in range(0, SIZE, PIECE):
            self.passes(STEP)
            self.successResultOf(Deferred.fromCoroutine(self.service.shelf.sweep(IDLE, IDLE)))
            put_off = self.service.ask("PUT", slot(f"s/new{at}", 1), {}, b"x")
            self.assertEqual((put_off.status, put_off.headers["retry-after"]), (503, "5"))
            line.send(DATA[at : at + PIECE])
        self.assertEqual([each.status for each in line.answers()], [201])
        self.assertFalse(line.aborted)
        self.assertGreaterEqual(self.service.now - NOW, AWAY)
        told = self.service.ask("HEAD", cut, TUS)
        self.assertEqual((told.status, told.headers["upload-offset"]), (200, str(SIZE // 3)))
        more = {**TUS, "Upload-Offset": str(SIZE // 3), "Content-Type": "application/offset+octet-stream"}
        self.assertEqual(self.service.ask("PATCH", cut, more, DATA[SIZE // 3 :]).status, 204)
        self.assertEqual(self.service.ask("PUT", left, {}, DATA).status, 201)
        for path in ("s/slow", "s/cut", "s/left"):
            self.assertEqual(self.service.stored(path), DATA)
        self.assertEqual(self.known_later(), {"s/slow", "s/cut", "s/left"})

    def known_later(self) -> set[str]:
        """Paths that Redis is told of as whole when it is there again."""
        return {path for path, each in self.service.known._owed.items() if each.completed_at}
