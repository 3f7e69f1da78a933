"""Files are given out, whole and in part."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.callers import Callers
from morphnet.roles.upload.giving import PROXYS_PATIENCE
from tests.fakes_upload import Line, Service, slot

DATA = bytes(range(100))


class GivingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())
        self.service.ask("PUT", slot("s/a.html", 100), {"Content-Type": "text/html"}, DATA)

    def test_headers(self) -> None:
        """Nothing that a file could do is left to it, and it is kept by caches for good."""
        got = self.service.ask("GET", "/up/s/a.html")
        self.assertEqual((got.status, got.body, got.headers["x-content-type-options"]), (200, DATA, "nosniff"))
        self.assertTrue(got.headers["content-disposition"].startswith("attachment"))
        self.assertIn("default-src 'none'", got.headers["content-security-policy"])
        self.assertIn("immutable", got.headers["cache-control"])
        head = self.service.ask("HEAD", "/up/s/a.html")
        self.assertEqual((head.headers["content-length"], head.body), ("100", b""))

    def test_range(self) -> None:
        """A part, with the ETag that it belongs to; the whole for another ETag; 416 beyond the end."""
        etag = self.service.ask("GET", "/up/s/a.html").headers["etag"]
        part = self.service.ask("GET", "/up/s/a.html", {"Range": "bytes=10-19", "If-Range": etag})
        self.assertEqual((part.status, part.body), (206, DATA[10:20]))
        self.assertEqual(part.headers["content-range"], "bytes 10-19/100")
        whole = self.service.ask("GET", "/up/s/a.html", {"Range": "bytes=10-19", "If-Range": '"x"'})
        self.assertEqual((whole.status, whole.body), (200, DATA))
        beyond = self.service.ask("GET", "/up/s/a.html", {"Range": "bytes=100-"})
        self.assertEqual((beyond.status, beyond.headers["content-range"]), (416, "bytes */100"))
        self.assertEqual(self.service.ask("GET", "/up/s/a.html", {"If-None-Match": etag}).status, 304)

    def test_nothing(self) -> None:
        """What is not there, or not whole, is not given."""
        self.service.cut_put(slot("s/b", 100), {}, 100, DATA[:50])
        for path in ("s/b", "s/c", "../uploads.db", "s/a.html/"):
            self.assertEqual(self.service.ask("GET", f"/up/{path}").status, 404)

    def test_patience(self) -> None:
        """Who takes nothing for long is hung up on; a proxy may have enough to give for hours."""
        for proxies, patience in ((("192.168.0.0/16",), PROXYS_PATIENCE), ((), 60.0)):
            service = Service(self.mktemp(), max_size=200_000, callers=Callers(proxies, lambda: 0.0))
            service.ask("PUT", slot("s/a", 200_000), {}, bytes(200_000))
            line = Line(service)
            line.takes_no_more()
            line.begin("GET", "/up/s/a", {})
            self.assertLess(len(line.transport.value()), 100_000)
            service.clock.advance(patience)  # the first look sees what was taken
            service.clock.advance(patience - 1.0)
            self.assertFalse(line.aborted)
            service.clock.advance(1.0)
            self.assertTrue(line.aborted)

    def test_body_to_come(self) -> None:
        """Who has announced a body, and takes the file instead of sending it, is not hung up on meanwhile."""
        service = Service(self.mktemp(), max_size=400_000)
        service.ask("PUT", slot("s/a", 400_000), {}, bytes(400_000))
        line = Line(service)
        line.takes_no_more()
        line.begin("GET", "/up/s/a", {"Content-Length": "10"})
        for _ in range(5):
            service.clock.advance(40.0)
            line.goes_on()
        self.assertEqual((line.aborted, line.transport.disconnecting), (False, False))
        line.goes_on()
        service.clock.advance(0)
        self.assertEqual((len(line.answers()[0].body), line.transport.disconnecting), (400_000, True))
