"""Types of files, by their first bytes."""

from __future__ import annotations

from io import BytesIO

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload import kinds
from morphnet.roles.upload.kinds import Kinds, kind_of
from morphnet.wire.messages.upload.serving import BINARY
from tests.fakes_upload import Service, slot, slot2

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(84)


def _box(brand: bytes) -> bytes:
    return b"\0\0\0\x1cftyp" + brand + bytes(4) + brand + b"mif1" + bytes(50)


class KindTests(SynchronousTestCase):
    def test_shown(self) -> None:
        """What browsers show: pictures, sound, video."""
        for head, kind in (
            (PNG, "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(50), "image/jpeg"),
            (b"GIF89a" + bytes(50), "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(50), "image/webp"),
            (_box(b"avif"), "image/avif"),
            (_box(b"isom"), "video/mp4"),
            (b"fLaC" + bytes(50), "audio/flac"),
        ):
            self.assertEqual(kind_of(head), kind)

    def test_not_shown(self) -> None:
        """What can do something, what no browser shows, and what nobody knows is bytes."""
        for head in (
            b"<!DOCTYPE html><html><script>alert(1)</script>",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>",
            b"<?xml version='1.0'?><a/>",
            b"%PDF-1.7\n" + bytes(50),
            b"PK\3\4" + bytes(50),
            b"MZ" + bytes(100),
            b"\x7fELF" + bytes(50),
            _box(b"heic"),
            b"text",
            b"",
        ):
            self.assertEqual(kind_of(head), BINARY, head)

    def test_given_out(self) -> None:
        """A client's own word is taken, unless it is that there are bytes; a range is one of all bytes."""
        service = Service(self.mktemp())
        for name, said, kind in (("a", BINARY, "image/png"), ("b", "", "image/png"), ("c", "text/html", "text/html")):
            service.ask("PUT", slot(f"s/{name}", 100), {"Content-Type": said} if said else {}, PNG)
            got = service.ask("GET", f"/up/s/{name}")
            self.assertEqual((got.headers["content-type"], got.body), (kind, PNG))
            inline = got.headers["content-disposition"].startswith("inline")
            self.assertEqual((inline, got.headers["x-content-type-options"]), (kind == "image/png", "nosniff"))
            self.assertEqual(service.ask("GET", f"/up/s/{name}", {"Range": "bytes=1-3"}).body, b"PNG")
        page = b"<html>" + bytes(94)
        service.ask("PUT", slot2("s/d", 100, BINARY), {"Content-Type": BINARY}, page)
        got = service.ask("GET", "/up/s/d")
        self.assertEqual((got.headers["content-type"], got.headers["content-disposition"][:6]), (BINARY, "attach"))

    def test_remembered(self) -> None:
        """A file is looked at once, while it is one of the last ones."""
        self.patch(kinds, "_MOST", 2)
        known = Kinds()
        for etag, head, kind in (("a", PNG, "image/png"), ("a", b"", "image/png"), ("b", b"", BINARY),
                                 ("c", b"", BINARY), ("a", b"", BINARY)):  # fmt: skip
            file = BytesIO(head)
            self.assertEqual((known.of(etag, BINARY, file), file.tell()), (kind, 0))
