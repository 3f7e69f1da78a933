"""A home of ours at a coordinator of the original's kind."""

from __future__ import annotations

import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.legacy.homechannel import keys
from morphnet.legacy.homechannel.home import REFRESH, SILENT, OldHome
from morphnet.wire.batch import Endpoint
from tests.legacy.homechannel.case import ANSWER, OFFER, WALL, Coordinator
from tests.legacy.homechannel.original import OriginalBrowser, aes_key, encrypt

HERE = Endpoint("192.0.2.7", 4000)


class OldHomeTests(Coordinator):
    def setUp(self) -> None:
        super().setUp()
        self.home = self.make()
        self.admitted.add(self.home.name)
        self.offers: list[tuple[str, dict[str, Any]]] = []
        self.loses_up = lambda datagram: False
        self.up: list[bytes] = []
        self.down: list[bytes] = []

    def make(self, coordinator: Any = None) -> OldHome:
        signer = coordinator or self.signers[1]
        home = OldHome(os.urandom, lambda: WALL, Ed25519PrivateKey.generate(), "pw", keys.name_of(signer))
        home.send = self.to_coordinator
        home.offered = lambda session, payload: self.offers.append((session, payload))
        return home

    def to_coordinator(self, datagram: bytes) -> None:
        self.up.append(datagram)
        if not self.loses_up(datagram):
            self.servers.received(HERE, datagram, self.now)

    def to_server(self, where: Endpoint, datagram: bytes) -> None:
        self.down.append(datagram)
        if not self.loses(datagram):
            self.home.received(datagram, self.now)

    def runs(self, seconds: int) -> None:
        for _ in range(seconds):
            self.home.tick(self.now)
            self.now += 1
            self.servers.expire(self.now)

    def logs_in_here(self) -> bool:
        """Whether a browser of the original gets an answer whose signature is ours."""
        browser = self.browser_of(self.home)
        status, told = browser.connect(OFFER, WALL)
        self.assertEqual(status, 200, told)
        if not self.offers:
            return False
        session, payload = self.offers.pop()
        self.assertEqual(payload, OFFER)
        self.home.answer(session, ANSWER)
        return bool(browser.verified(browser.poll(told["sessionId"])[1]) == ANSWER)

    def browser_of(self, home: OldHome) -> OriginalBrowser:
        server: Any = type("Known", (), {"curves": type("Shown", (), {"shown": home.name})})
        return self.browser(server)

    def test_day(self) -> None:
        """It registers once, pings, refreshes its challenge, and is found at any time."""
        for _ in range(4):
            self.runs(650)
            self.assertTrue(self.logs_in_here())
        self.assertEqual(self.home.counts, {"homechannel_registrations": 1})
        self.assertEqual(sum(each[1] == 7 for each in self.up), 4)

    def test_lost_heartbeat(self) -> None:
        """With a coordinator that does not notice either: the next offer is read, and the challenge renewed."""
        self.runs(5)
        self.loses_up = lambda datagram: datagram[1] == 7
        self.runs(int(REFRESH))
        self.loses_up = lambda datagram: False
        self.assertTrue(self.logs_in_here())
        self.runs(20)
        self.assertEqual(sum(each[1] == 7 for each in self.up), 2)
        self.assertTrue(self.logs_in_here())
        self.assertEqual(self.home.counts["homechannel_registrations"], 1)

    def test_stray_error(self) -> None:
        """An 01 FF of anybody takes nothing away: the home stays reachable, whatever comes of asking again."""
        self.runs(5)
        self.loses = lambda datagram: datagram[1] in (2, 4, 5)
        for _ in range(20):
            self.home.received(b"\x01\xff", self.now)
        self.assertEqual((self.home.state, self.logs_in_here()), ("registered", True))
        self.assertEqual(sum(each[1] == 1 for each in self.up), 2)
        self.loses = lambda datagram: False
        self.runs(20)
        self.assertTrue(self.logs_in_here())

    def test_forged_migrate(self) -> None:
        """MIGRATE is not believed, not even from somebody who knows the key, as all do who have logged in."""
        self.runs(5)
        assert self.home._registered is not None
        said = {"type": "migrate", "payload": {"host": "203.0.113.9", "port": 1, "publicKey": self.home.name}}
        box = encrypt(bytes(32), said)
        real = encrypt(aes_key(self.home._registered.answer), said)
        sent = len(self.up)
        for each in (box, real):
            self.home.received(b"\x01\x09" + each, self.now)
        self.assertEqual((len(self.up), self.home.counts["homechannel_presumed"]), (sent, 2))
        self.assertTrue(self.logs_in_here())

    def test_another_coordinator(self) -> None:
        """One that cannot show the key which we know is told nothing of us."""
        self.home = self.make(Ed25519PrivateKey.generate())
        self.admitted.add(self.home.name)
        self.runs(60)
        self.assertEqual((self.home.state, len(self.servers)), ("registering", 0))
        self.assertEqual([each for each in self.up if each[1] == 5], [])

    def test_lost(self) -> None:
        """Whatever is lost, it is tried again; a coordinator that is gone for long is found again."""
        for kind in (1, 2, 3, 4, 5):
            gone: list[bytes] = []

            def once(datagram: bytes, kind: int = kind, gone: list[bytes] = gone) -> bool:
                return datagram[1] == kind and not gone and not gone.append(datagram)  # type: ignore[func-returns-value]

            self.loses = self.loses_up = once
            self.home = self.make()
            self.admitted.add(self.home.name)
            self.runs(30)
            self.assertEqual((self.home.state, len(gone)), ("registered", 1))
        self.loses = lambda datagram: True
        self.runs(int(SILENT) + 60)
        self.assertEqual(self.home.state, "registering")
        self.loses = lambda datagram: False
        self.runs(70)
        self.assertEqual((self.home.state, self.logs_in_here()), ("registered", True))

    def test_repeated(self) -> None:
        """A recorded offer is answered once."""
        self.runs(5)
        self.assertTrue(self.logs_in_here())
        sent = len(self.up)
        for datagram in list(self.down):
            self.home.received(datagram, self.now)
        self.assertEqual((self.offers, len(self.up) - sent), ([], 0))
