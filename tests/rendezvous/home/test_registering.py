"""A home that wants to be registered, and stay so."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from morphnet.rendezvous.home.registering import PING_AGAIN, PINGS
from morphnet.rendezvous.home.registry import KEEPALIVE
from morphnet.wire.messages.home import datagrams
from tests.rendezvous.home.case import HomeTestCase


class RegisteringTests(HomeTestCase):
    def test_hour(self) -> None:
        """Registered once, it stays so, with a ping every KEEPALIVE and nothing else."""
        self.register()
        self.up.clear()
        for _ in range(36000):
            self.clock.advance(0.1)
            self.registry.expire()
        self.assertIn(len(self.up), range(3600 // KEEPALIVE - 4, 3600 // KEEPALIVE + 1))
        self.assertEqual(self.home.counts, {"home_registrations": 1})

    def test_lost_heartbeats(self) -> None:
        """One lost ping, or pong, or several in a row: it stays registered."""
        self.register()
        for lost in range(1, PINGS):
            gone: list[bytes] = []
            self.loses = lambda datagram, gone=gone, lost=lost: len(gone) < lost and not gone.append(datagram)  # type: ignore[misc]
            self.wait(KEEPALIVE + PINGS * PING_AGAIN)
        self.assertEqual((self.home.state, self.home.counts["home_registrations"]), ("registered", 1))

    def test_first_datagrams_lost(self) -> None:
        """Whichever one of the handshake is lost, another attempt is made."""
        for kind in (datagrams.HELLO, datagrams.COOKIE, datagrams.REGISTER, datagrams.ACCEPT, datagrams.SEALED):
            gone: list[bytes] = []
            self.loses = lambda datagram, kind=kind, gone=gone: (
                datagram[2] == kind and not gone and not gone.append(datagram)
            )  # type: ignore[misc]
            self.home.stop()
            self.home.start()
            self.wait(6.0)
            self.assertEqual((self.home.state, len(gone)), ("registered", 1))
            self.assertIn(self.key, self.registry)

    def test_coordinator_restarts(self) -> None:
        """A coordinator that has forgotten it is told again."""
        self.register()
        self.registry = self.make_registry()
        self.wait(KEEPALIVE + PINGS * PING_AGAIN + 1)
        self.assertEqual(self.home.counts["home_registrations"], 2)
        self.assertIn(self.key, self.registry)

    def test_forged(self) -> None:
        """Whatever comes from the coordinator's address without its key changes nothing."""
        self.register()
        for datagram in (
            b"\x01\xff",
            b"\xc7\x01\x05" + bytes(60),
            datagrams.encode(datagrams.Accept(bytes(8), bytes(60))),
        ):
            self.home.received(datagram)
        for datagram in list(self.down):
            self.home.received(datagram)
        self.wait(60.0)
        self.assertEqual((self.home.state, self.home.counts["home_registrations"]), ("registered", 1))

    def test_another_coordinator(self) -> None:
        """One with another key is not believed."""
        self.coordinator = X25519PrivateKey.generate()
        self.registry = self.make_registry()
        self.home.start()
        self.wait(20.0)
        self.assertEqual((self.home.state, len(self.registry)), ("registering", 0))
