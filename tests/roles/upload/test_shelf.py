"""What is kept of uploads, and for how long."""

from __future__ import annotations

import errno
import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha1
from pathlib import Path

from twisted.internet.defer import Deferred, execute, succeed
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.http import BodyCut, Exchange
from morphnet.roles.upload import checking
from morphnet.roles.upload.letting import Beside
from morphnet.roles.upload.parts import part_path
from morphnet.store.base import UploadRecord
from morphnet.store.memory_uploads import MemoryUploads
from morphnet.store.shared_vault import SharedVault
from morphnet.store.vault import Partial, Vault
from morphnet.wire.messages.upload.slots import SlotRefused
from tests.fakes_upload import NOW, Line, Service, slot

DATA = bytes(range(100))


class ShelfTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())

    def sweep(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.service.shelf.sweep(3600.0, 0.0)))

    def test_sweep(self) -> None:
        """Parts of which no byte came for long are let go; whole files stay, and so does what is gone on with."""
        self.service.ask("PUT", slot("s/whole", 100), {}, DATA)
        self.service.cut_put(slot("s/part", 100), {}, 100, DATA[:10])
        self.sweep()
        self.assertEqual(self.service.vault.length("s/part"), 10)
        self.service.now = self.service.vault.touched("s/part") + 3000.0
        self.sweep()
        self.assertEqual(self.service.vault.length("s/part"), 10)
        self.service.now += 3600.0
        self.sweep()
        self.assertEqual(self.service.vault.length("s/part"), 0)
        self.assertEqual(self.service.stored("s/whole"), DATA)
        self.assertEqual(self.service.shelf.counts["uploads_expired"], 1)

    def test_sweep_too_late(self) -> None:
        """What has become whole, or has gone and begun anew, since the list of what is old was made stays."""
        for path in ("s/whole", "s/anew"):
            self.service.cut_put(slot(path, 100), {}, 100, b"")
        stale = list(self.service.uploads._records.values())
        self.patch(self.service.uploads, "older", lambda *_: succeed(stale))
        self.service.ask("PUT", slot("s/whole", 100), {}, DATA)
        self.service.uploads._records["s/anew"] = replace(stale[1], created_at=int(NOW) + 1)
        self.service.now = NOW * 2
        self.sweep()
        self.assertEqual(self.service.stored("s/whole"), DATA)
        self.assertEqual(sorted(self.service.uploads._records), ["s/anew", "s/whole"])
        self.assertEqual(self.service.shelf.counts["uploads_expired"], 0)

    def test_appeared_unrecorded(self) -> None:
        """Ended between the file's appearance and its record: the file is complete all the same."""
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:99])
        partial = self.service.vault.partial("s/a")
        partial.append(DATA[99:])
        self.service.vault.finish("s/a", partial)
        partial.close()
        self.assertEqual(self.service.ask("GET", "/up/s/a").body, DATA)
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 409)

    def test_full_but_unfinished(self) -> None:
        """Ended between the last byte and the file's appearance: a repeated PUT makes it appear."""
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:50])
        partial = self.service.vault.partial("s/a")
        partial.append(DATA[50:])
        partial.close()
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 201)
        self.assertEqual(self.service.stored("s/a"), DATA)

    def test_asked_for(self) -> None:
        """Ended there, who asks by tus or by the draft is told that all is here, and then it is."""
        for path, headers in (("s/a", {"Tus-Resumable": "1.0.0"}), ("s/b", {"Upload-Draft-Interop-Version": "6"})):
            self.service.cut_put(slot(path, 100), {}, 100, DATA[:99])
            partial = self.service.vault.partial(path)
            partial.append(DATA[99:])
            partial.close()
            answer = self.service.ask("HEAD", slot(path, 100), headers)
            self.assertEqual((answer.headers["upload-offset"], self.service.stored(path)), ("100", DATA))
            self.assertEqual(answer.headers.get("upload-complete", "?1"), "?1")

    def test_disk_full(self) -> None:
        """A full disk is 507, and the bytes that found room are kept."""

        def full(partial: Partial, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:30])
        self.patch(Partial, "append", full)
        answer = self.service.ask("PUT", slot("s/a", 100), {}, DATA)
        self.assertEqual((answer.status, self.service.vault.length("s/a")), (507, 30))
        self.assertGreater(NOW, 0)


