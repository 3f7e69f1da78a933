"""tus 1.0.0 on the address of a slot."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes_upload import Answer, Line, Service, slot

DATA = bytes(range(100))
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}


class TusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())
        self.target = slot("s/a", 100)

    def create(self) -> Answer:
        return self.service.ask("POST", self.target, {**TUS, "Upload-Length": "100"})

    def append(self, at: int, body: bytes, **more: str) -> Answer:
        headers = {**BODY, "Upload-Offset": str(at), **{name.replace("_", "-"): each for name, each in more.items()}}
        return self.service.ask("PATCH", self.target, headers, body)

    def offset(self) -> str:
        return self.service.ask("HEAD", self.target, TUS).headers["upload-offset"]

    def test_upload(self) -> None:
        """Created, cut in the middle of a PATCH, gone on with from the byte that HEAD tells."""
        made = self.create()
        self.assertEqual((made.status, made.headers["location"]), (201, self.target))
        self.assertEqual(self.append(0, DATA[:20]).headers["upload-offset"], "20")
        self.service.cut_put(self.target, {**BODY, "Upload-Offset": "20"}, 80, DATA[20:50], "PATCH")
        self.assertEqual(self.offset(), "50")
        wrong = self.append(20, DATA[20:])
        self.assertEqual((wrong.status, wrong.headers["upload-offset"]), (409, "50"))
        done = self.append(50, DATA[50:])
        self.assertEqual((done.status, done.headers["upload-offset"]), (204, "100"))
        self.assertEqual((self.service.stored("s/a"), self.offset()), (DATA, "100"))

    def test_creation_with_upload(self) -> None:
        """The first bytes may come with the creation."""
        made = self.service.ask("POST", self.target, {**BODY, "Upload-Length": "100"}, DATA[:7])
        self.assertEqual((made.status, made.headers["upload-offset"]), (201, "7"))

    def test_checksum(self) -> None:
        """Bytes whose checksum is wrong were never there."""
        self.create()
        self.assertEqual(
            self.append(0, b"hello worle", Upload_Checksum="sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").status, 460
        )
        self.assertEqual(self.offset(), "0")
        self.assertEqual(
            self.append(0, b"hello world", Upload_Checksum="sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").status, 204
        )
        self.assertEqual(self.append(11, b"x", Upload_Checksum="crc32 AAAA").status, 400)

    def test_termination(self) -> None:
        """An upload that is ended is unknown, and a file that is whole is not ended."""
        self.create()
        self.assertEqual(self.service.ask("DELETE", self.target, TUS).status, 204)
        self.assertEqual(self.service.ask("HEAD", self.target, TUS).status, 404)
        self.create()
        self.append(0, DATA)
        self.assertEqual(self.service.ask("DELETE", self.target, TUS).status, 404)
        self.assertEqual(self.service.stored("s/a"), DATA)

    def test_refused(self) -> None:
        """Another version, type, size, or no offset at all."""
        self.create()
        self.assertEqual(self.service.ask("HEAD", self.target, {"Tus-Resumable": "0.2"}).status, 412)
        self.assertEqual(self.service.ask("PATCH", self.target, {**TUS, "Upload-Offset": "0"}, b"x").status, 415)
        self.assertEqual(self.service.ask("PATCH", self.target, BODY, b"x").status, 400)
        self.assertEqual(self.append(0, DATA + b"x").status, 413)
        self.assertEqual(self.service.ask("POST", self.target, {**TUS, "Upload-Length": "99"}).status, 413)
        self.assertEqual(self.offset(), "0")

    def test_overridden(self) -> None:
        """PATCH may come as POST, where a proxy lets nothing else pass."""
        self.create()
        headers = {**BODY, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
        self.assertEqual(self.service.ask("POST", self.target, headers, DATA[:9]).status, 204)

    def test_takes_over(self) -> None:
        """HEAD ends a PATCH that hangs, and the offset that it tells holds."""
        self.create()
        hung = Line(self.service)
        hung.begin("PATCH", self.target, {**BODY, "Upload-Offset": "0", "Content-Length": "100"}, DATA[:10])
        self.assertEqual((self.offset(), hung.aborted), ("10", True))
        hung.send(DATA[10:])
        self.assertEqual(self.offset(), "10")

    def test_options(self) -> None:
        """What can be done is told to everybody."""
        said = self.service.ask("OPTIONS", "/up/")
        self.assertIn("creation-with-upload", said.headers["tus-extension"])
        self.assertEqual((said.status, said.headers["tus-max-size"]), (204, "1000"))
