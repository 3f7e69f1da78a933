"""The original HomeChannel at this coordinator."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.home import CoordinatorConfig
from morphnet.config.homechannel import HomeChannelConfig, OldHomesConfig
from morphnet.errors import ConfigError
from morphnet.legacy.homechannel.keys import sign
from morphnet.legacy.homechannel.signalling import LONGEST
from morphnet.net.http import HttpFactory
from morphnet.roles.coordinator.homechannel import RATES, HomeChannel, read_or_make
from morphnet.wire.batch import Endpoint
from tests.legacy.homechannel.case import ANSWER, OFFER
from tests.legacy.homechannel.original import Curves, OriginalBrowser, OriginalServer

HERE = Endpoint("192.0.2.7", 4000)


class HomeChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.clock, self.told = Clock(), list[str]()
        self.clock.advance(1000)
        self.curves = Curves("ed25519")
        self.config = CoordinatorConfig(
            state_dir=self.state,
            legacy=OldHomesConfig(HomeChannelConfig(enabled=True, homes=(self.curves.shown,))),
        )
        self.old = self.make()

    def make(self, **changed: Any) -> HomeChannel:
        config = replace(self.config, **changed)
        return HomeChannel(self.clock, config, lambda kind, name, text: self.told.append(text))

    def server(self, curves: Curves) -> OriginalServer:
        pem = (self.state / "homechannel.pub").read_text()
        server = OriginalServer(lambda datagram: self.old.received(HERE, datagram), curves, coordinator=pem)
        self.old.servers.send = lambda where, datagram: server.received(datagram)
        server.hello()
        return server

    def ask(self, words: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, bytes]:
        """Status, headers and body of the answer to one request."""
        transport = StringTransport()
        channel = HttpFactory(self.old.answer, Clock(), 60.0).buildProtocol(None)
        channel.makeConnection(transport)
        length = [f"Content-Length: {len(body)}"] if body else []
        lines = [f"{words} HTTP/1.1", "Host: x", *length, *(f"{name}: {text}" for name, text in headers.items())]
        channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)
        head, _, rest = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), head, rest

    def browser(self) -> OriginalBrowser:
        def post(path: str, value: object) -> tuple[int, Any]:
            status, _, body = self.ask(f"POST {path}", json.dumps(value).encode())
            return status, json.loads(body)

        return OriginalBrowser(post, self.curves.shown)

    def test_log_in(self) -> None:
        """A server that has pinned our key, and a browser that verifies the server's."""
        server, browser = self.server(self.curves), self.browser()
        session = browser.connect(OFFER, int(time.time() * 1000))[1]["sessionId"]
        server.reply(session, ANSWER)
        self.assertEqual(browser.verified(browser.poll(session)[1]), ANSWER)
        self.assertEqual(self.told, ["a HomeChannel server has registered"])
        counts = self.old.counters()
        self.assertEqual((counts["homechannel_servers"], counts["homechannel_offers"]), (1, 1))

    def test_turned_away(self) -> None:
        """A server that is not listed is told of once, with its key; where all may come it is let in."""
        stranger = Curves("ed25519")
        for _ in "12":
            self.server(stranger)
        (told,) = self.told
        self.assertIn(stranger.shown, told)
        self.old = self.make(open=True)
        self.assertEqual(self.server(stranger).state, "registered")

    def test_keys(self) -> None:
        """They are made for their owner alone, and stay; the original's own are taken; others are refused."""
        first = read_or_make(self.state)
        again = read_or_make(self.state)
        self.assertEqual([sign(each, b"x") for each in again[1:]], [sign(each, b"x") for each in first[1:]])
        file = self.state / "homechannel.key"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        form: Any = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(Ed448PrivateKey.generate().private_bytes(*form))
        self.assertIsInstance(read_or_make(self.state)[1], Ed448PrivateKey)
        for wrong in (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)):
            file.write_bytes(wrong.private_bytes(*form))
            self.assertRaises(ConfigError, read_or_make, self.state)
        file.write_text("x")
        self.assertRaises(ConfigError, read_or_make, self.state)

    def test_http(self) -> None:
        """What every answer has, the frame and its script, and what is refused."""
        for words, status in (
            ("OPTIONS /api/poll", 200),
            ("GET /iframe.html", 200),
            ("GET /iframe.js", 200),
            ("GET /", 404),
            ("POST /api/nothing", 404),
            ("DELETE /api/poll", 404),
        ):
            found, head, _ = self.ask(words, b"{}" if words.startswith("POST") else b"")
            self.assertEqual(found, status, words)
            for name, value in (
                ("Allow-Origin", "*"),
                ("Allow-Methods", "GET, POST, OPTIONS"),
                ("Allow-Headers", "Content-Type"),
                ("Max-Age", "86400"),
            ):
                self.assertIn(f"Access-Control-{name}: {value}\r\n".encode(), head + b"\r\n")
        self.assertEqual(self.ask("POST /api/poll", bytes(LONGEST + 1))[0], 413)
        self.assertEqual(self.ask("POST /api/poll", b"{")[0], 400)

    def test_guesses(self) -> None:
        """After some wrong answers nobody may try that server for a while, from whatever address."""
        self.server(self.curves)
        browser = self.browser()
        browser.password = "wrong"
        now = int(time.time() * 1000)
        statuses = [browser.connect(OFFER, now)[0] for _ in range(int(RATES["guess"][0]) + 2)]
        self.assertEqual(statuses, [403] * int(RATES["guess"][0]) + [429] * 2)
        browser.password = "pw"
        self.assertEqual(browser.connect(OFFER, now)[0], 429)
        self.clock.advance(61)
        for _ in "12":
            self.old.received(HERE, b"\x01\x06")
        self.assertEqual(browser.connect(OFFER, now)[0], 200)

    def test_agreements(self) -> None:
        """One address cannot make us compute without end."""
        servers = [self.server(Curves("ed25519")) for _ in range(40)]
        answered = sum(hasattr(each, "shared") for each in servers)
        self.assertEqual((answered, self.old.counters()["homechannel_refused"]), (20, 40))
        self.old.expire()
        self.assertEqual(os.listdir(self.state).count("homechannel.key"), 1)
