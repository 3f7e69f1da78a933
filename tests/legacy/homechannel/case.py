"""A coordinator for the original's home servers and browsers, and a wire to it that can lose."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from morphnet.legacy.homechannel.boxes import stringify
from morphnet.legacy.homechannel.keys import plain
from morphnet.legacy.homechannel.servers import Servers
from morphnet.legacy.homechannel.signalling import Signalling
from morphnet.wire.batch import Endpoint
from tests.legacy.homechannel.original import Curves, OriginalBrowser, OriginalServer

WALL = 1_700_000_000_000
GENERATIONS = ("p256", "ed25519", "ed448")
OFFER = {"sdp": {"type": "offer", "sdp": "v=0\r\n"}, "candidates": [{"candidate": "a=1 é", "sdpMLineIndex": 0}]}
ANSWER = {"sdp": {"type": "answer", "sdp": "v=0\r\n"}, "candidates": [], "z": 1.5, "a": [True, None]}


class Coordinator(SynchronousTestCase):
    """Whoever is in `admitted` may register; `limits` are things that nobody may do."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.signers = (ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate())
        self.admitted: set[str] = set()
        self.told: list[str] = []
        self.limits: set[str] = set()
        self.spent: list[tuple[str, str]] = []
        self.loses: Callable[[bytes], bool] = lambda datagram: False
        self.wires: dict[tuple[str, int], OriginalServer] = {}
        self.ports = itertools.count(5000)
        self.servers = Servers(os.urandom, lambda: WALL, self.signers, lambda name: name in self.admitted, 5)
        self.servers.send = self.to_server
        self.servers.told = lambda name, text: self.told.append(text)
        self.signalling = Signalling(self.servers, os.urandom, lambda: WALL, self.may, self.spend)

    def may(self, what: str, who: str) -> bool:
        return what not in self.limits

    def spend(self, what: str, who: str) -> None:
        self.spent.append((what, who))

    def to_server(self, where: Endpoint, datagram: bytes) -> None:
        server = self.wires.get(where[:2])
        if server is not None and not self.loses(datagram):
            server.received(datagram)

    def server(self, generation: str = "ed25519", *, admitted: bool = True) -> OriginalServer:
        """One at an address of its own, which has pinned our key; it is registered if it is admitted."""
        curves = Curves(generation)
        if admitted:
            self.admitted.add(plain(curves.shown))
        signer: Any = self.signers[0 if generation == "p256" else 1]
        pem = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        server = OriginalServer(lambda datagram: None, curves, coordinator=pem)
        self.moves(server)
        server.hello()
        return server

    def moves(self, server: OriginalServer) -> Endpoint:
        """It is behind another port from now on."""
        where = Endpoint("192.0.2.7", next(self.ports))
        self.wires = {place: each for place, each in self.wires.items() if each is not server}
        self.wires[where[:2]] = server
        server._send = lambda datagram: (
            None if self.loses(datagram) else self.servers.received(where, datagram, self.now)
        )
        return where

    def browser(self, server: OriginalServer, password: str = "pw") -> OriginalBrowser:
        def post(path: str, value: object) -> tuple[int, Any]:
            return self.signalling.asked(path, stringify(value).encode(), "198.51.100.1", self.now)

        return OriginalBrowser(post, server.curves.shown, password)

    def logs_in(self, server: OriginalServer) -> bool:
        """Whether a browser gets an answer now; the server answers at once what it can read."""
        browser = self.browser(server)
        status, told = browser.connect(OFFER, WALL)
        self.assertEqual(status, 200, told)
        if not server.offers:
            return False
        offer = server.offers.pop()
        self.assertEqual((offer["sessionId"], offer["payload"]), (told["sessionId"], OFFER))
        server.reply(offer["sessionId"], ANSWER)
        status, told = browser.poll(told["sessionId"])
        self.assertEqual((status, browser.verified(told)), (200, ANSWER))
        return True

    def passes(self, seconds: float, *servers: OriginalServer) -> None:
        """Time, in which servers ping as the original does."""
        for _ in range(int(seconds // 30)):
            self.now += 30
            for server in servers:
                server.ping()
            self.servers.expire(self.now)
            self.signalling.expire(self.now)
