"""The IETF draft on the address of a slot, with the headers of each version that clients send."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.base import OPEN, UploadRecord
from morphnet.wire.messages.upload.drafts import KNOWN
from morphnet.wire.messages.upload.slots import mac_v3
from tests.fakes_upload import NOW, TOKEN, Answer, Line, Service, slot

DATA = bytes(range(100))
NAME = "Upload-Draft-Interop-Version"
NONE = 0  # names no version


def said(version: int, complete: bool | None) -> dict[str, str]:
    """The headers of a request of that version."""
    headers = {NAME: str(version)} if version else {}
    if complete is not None and version == 3:
        headers["Upload-Incomplete"] = "?0" if complete else "?1"
    elif complete is not None:
        headers["Upload-Complete"] = "?1" if complete else "?0"
    return headers


class DraftTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())
        self.target = slot("s/a", 100)

    def append(self, version: int, at: int, body: bytes, complete: bool | None = True) -> Answer:
        kind = "image/png" if 3 <= version <= 5 else "application/partial-upload"
        headers = {**said(version, complete), "Upload-Offset": str(at), "Content-Type": kind}
        return self.service.ask("PATCH", self.target, headers, body)

    def test_phone(self) -> None:
        """URLSession of each version: the app's PUT, 104, the network goes; HEAD, PATCH with the rest."""
        for version in KNOWN:
            self.target = slot(f"s/{version}", 100)
            line = self.service.cut_put(self.target, said(version, True), 100, DATA[:40])
            (promise,) = line.answers()
            self.assertEqual((promise.status, promise.headers[NAME.lower()]), (104, str(version)))
            self.assertEqual(promise.headers["location"], self.target)
            self.assertEqual("upload-limit" in promise.headers, version >= 8)
            head = self.service.ask("HEAD", self.target, said(version, None))
            self.assertEqual((head.status, head.headers["upload-offset"]), (204, "40"))
            self.assertEqual(head.headers["cache-control"], "no-store")
            flag = ("upload-incomplete", "?1") if version == 3 else ("upload-complete", "?0")
            self.assertEqual(head.headers[flag[0]], flag[1])
            done = self.append(version, 40, DATA[40:])
            self.assertEqual((done.status, done.headers["upload-offset"]), (200, "100"))
            self.assertEqual(self.service.stored(f"s/{version}"), DATA)

    def test_promise(self) -> None:
        """104 goes to nobody who names no version, or one that we do not know, nor to HTTP/1.0, which has no 104."""
        for version in (NONE, 4, 7, 10, 99):
            line = self.service.cut_put(self.target, said(version, True), 100, DATA[:10])
            self.assertEqual(line.answers(), [])
        line = Line(self.service)
        told = "".join(f"{name}: {value}\r\n" for name, value in said(6, True).items())
        line.send(f"PUT {self.target} HTTP/1.0\r\n{told}Content-Length: 100\r\n\r\n".encode() + DATA)
        self.service.clock.advance(0)
        self.assertEqual([each.status for each in line.answers()], [201])

    def test_parts(self) -> None:
        """In three parts: 201 for each up to version 6, 204 for appends since."""
        for version, status in ((3, 201), (5, 201), (6, 201), (8, 204), (9, 204), (NONE, 204)):
            self.target = slot(f"p/{version}", 100)
            headers = {**said(version, False), "Upload-Length": "100"}
            made = self.service.ask("POST", self.target, headers, DATA[:10])
            self.assertEqual((made.status, made.headers["location"]), (201, self.target))
            part = self.append(version, 10, DATA[10:20], complete=False)
            self.assertEqual((part.status, part.headers["upload-offset"]), (status, "20"))
            self.assertEqual(self.append(version, 20, DATA[20:]).status, 200)
            self.assertEqual(self.service.stored(f"p/{version}"), DATA)

    def test_no_flag(self) -> None:
        """A PATCH without the flag ends an upload of version 3, and is judged by its length up to 6."""
        for version, complete in ((3, True), (5, True), (6, True), (8, False), (NONE, False)):
            self.target = slot(f"n/{version}", 100)
            self.service.cut_put(self.target, said(version, True), 100, DATA[:40])
            self.assertEqual(self.append(version, 40, DATA[40:], None).status, 200 if complete else 400)

    def test_mismatch(self) -> None:
        """A wrong offset is answered with the right one, for machines too, and nothing is lost."""
        self.service.cut_put(self.target, said(6, True), 100, DATA[:40])
        for at in (0, 39, 41, 99):
            answer = self.append(6, at, DATA[at:])
            told = json.loads(answer.body)
            self.assertEqual((answer.status, answer.headers["upload-offset"]), (409, "40"))
            self.assertEqual((told["expected-offset"], told["provided-offset"]), (40, at))
        self.assertEqual(self.append(6, 40, DATA[40:]).status, 200)

    def test_lengths(self) -> None:
        """A length that contradicts the slot's is refused; from version 8 on an overrun ends the upload."""
        self.service.cut_put(self.target, said(6, True), 100, DATA[:40])
        self.assertEqual(self.append(6, 40, DATA[50:]).status, 400)
        self.assertEqual(self.append(6, 40, DATA).status, 400)
        self.assertEqual(self.service.ask("HEAD", self.target, said(6, None)).headers["upload-offset"], "40")
        self.assertEqual(self.append(8, 40, DATA).status, 400)
        self.assertEqual(self.service.ask("HEAD", self.target, said(8, None)).status, 404)

    def test_wrong(self) -> None:
        """Offsets and flags that are none, HEAD with them, another type than version 6 has."""
        self.service.cut_put(self.target, said(6, True), 100, DATA[:40])
        for name in ("Upload-Offset", "Upload-Complete"):
            self.assertEqual(self.service.ask("HEAD", self.target, {**said(6, None), name: "1"}).status, 400)
        patch = {**said(6, True), "Content-Type": "application/partial-upload"}
        self.assertEqual(self.service.ask("PATCH", self.target, patch, DATA[40:]).status, 400)
        self.assertEqual(self.service.ask("PATCH", self.target, {**patch, "Upload-Offset": "abc"}, b"x").status, 400)
        patch["Content-Type"] = "text/plain"
        self.assertEqual(self.service.ask("PATCH", self.target, {**patch, "Upload-Offset": "40"}, b"x").status, 415)
        self.assertEqual(self.service.ask("PUT", self.target, {"Upload-Complete": "true"}, DATA).status, 400)

    def test_complete(self) -> None:
        """What is complete stays: HEAD says so, PATCH and PUT are refused."""
        self.assertEqual(self.service.ask("PUT", self.target, said(NONE, True), DATA).status, 201)
        head = self.service.ask("HEAD", self.target, said(9, None))
        self.assertEqual((head.headers["upload-complete"], head.headers["upload-offset"]), ("?1", "100"))
        self.assertEqual(self.append(9, 100, b"x").status, 400)
        self.assertEqual(self.service.ask("PUT", self.target, said(6, True), DATA).status, 409)

    def test_broken_here(self) -> None:
        """After a 104 a fault of ours ends the connection: a 500 would end the phone's upload for good."""
        broken = self.patch(self.service.shelf.vault, "finish", lambda *_: 1 / 0)
        line = Line(self.service)
        line.begin("PUT", self.target, said(6, True), DATA)
        self.assertEqual(([each.status for each in line.answers()], line.aborted), ([104], True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        broken.restore()
        self.assertEqual(self.service.ask("HEAD", self.target, said(6, None)).headers["upload-offset"], "100")
        self.assertEqual(self.service.stored("s/a"), DATA)

    def test_options(self) -> None:
        """Limits are told before anything is sent."""
        answer = self.service.ask("OPTIONS", self.target, said(6, None))
        self.assertEqual(answer.headers["accept-patch"], "application/partial-upload")
        self.assertIn("max-size=1000", answer.headers["upload-limit"])

    def test_delete(self) -> None:
        """An upload that is cancelled is gone."""
        self.service.cut_put(self.target, said(6, True), 100, DATA[:40])
        self.assertEqual(self.service.ask("DELETE", self.target, said(6, None)).status, 204)
        self.assertEqual(self.service.ask("HEAD", self.target, said(6, None)).status, 404)
        self.assertEqual(self.append(6, 40, DATA[40:]).status, 404)


class OpenTests(SynchronousTestCase):
    """Uploads that begin before their size is known."""

    def setUp(self) -> None:
        self.service = Service(self.mktemp(), quota=150)
        expires = str(int(NOW) + 300)
        self.target = f"/up/~bob/o?v3={mac_v3(TOKEN, 'PUT', '~bob/o', expires)}&expires={expires}"

    def begun(self, body: bytes, *, complete: bool, told: int | None = None) -> Line:
        headers = {**said(NONE, complete), **({} if told is None else {"Upload-Length": str(told)})}
        headers["Transfer-Encoding"] = "chunked"
        chunks = (f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"") + b"0\r\n\r\n"
        line = Line(self.service)
        line.send("\r\n".join([f"PUT {self.target} HTTP/1.1", "Host: x"]).encode())
        line.send("".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode() + b"\r\n\r\n" + chunks)
        return line

    def put(self, body: bytes, *, complete: bool, told: int | None = None) -> int:
        """Its final status; 0: there is none yet, or never."""
        line = self.begun(body, complete=complete, told=told)
        answers = line.answers()
        return answers[-1].status if answers and not line.aborted else 0

    def size(self) -> int:
        return self.service.uploads._records["~bob/o"].size

    def test_told_later(self) -> None:
        """The size that is told when it has begun is one that a file may have, and not less than what is there."""
        self.assertEqual(self.put(DATA[:50], complete=False), 201)
        self.assertEqual([self.put(b"", complete=False, told=each) for each in (10**17, 1001, 49)], [413, 413, 400])
        self.assertEqual((self.size(), self.service.stored("~bob/o")), (OPEN, None))
        self.assertEqual(self.put(DATA[:60], complete=False, told=100), 201)
        self.assertEqual(self.put(DATA, complete=True), 201)
        self.assertEqual(self.service.stored("~bob/o"), DATA)

    def test_quota(self) -> None:
        """There is room for it among the files of its user, whether the size is told or comes with the end."""
        self.assertEqual(self.put(DATA[:50], complete=False), 201)
        self.successResultOf(self.service.uploads.begin(UploadRecord("~bob/x", 60, "", "~bob", int(NOW))))
        self.assertEqual([self.put(DATA, complete=False, told=100), self.put(DATA, complete=True)], [413, 413])
        self.assertEqual((self.size(), self.service.stored("~bob/o")), (OPEN, None))
        self.assertEqual(self.service.vault.length("~bob/o"), 90)  # what found room is kept
        self.successResultOf(self.service.uploads.forget("~bob/x"))
        self.assertEqual(self.put(DATA, complete=True), 201)

    def test_deleted_meanwhile(self) -> None:
        """What is let go of while its size is written down leaves no file behind."""
        self.assertEqual(self.put(DATA[:50], complete=False), 201)
        uploads, shelf, sized = self.service.uploads, self.service.shelf, self.service.uploads.sized
        going = list[Deferred[bool]]()

        def slow(path: str, size: int, quota: int = 0) -> Deferred[None]:
            done = sized(path, size, quota)
            going.append(Deferred.fromCoroutine(shelf.let_go(uploads._records[path])))
            return done

        self.patch(uploads, "sized", slow)
        self.assertEqual((self.put(DATA, complete=True), uploads._records), (0, {}))
        self.assertEqual([self.successResultOf(each) for each in going], [True])
        self.assertEqual((self.service.stored("~bob/o"), self.service.vault.length("~bob/o")), (None, 0))
        self.assertEqual((shelf.counts["uploads_cut"], shelf.counts["uploads_without_room"]), (1, 0))

    def test_told_meanwhile(self) -> None:
        """Who goes on while the size is written down knows it: more bytes than that are refused as always."""
        self.assertEqual(self.put(DATA[:50], complete=False), 201)
        written, sized = Deferred[None](), self.service.uploads.sized
        self.patch(self.service.uploads, "sized", lambda *told: written.addCallback(lambda _: sized(*told)))
        self.assertEqual(self.put(b"", complete=False, told=60), 0)
        later = self.begun(DATA, complete=False)
        written.callback(None)
        self.service.clock.advance(3)
        self.assertEqual([each.status for each in later.answers()], [400])
        self.assertEqual((self.service.uploads._records, self.service.vault.length("~bob/o")), ({}, 0))

    def test_shorter_end(self) -> None:
        """What ends an upload has all bytes that are there: a file is what was sent, and no more."""
        self.assertEqual(self.put(DATA[:50], complete=False), 201)
        self.assertEqual(self.put(DATA[:20], complete=True), 409)
        self.assertEqual((self.size(), self.service.stored("~bob/o")), (OPEN, None))
        self.assertEqual(self.put(DATA[:50], complete=True), 201)
        self.assertEqual(self.service.stored("~bob/o"), DATA[:50])
