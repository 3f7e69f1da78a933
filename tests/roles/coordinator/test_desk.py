"""What browsers are answered."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.http import HttpFactory
from morphnet.roles.coordinator.calls import Absent, TooMany
from morphnet.roles.coordinator.desk import LONGEST, Desk
from morphnet.roles.coordinator.pages import Page
from morphnet.wire.messages.home.invitation import Invitation

HOME = "h" * 43


class Answers:
    """In the place of Calls."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.trouble: Exception | None = None

    async def ask(self, home: str, caller: str, body: str) -> str:
        self.asked.append((home, caller, body))
        if self.trouble is not None:
            raise self.trouble
        return "answer"


class DeskTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.calls = Answers()
        self.desk = self.make(proxied=False)

    def make(self, *, proxied: bool) -> Desk:
        page = Page(b"<html>", {"ETag": '"mark"', "Content-Type": "text/html"})
        calls: Any = self.calls
        return Desk({"/": page}, calls, 3478, proxied=proxied)

    def ask(self, words: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Status and body of the answer to one request, as "GET /"."""
        transport = StringTransport()
        channel = HttpFactory(self.desk.answer, Clock(), 60.0).buildProtocol(None)
        channel.makeConnection(transport)
        lines = [
            f"{words} HTTP/1.1",
            "Host: x",
            *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items()),
        ]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)
        self.answer, _, rest = transport.value().partition(b"\r\n\r\n")
        return int(self.answer.split()[1]), rest

    def headers(self, words: str, body: bytes = b"", **headers: str) -> bytes:
        """Those of the answer."""
        self.ask(words, body, **headers)
        return bytes(self.answer)

    def call(self, body: object, **headers: str) -> tuple[int, bytes]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST /api/call", raw, **{"Content_Type": "application/json", **headers})

    def test_page(self) -> None:
        """The page, once; then only that it is the same."""
        self.assertEqual(self.ask("GET /"), (200, b"<html>"))
        self.assertEqual(self.ask("GET /", If_None_Match='"mark"')[0], 304)
        self.assertEqual(self.ask("GET /../../etc/passwd")[0], 404)
        self.assertEqual(self.ask("GET /api/coordinator"), (200, b'{"stun": 3478, "others": []}'))
        self.assertEqual(self.ask("DELETE /")[0], 405)
        self.assertEqual(self.ask("GET /api/call")[0], 405)

    def test_call(self) -> None:
        """What the home answers, and who asked."""
        self.assertEqual(self.call({"home": HOME, "body": "e30"}), (200, b'{"body": "answer"}'))
        self.assertEqual(self.calls.asked, [(HOME, "192.168.1.1", "e30")])

    def test_proxy(self) -> None:
        """Who asked is what a proxy says, only if there is one."""
        said = "203.0.113.1, 198.51.100.7"
        self.call({"home": HOME, "body": "e30"}, X_Forwarded_For=said)
        self.desk = self.make(proxied=True)
        self.call({"home": HOME, "body": "e30"}, X_Forwarded_For=said)
        self.assertEqual([caller for _, caller, _ in self.calls.asked], ["192.168.1.1", "198.51.100.7"])

    def test_others(self) -> None:
        """The page of a fallback may call here, and is told that it may; no other page is."""
        self.desk.name((Invitation("b.example:3478", "", "https://b.example/page", ""),))
        for origin, allowed in (("https://b.example", True), ("https://c.example", False), ("", False)):
            headers = self.headers("OPTIONS /api/call", Origin=origin)
            self.assertEqual(b"Access-Control-Allow-Origin: https://b.example" in headers, allowed)
            self.assertNotIn(b"-Origin: *", headers)
        told = [{"page": "https://b.example/page", "stun": "stun:b.example:3478"}]
        self.assertEqual(json.loads(self.ask("GET /api/coordinator")[1])["others"], told)
        call = json.dumps({"home": HOME, "body": "e30"}).encode()
        said = self.headers("POST /api/call", call, Origin="https://b.example", Content_Type="application/json")
        self.assertIn(b"Access-Control-Allow-Origin: https://b.example", said)

    def test_welcome(self) -> None:
        """A page that the operator has named may call and ask for the coordinator, and comes into nobody's policy."""
        calls: Any = self.calls
        page = Page(b"<html>", {"ETag": '"mark"', "Content-Security-Policy": "connect-src 'self'"})
        self.desk = Desk({"/": page}, calls, 3478, proxied=False, welcome=("http://127.0.0.1:8090",))
        for origin, allowed in (("http://127.0.0.1:8090", True), ("http://127.0.0.1:8091", False)):
            for words in ("OPTIONS /api/call", "GET /api/coordinator"):
                said = self.headers(words, Origin=origin)
                self.assertEqual(b"Access-Control-Allow-Origin: http://127.0.0.1:8090" in said, allowed)
        self.assertNotIn(b"127.0.0.1", self.headers("GET /"))

    def test_refused(self) -> None:
        """Each trouble has its status."""
        for trouble, status in ((Absent("not here"), 404), (TooMany(7), 429)):
            self.calls.trouble = trouble
            self.assertEqual(self.call({"home": HOME, "body": "e30"})[0], status)

    def test_malformed(self) -> None:
        """What makes no sense reaches no home."""
        malformed: tuple[object, ...] = (
            [],
            {},
            {"home": HOME},
            {"home": "x", "body": "e30"},
            {"home": HOME, "body": "{}"},
            b"{",
            b"[" * 9999,
        )
        for wrong in malformed:
            self.assertEqual(self.call(wrong)[0], 400)
        self.assertEqual(self.call({"home": HOME, "body": "e30"}, Content_Type="text/plain")[0], 415)
        self.assertEqual(self.call(bytes(LONGEST + 1))[0], 413)
        self.assertEqual(self.calls.asked, [])

    @given(st.binary(min_size=1, max_size=200))
    def test_garbage(self, garbage: bytes) -> None:
        """It is malformed."""
        self.assertEqual(self.call(garbage)[0], 400)
