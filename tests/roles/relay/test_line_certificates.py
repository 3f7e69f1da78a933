"""The relay's port: servers that bring lists of what is revoked, and certificates that end."""

from __future__ import annotations

import time

from morphnet.net.tls import Identity
from morphnet.rendezvous.relay.registry import COME_AGAIN
from morphnet.roles.relay import lines
from morphnet.wire.messages.relay import DATAGRAMS, Register, Registered, TurnedAway, Watch, address, encode
from morphnet.wire.messages.revocations import Revocations
from tests.fakes_relay import FakeListener, Raw, RelayTestCase
from tests.fakes_tls import CLIENT, SERVER, serial_of


class CertificateTests(RelayTestCase):
    """Servers that bring lists of what is revoked, and certificates that end."""

    def bring(self, identity: Identity | None = None) -> Raw:
        """A server that has said its first word."""
        raw = self.raw(identity or self.ca.identity("gateway", SERVER))
        raw.say(encode(Register("gateway", "0" * 16, ("*",), revocations=5)))
        self.net.settle()
        return raw

    def test_server_brings_a_list(self) -> None:
        """A server is told which list the relay has, and what it says of lists is heard; nobody else sees it."""
        _, at_laptop = self.node("laptop")
        self.lists.told.clear()
        raw = self.bring()
        (answer,) = raw.messages()
        assert isinstance(answer, Registered)
        raw.say(encode(Revocations("CRL")))
        self.net.settle()
        self.assertEqual(self.lists.told, [("joined", "gateway", 5), ("heard", "gateway", Revocations("CRL"))])
        self.assertEqual(([guest.name for guest in self.registry.members], at_laptop.heard), (["laptop"], []))

    def test_server_is_no_guest(self) -> None:
        """A server that watches somebody, or sends anything, is dropped."""
        number = 7
        for message, binary in ((encode(Watch(("laptop",))), False), (address(number, DATAGRAMS, b"x"), True)):
            raw = self.bring()
            raw.say(message, binary=binary)
            self.net.pass_by(3)
            self.assertTrue(raw.gone)
        self.assertEqual(self.lists.told[-1], ("left", "gateway"))

    def test_lines_of_a_server(self) -> None:
        """One server has so many lines and no more: the oldest goes, most likely dead; others have theirs."""
        self.patch(lines, "MOST_OF_A_SERVER", 2)
        first, *others = (self.bring() for _ in range(3))
        second = self.raw(self.ca.identity("second", SERVER))
        second.say(encode(Register("second", "0" * 16)))
        self.net.pass_by(3)
        self.assertEqual([each.gone for each in (first, *others, second)], [True, False, False, False])
        others[0].dropConnection(abort=True)
        self.net.settle()
        later = self.bring()
        self.net.pass_by(3)
        self.assertEqual([others[1].gone, later.gone, self.relay.counters()["lines"]], [False, False, 3])
        for each in (others[1], later, second):
            each.dropConnection(abort=True)
        self.net.settle()
        self.assertEqual(self.relay._servers, {})

    def test_revoked_since_the_handshake(self) -> None:
        """A server that was revoked meanwhile is turned away, and one that is there already is hung up on."""
        identity = self.ca.identity("gateway", SERVER)
        raw = self.bring(identity)
        network = next(line.network for line in self.relay._lines.values() if line is not None)
        self.registry.revoke(network, [serial_of(identity)], 6)
        self.relay.end_revoked()
        self.net.pass_by(3)
        self.assertTrue(raw.gone)
        self.assertIn(TurnedAway("certificate revoked", COME_AGAIN), self.bring(identity).messages())

    def test_expired(self) -> None:
        """A line ends with its certificate, and so does what others see of the node."""
        wall = time.time()
        long, short = self.ca.identity("phone", CLIENT, days=(-1, 30)), self.ca.identity("laptop", CLIENT)
        nodes = [self.node_of(identity, name) for identity, name in ((long, "phone"), (short, "laptop"))]
        self.relay.end_expired(wall + 3600)
        self.assertEqual(len(self.registry.members), 2)
        self.relay.end_expired(wall + 2 * 86400)
        self.assertEqual([guest.name for guest in self.registry.members], ["phone"])
        self.net.pass_by(3)
        self.assertEqual([listener.heard[-1][0] for listener in nodes], ["absent", "lost"])

    def node_of(self, identity: Identity, name: str) -> FakeListener:
        """A node with that certificate that is registered."""
        listener = FakeListener(name)
        self.client(listener, identity).connect()
        self.net.settle()
        self.assertEqual(listener.heard[0], ("registered",))
        return listener
