"""Addresses of clients behind proxies, and a limit that honest ones do not meet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.callers import GUESSES, Callers, TooOften
from tests.fakes_upload import Line, Service, slot


class CallersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.callers = Callers(("127.0.0.1", "10.0.0.0/8", "::1"), lambda: self.now)

    def test_address(self) -> None:
        """A proxy's word is taken and nobody else's; what it was told by a client is not its word."""
        for peer, forwarded, address in (
            ("203.0.113.9", "", "203.0.113.9"),
            ("203.0.113.9", "192.0.2.1", "203.0.113.9"),
            ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
            ("127.0.0.1", "192.0.2.66, 192.0.2.1", "192.0.2.1"),
            ("127.0.0.1", "192.0.2.66, 192.0.2.1, 10.1.1.1", "192.0.2.1"),
            ("::ffff:127.0.0.1", "2001:db8::1", "2001:db8::1"),
            ("::1", "192.0.2.66, [2001:db8::2]:4711, 10.1.1.1:80", "2001:db8::2"),
            ("127.0.0.1", "[2001:db8::1]", "2001:db8::1"),
            ("127.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
            ("127.0.0.1", "nobody", "127.0.0.1"),
            ("127.0.0.1", "[", "127.0.0.1"),
            ("127.0.0.1", "", "127.0.0.1"),
        ):
            self.assertEqual(self.callers.address(peer, forwarded), address, (peer, forwarded))

    def test_limit(self) -> None:
        """So many at once, then one a second; others are not concerned, nor is the proxy itself."""
        for _ in range(int(GUESSES)):
            self.callers.check("2001:db8::1")
            self.callers.refused("2001:db8::1")
            self.callers.refused("127.0.0.1")
        self.assertEqual(self.assertRaises(TooOften, self.callers.check, "2001:db8::2").after, 1)
        self.callers.check("2001:db8:0:1::1")
        self.callers.check("127.0.0.1")
        self.now += 1.0
        self.callers.check("2001:db8::1")
        self.callers.refused("2001:db8::1")
        self.assertRaises(TooOften, self.callers.check, "2001:db8::1")

    def test_at_the_desk(self) -> None:
        """Whoever guesses is told 429 with a time; who holds a slot is served, behind the same address too."""
        service = Service(self.mktemp(), callers=Callers(("192.168.0.0/16",), lambda: self.now))
        line = Line(service)
        for number in range(int(GUESSES) + 2):
            line.begin("PUT", f"/up/s/{number}?v={number:064x}", {"X-Forwarded-For": "192.0.2.1"})
        service.clock.advance(1)
        said = line.answers()
        self.assertEqual([each.status for each in said], [403] * int(GUESSES) + [429] * 2)
        self.assertEqual(said[-1].headers["retry-after"], "1")
        for path, address in (("s/a", "192.0.2.2"), ("s/b", "192.0.2.1")):
            answer = service.ask("PUT", slot(path, 3), {"X-Forwarded-For": address}, b"abc")
            self.assertEqual(answer.status, 201)
        self.assertEqual(service.ask("GET", "/up/s/a", {"X-Forwarded-For": "192.0.2.1"}).body, b"abc")
        self.assertEqual(service.shelf.counts["uploads_too_often"], 2)
