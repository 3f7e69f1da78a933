"""What the head of a request says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.http import Exchange
from tests.fakes_upload import Line, Service


class HeadTests(SynchronousTestCase):
    def head(self, request: bytes) -> Exchange:
        """A request, as who answers it sees it."""
        found: list[Exchange] = []
        service = Service(self.mktemp())

        async def answer(exchange: Exchange) -> None:
            found.append(exchange)

        service.factory._answer = answer
        Line(service).send(request)
        return found[0]

    def test_target(self) -> None:
        """Path and query, also of a whole URL, as proxies ask; names that come twice count once."""
        for host in (b"", b"http://x", b"HTTPS://[::1]:80"):
            head = self.head(b"put %s/s/%%61%%20b?a=1&a=2&b HTTP/1.1\r\nA: b\r\na: c\r\n\r\n" % host)
            self.assertEqual((head.verb, head.target), ("PUT", "/s/%61%20b?a=1&a=2&b"))
            self.assertEqual((head.location, head.query, head.headers), ("/s/a b", {"a": "1", "b": ""}, {"a": "c"}))
        for odd in ("*", "http:/x", "//x/s", "ftp://x/s"):
            self.assertEqual(self.head(f"GET {odd} HTTP/1.1\r\n\r\n".encode()).target, odd)

    def test_interim(self) -> None:
        """HTTP/1.0 knows of no answer before the last one."""
        for version, expects in (("1.0", False), ("1.1", True)):
            head = self.head(f"PUT / HTTP/{version}\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n".encode())
            self.assertEqual((head.knows_interim, head.expects), (expects, expects))
        self.assertFalse(self.head(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n").expects)
