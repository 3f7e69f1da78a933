"""
Many nodes of one relay in one process: each has its own certificate, name, address and line, from the node's own code.

    python -m tests.bench.relay_crowd PKI_DIR RELAY COUNT [*]

With "*" each wants to know of all the others, and what is told is read once however often it comes: this process is
all of their machines.

Reads a line for what to do and answers with a line of JSON each:

    connect               everybody calls, AT_ONCE at a time: how many are registered, and seconds
    rest SECONDS          only what an idle node does; of how many others all together have been told
    send SECONDS SIZE N   the first sends the second envelopes of N datagrams of SIZE bytes, as fast as the line takes
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from twisted.internet import reactor as _reactor
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

from morphnet.net.dial import Destination
from morphnet.net.ondevice import Source
from morphnet.net.tls import ClientTls, Identity
from morphnet.pki.authority import Authority, as_pem
from morphnet.pki.files import load_authority
from morphnet.roles.signalling import relay_client
from morphnet.roles.signalling.relay_client import RelayClient
from morphnet.wire.batch import Arrival
from morphnet.wire.messages.relay import DATAGRAMS, Asked, Drain, Notice, Present, Register, Registered, Renewed, bundle
from morphnet.wire.messages.revocations import Listing

reactor = cast(Any, _reactor)
AT_ONCE = 16
PATIENCE = 300.0  # seconds until whoever is not registered is given up
AGAIN = 0.5  # seconds until one that was not let in calls again
TURN = 0.0  # seconds between two looks whether the line takes more
BURST = 64  # envelopes in a turn at most


class Node:
    """One of them; only the first two know each other, unless it watches others."""

    def __init__(self, number: int, relay: str, tls: ClientTls, crowd: Crowd, watch: tuple[str, ...]) -> None:
        self.number, self._crowd, self._watch = number, crowd, watch
        self.registered_once = False
        source = f"198.18.{number // 250}.{number % 250 + 1}"
        self.client = RelayClient(reactor, tls, Destination(relay, 443, lambda: [Source("", source)]), number, self)
        self.messages = self.bytes = 0

    def register(self) -> Register:
        """Its name, a new instance, and whom to watch: as it is told, or the first two each other."""
        watch = self._watch or ((f"n{1 - self.number}",) if self.number < 2 else ())
        return Register(f"n{self.number}", os.urandom(8).hex(), watch, news=True)

    @property
    def known(self) -> int:
        """How many others it has been told of."""
        return len(self.client.peers) + self.client.unheeded

    def registered(self, relay: RelayClient, answer: Registered) -> None:
        self.registered_once = True
        self._crowd.next()

    def refused(self, relay: RelayClient, reason: str, retry_after: float | None) -> None:
        print(reason, file=sys.stderr)
        self._crowd.next()

    def failed(self, relay: RelayClient, reason: str) -> None:
        print(reason, file=sys.stderr)
        reactor.callLater(AGAIN, self.client.connect)

    def lost(self, relay: RelayClient, reason: str) -> None:
        pass

    def present(self, relay: RelayClient, peer: Present) -> None:
        pass

    def absent(self, relay: RelayClient, name: str) -> None:
        pass

    def said(self, relay: RelayClient, message: Drain | Renewed | Notice | Asked | Listing) -> None:
        pass

    def handshake(self, relay: RelayClient, name: str, content: bytes) -> None:
        pass

    def called(self, relay: RelayClient, name: str) -> None:
        pass

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            self.messages += 1
            self.bytes += len(arrival.data)


class Crowd(LineReceiver):
    """Does what the lines on stdin say."""

    delimiter = b"\n"

    def __init__(self, pki_dir: Path, relay: str, count: int, *watch: str) -> None:
        authority, now = load_authority(pki_dir), time.time()
        key = generate_private_key(SECP256R1())  # one for all: only the certificates differ
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.nodes = [Node(n, relay, self._tls(authority, key, pem, n, now, relay), self, watch) for n in range(count)]
        if watch:
            relay_client.decode = lru_cache(1 << 12)(relay_client.decode)  # type: ignore[attr-defined]
        self._waiting = list(self.nodes)

    @staticmethod
    def _tls(authority: Authority, key: Any, pem: bytes, number: int, now: float, relay: str) -> ClientTls:
        certificate = as_pem(authority.client(key.public_key(), f"n{number}", now=now))
        return ClientTls(Identity(certificate, pem, as_pem(authority.certificate)), relay)

    def connectionMade(self) -> None:
        self.say(ready=len(self.nodes))

    def connectionLost(self, reason: object = None) -> None:
        reactor.stop()

    def lineReceived(self, line: bytes) -> None:
        word, *rest = line.decode().split()
        if word == "connect":
            self._began = time.monotonic()
            for _ in range(AT_ONCE):
                self.next()
            self._look()
        elif word == "rest":
            reactor.callLater(float(rest[0]), self._rested)
        else:
            self._content = bundle(os.urandom(int(rest[1]) * int(rest[2])), int(rest[1]))
            self._ends = time.monotonic() + float(rest[0])
            self._before = self.nodes[1].messages, self.nodes[1].bytes
            self._send()

    def say(self, **words: object) -> None:
        """A line of JSON."""
        self.sendLine(json.dumps(words).encode())

    def _rested(self) -> None:
        self.say(known=sum(node.known for node in self.nodes))

    def next(self) -> None:
        """Another one may call."""
        if self._waiting:
            self._waiting.pop().client.connect()

    def _look(self) -> None:
        there, passed = sum(node.registered_once for node in self.nodes), time.monotonic() - self._began
        if there == len(self.nodes) or passed > PATIENCE:
            self.say(registered=there, seconds=round(passed, 3))
        else:
            reactor.callLater(0.02, self._look)

    def _send(self) -> None:
        line = self.nodes[0].client
        for _ in range(BURST):
            if not line.post("n1", DATAGRAMS, self._content):
                break
        if time.monotonic() < self._ends:
            reactor.callLater(TURN, self._send)
        else:
            messages, size = self._before
            self.say(messages=self.nodes[1].messages - messages, bytes=self.nodes[1].bytes - size)


if __name__ == "__main__":
    StandardIO(Crowd(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
    reactor.run()
