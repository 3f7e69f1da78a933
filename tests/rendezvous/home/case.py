"""A coordinator's registry and a home, joined by a wire that can lose."""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.rendezvous.home.registering import HomeKeys, Registering
from morphnet.rendezvous.home.registry import Registry
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.home.calls import Call, Reply, to_text

HERE = Endpoint("192.0.2.7", 4000)


class Guests:
    """Lets in who has an invitation, or had one."""

    def __init__(self) -> None:
        self.invites, self.known = {"come-in"}, set[str]()

    async def admit(self, home: str, invite: str) -> None:
        if home not in self.known:
            if invite not in self.invites:
                raise Refused("no invitation")
            self.invites.remove(invite)
            self.known.add(home)


class HomeTestCase(SynchronousTestCase):
    """A home at HERE that is registered by `register`; `up` and `down` keep what went over the wire."""

    def setUp(self) -> None:
        self.clock, self.guests = Clock(), Guests()
        self.coordinator = X25519PrivateKey.generate()
        self.registry = self.make_registry()
        self.identity = Ed25519PrivateKey.generate()
        self.key = to_text(self.identity.public_key().public_bytes_raw())
        self.where = HERE
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.loses: Callable[[bytes], bool] = lambda datagram: False
        self.calls: list[Call] = []
        self.replies: list[tuple[str, Reply]] = []
        self.home = self.make_home("come-in")

    def make_registry(self) -> Registry:
        registry = Registry(self.clock, os.urandom, self.coordinator, self.guests, 2)
        registry.send = self.to_home
        registry.replied = lambda home, reply: self.replies.append((home, reply))
        return registry

    def make_home(self, invite: str) -> Registering:
        keys = HomeKeys(self.identity, self.coordinator.public_key().public_bytes_raw(), invite)
        home = Registering(self.clock, os.urandom, lambda: int(self.clock.seconds() * 1000), keys, self.calls.append)
        home.send = self.to_coordinator
        return home

    def to_home(self, where: Endpoint, datagram: bytes) -> None:
        self.down.append(datagram)
        if not self.loses(datagram) and where == self.where:
            self.clock.callLater(0.01, lambda: self.home.received(datagram))

    def to_coordinator(self, datagram: bytes) -> None:
        self.up.append(datagram)
        where = self.where
        if not self.loses(datagram):
            self.clock.callLater(0.01, lambda: self.registry.received(where, datagram))

    def wait(self, seconds: float) -> None:
        """Let time pass, in small steps."""
        self.clock.pump([0.01] * int(seconds * 100))

    def register(self) -> None:
        self.home.start()
        self.wait(0.2)
        self.assertEqual(self.home.state, "registered")
        self.assertIn(self.key, self.registry)