class _SlowUploads(MemoryUploads):
    """Answers what it is asked when it is told to, one after the other, as a thread does."""

    slow = False

    def __init__(self) -> None:
        super().__init__()
        self._asked = list[Callable[[], None]]()

    def find(self, path: str) -> Deferred[UploadRecord | None]:
        if not self.slow:
            return super().find(path)
        answer: Deferred[UploadRecord | None] = Deferred()
        self._asked.append(lambda: answer.callback(self._records.get(path)))
        return answer

    def go_on(self) -> None:
        """Answer all that is asked, and what is asked then."""
        while self._asked:
            self._asked.pop(0)()


def later_in(works: list[Callable[[], object]]) -> Beside:
    """Work on the disk is put there, and not done before the test does it."""

    def later(work: Callable[[], None]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        works.append(lambda: execute(work).chainDeferred(done))
        return done

    return later


class RaceTests(SynchronousTestCase):
    """Two requests for one slot, of which one has waited for something while the other went on."""

    def setUp(self) -> None:
        self.service = Service(self.mktemp())
        self.slow = self.service.shelf.uploads = _SlowUploads()
        self.work = list[Callable[[], object]]()

    def beside_waits(self) -> None:
        """Work on the disk is not done before the test does it."""

        self.service.shelf._beside = later_in(self.work)

    def checked(self, path: str, body: bytes) -> Line:
        """A tus upload whose body is looked at before it is written, of which half has come."""
        line = Line(self.service)
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": "100",
            "Upload-Checksum": "sha1 " + b64encode(sha1(body).digest()).decode(),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": "100",
        }
        line.begin("POST", slot(path, 100), headers, body[:50])
        return line

    def test_two_puts(self) -> None:
        """One that waited for the record while the other became complete writes nothing, to nobody's file."""
        self.service.ask("PUT", slot("s/other", 100), {}, DATA)  # the same content: one file with two names
        self.slow.slow = True
        lines = [self.service.begun_put(slot("s/a", 100), 100, body) for body in (DATA, DATA[::-1])]
        self.slow.go_on()
        answers = [[each.status for each in line.answers()] for line in lines]
        self.slow.slow = False
        self.assertEqual(sorted(answers), [[], [201]])
        whole = DATA if answers[0] else DATA[::-1]
        self.assertEqual((self.service.stored("s/a"), self.service.stored("s/other")), (whole, DATA))

    def test_stale(self) -> None:
        """What was found before somebody else became complete, or let go, is no leave to write."""
        self.service.ask("PUT", slot("s/other", 100), {}, DATA)
        self.service.cut_put(slot("s/a", 100), {}, 100, b"")
        found = self.slow._records["s/a"]
        self.slow.slow = True
        exchange = self.service.begun_put(slot("s/b", 100), 100, DATA[::-1])._channel.requests[0]
        self.slow.slow = False
        self.service.ask("PUT", slot("s/a", 100), {}, DATA)
        exchange.place = None  # as one that comes now
        for record, status in ((found, 409), (replace(found, path="s/gone"), 404)):
            writing = Deferred.fromCoroutine(self.service.shelf.write(exchange, record, 0))
            self.assertEqual(self.failureResultOf(writing, SlotRefused).value.status, status)
        self.assertEqual([self.service.stored(each) for each in ("s/a", "s/other", "s/gone")], [DATA, DATA, None])

    def test_told_and_put_anew(self) -> None:
        """Who puts anew while an offset is told takes nothing of it back."""
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:50])
        asks, announced, announce = Line(self.service), Deferred[None](), self.slow.announce
        self.patch(self.slow, "announce", lambda path: announced.addCallback(lambda _: announce(path)))
        asks.begin("HEAD", slot("s/a", 100), {"Tus-Resumable": "1.0.0"})
        puts = self.service.begun_put(slot("s/a", 100), 100, DATA[::-1][:10])
        announced.callback(None)
        self.service.clock.advance(3)
        (told,), (refused,) = asks.answers(head=True), puts.answers()
        self.assertEqual((told.headers["upload-offset"], refused.status), ("50", 409))
        self.assertEqual(self.service.vault.length("s/a"), 50)

    def test_told_late(self) -> None:
        """A record that was let go of before anybody was told what was found is gone, and so are its bytes."""
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:50])
        find, told = self.slow.find, Deferred[None]()

        def late(path: str) -> Deferred[UploadRecord | None]:
            self.patch(self.slow, "find", find)
            found = self.successResultOf(find(path))
            return told.addCallback(lambda _: found)

        self.patch(self.slow, "find", late)
        finding = Deferred.fromCoroutine(self.service.shelf.find("s/a"))
        letting = Deferred.fromCoroutine(self.service.shelf.let_go(self.slow._records["s/a"]))
        self.assertTrue(self.successResultOf(letting))
        told.callback(None)
        self.assertIsNone(self.successResultOf(finding))

    def test_checked_body(self) -> None:
        """A body that is looked at first has the turn meanwhile: a PUT ends it, and is not overwritten."""
        line = self.checked("s/a", DATA[::-1])
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 201)
        self.assertTrue(line.aborted)
        line.send(DATA[::-1][50:])
        self.assertEqual((self.service.stored("s/a"), self.service.vault.length("s/a")), (DATA, 0))

    def test_memory(self) -> None:
        """Bodies that are looked at first have so much memory together, and one a slot; who finds none comes again."""
        self.patch(checking, "MOST_KEPT", 250)
        held = [self.checked(path, DATA) for path in ("s/a", "s/a", "s/b", "s/c")]
        self.service.clock.advance(3)
        self.assertEqual([line.aborted for line in held], [True, False, False, False])
        (off,) = held[-1].answers()
        self.assertEqual((off.status, off.headers["retry-after"]), (503, "10"))
        self.assertEqual(self.service.ask("PUT", slot("s/d", 100), {}, DATA).status, 201)
        held[2].cut()
        again = self.checked("s/c", DATA)
        for line in (held[1], again):
            line.send(DATA[50:])
            self.service.clock.advance(3)
            self.assertEqual([each.status for each in line.answers()], [201])
        self.assertEqual((self.service.shelf._checking.kept, self.service.shelf.counts["uploads_put_off"]), (0, 1))

    def test_slow_body(self) -> None:
        """Who announces a body to be looked at, and sends it for hours, keeps the memory from nobody else."""
        self.patch(checking, "MOST_KEPT", 100)
        slow = self.checked("s/a", DATA)
        self.assertEqual(self.answered(self.checked("s/b", DATA)), [503])
        self.service.now += 31
        quick = self.checked("s/b", DATA)
        self.assertEqual(self.answered(slow), [503])
        quick.send(DATA[50:])
        self.assertEqual((self.answered(quick), self.service.stored("s/b")), ([201], DATA))
        self.assertEqual((self.service.vault.length("s/a"), self.service.shelf._checking.kept), (0, 0))

    def answered(self, line: Line) -> list[int]:
        """By which statuses."""
        self.service.clock.advance(3)
        return [each.status for each in line.answers()]

    def test_deleted_meanwhile(self) -> None:
        """What was let go of while its body came leaves no file behind."""
        line = self.checked("s/a", DATA)
        self.assertEqual(self.service.ask("DELETE", slot("s/a", 100), {"Upload-Length": "100"}).status, 204)
        line.send(DATA[50:])
        self.assertEqual((self.service.stored("s/a"), self.service.vault.length("s/a")), (None, 0))

    def test_deleted_as_it_appears(self) -> None:
        """Whoever lets go of an upload whose file just appears comes too late."""
        self.beside_waits()
        line = self.service.begun_put(slot("s/a", 100), 100, DATA[:50])
        late, self.slow.slow = Line(self.service), True
        late.begin("DELETE", slot("s/a", 100), {"Upload-Length": "100"})
        line.send(DATA[50:])
        self.slow.go_on()
        self.assertEqual((len(self.work), late.answers()), (1, []))
        self.work.pop()()
        self.slow.go_on()
        self.service.clock.advance(3)
        self.assertEqual([each.status for each in line.answers() + late.answers()], [201, 404])
        self.assertEqual(self.service.stored("s/a"), DATA)

    def test_one_finish(self) -> None:
        """Of those that waited together one makes the file appear; who comes meanwhile waits, and is answered."""
        self.beside_waits()
        self.slow.slow = True
        lines = [self.service.begun_put(slot("s/a", 100), 100, DATA) for _ in range(3)]
        self.slow.go_on()
        self.slow.slow = False
        lines += [self.service.begun_put(slot("s/a", 100), 100, DATA) for _ in range(2)]
        self.assertEqual(len(self.work), 1)
        self.work.pop()()
        self.service.clock.advance(3)
        self.assertEqual([[each.status for each in line.answers()] for line in lines], [[], [], [201], [409], [409]])
        self.assertEqual((self.work, len(self.service.shelf.turns)), ([], 0))

    def test_asked_together(self) -> None:
        """Of many that find all bytes there one has the file appear, though others come while it does; none hangs."""
        for shared, next_one in ((False, 0), (False, -1), (True, 0), (True, -1)):
            service = Service(self.mktemp())
            if shared:
                service.shelf.vault = service.vault = SharedVault(Path(self.mktemp()))
            service.cut_put(slot("s/a", 100), {}, 100, DATA[:99])
            partial = service.vault.partial("s/a")
            partial.append(DATA[99:])
            partial.close()
            work = list[Callable[[], object]]()
            service.shelf._beside = later_in(work)
            lines = [Line(service) for _ in range(20)]
            for line in lines:
                line.begin("HEAD", slot("s/a", 100), {"Tus-Resumable": "1.0.0"})
            while work:
                work.pop(next_one)()
            service.clock.advance(3)
            answers = [each.status for line in lines for each in line.answers(head=True)]
            self.assertEqual(len(answers) + sum(line.aborted for line in lines), 20)
            self.assertEqual((set(answers) - {200, 503}, service.stored("s/a")), (set(), DATA))
            self.assertEqual(service.shelf.counts["uploads_complete"], 1)

    def test_joined_beside(self) -> None:
        """Who takes the turn of parts that are joined waits for the piece that a thread just writes."""
        append = Partial.append
        for path, verb, headers, body in (
            ("s/a", "HEAD", {"Tus-Resumable": "1.0.0"}, b""),
            ("s/b", "PUT", {}, DATA[::-1]),
        ):
            exchange, parts = self.halves(path)
            line = Line(self.service)

            def within(partial: Partial, data: bytes, begin: Callable[[], None]) -> None:
                self.patch(Partial, "append", append)
                begin()
                append(partial, data)

            begin = partial(line.begin, verb, slot(path, 100), headers, body)
            self.patch(Partial, "append", lambda taken, data, begin=begin: within(taken, data, begin))
            joining = Deferred.fromCoroutine(self.service.shelf.join(exchange, self.slow._records[path], parts))
            self.failureResultOf(joining, BodyCut)
            (said,) = line.answers(head=verb == "HEAD")
            self.assertEqual(said.headers.get("upload-offset"), "50" if verb == "HEAD" else None)
        self.assertEqual((said.status, self.service.stored("s/b")), (201, DATA[::-1]))

    def halves(self, path: str) -> tuple[Exchange, list[str]]:
        """An upload that has begun: a request for it, and two whole parts."""
        exchange = self.service.begun_put(slot(path, 100), 100, b"")._channel.requests[0]
        parts = [part_path(path, number) for number in range(2)]
        for part, data in zip(parts, (DATA[:50], DATA[50:]), strict=True):
            self.slow._records[part] = UploadRecord(part, 50, "", "", int(NOW), int(NOW))
            there = self.service.vault.partial(part)
            there.append(data)
            self.service.vault.finish(part, there)
            there.close()
        return exchange, parts

    def test_cannot_be_opened(self) -> None:
        """A file that cannot be opened is 507, or 503 where one comes again, and holds nothing."""
        for number, status in ((errno.EIO, 507), (errno.EMFILE, 503)):

            def broken(vault: Vault, path: str, number: int = number) -> Partial:
                raise OSError(number, os.strerror(number))

            self.patch(Vault, "partial", broken)
            answer = self.service.ask("PUT", slot("s/a", 100), {}, DATA)
            self.assertEqual((answer.status, "retry-after" in answer.headers), (status, status == 503))
        (seen,) = self.service.shelf.under_way.statuses()
        self.assertEqual((len(self.service.shelf.turns), seen.running), (0, False))
