"""Who is called proves who it is before anything of ours begins."""

from __future__ import annotations

from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHandshakeListener, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.test.iosim import FakeTransport, IOPump
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from morphnet.net.proof import NotProven, proof_of, proving
from morphnet.net.tls import ClientTls, Identity
from tests.fakes_portal import HttpPortal, Portal, SilentPortal
from tests.fakes_tls import CLIENT, SERVER, FakeCa

PATIENCE = 7.0
WHERE = IPv4Address("TCP", "192.0.2.1", 8443)


@implementer(IHandshakeListener)
class Hello(Protocol):
    """Introduces itself as soon as it may, and remembers what happened."""

    made: list[Hello]

    def connectionMade(self) -> None:
        self.made.append(self)
        self.happened = ["connected"]

    def handshakeCompleted(self) -> None:
        self.happened.append("proven")
        self.transport.write(b"hello, I am laptop")  # type: ignore[union-attr]

    def connectionLost(self, reason: object = None) -> None:
        self.happened.append("lost")


class ProofTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.ca = Clock(), FakeCa()
        self.revoked = False
        self.identity = self.ca.identity("laptop", CLIENT)
        self.made: list[Hello] = []
        Hello.made = self.made

    def call(self, server: IProtocol) -> Deferred[IProtocol]:
        """A call that this one takes."""
        tls = ClientTls(self.identity, "gateway", lambda peer: self.revoked)
        factory = proving(tls, cast(IProtocolFactory, Factory.forProtocol(Hello)), self.clock, PATIENCE)
        client = factory.buildProtocol(WHERE)
        assert client is not None
        here, there = FakeTransport(client, False, peerAddress=WHERE), FakeTransport(server, True)
        server.makeConnection(there)
        client.makeConnection(here)
        self.pump = IOPump(client, server, here, there, False, clock=self.clock)
        return proof_of(client)

    def portal(self, identity: Identity | None = None) -> tuple[Portal, IProtocol]:
        """One with that certificate, and its end of a call."""
        portal = Portal(self.clock, identity)
        return portal, cast(IProtocol, portal.factory.buildProtocol(WHERE))

    def trouble(self, server: IProtocol) -> tuple[str, bool]:
        """Why a call fails, and whether it was a stranger who took it; nothing of it is left."""
        calling = self.call(server)
        self.pump.flush()
        found = self.failureResultOf(calling, NotProven).value
        self.assertEqual((self.made, self.clock.getDelayedCalls()), ([], []))
        return str(found), found.stranger

    def test_proven(self) -> None:
        """The protocol is built once the server has proved who it is; all that follows is between the two."""
        portal, server = self.portal(self.ca.identity("gateway", SERVER))
        calling = self.call(server)
        self.assertEqual(self.made, [])
        self.pump.flush()
        self.assertEqual(self.made, [self.successResultOf(calling)])
        self.assertEqual((portal.shown, portal.heard), ({"laptop"}, b"hello, I am laptop"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.pump.serverIO.loseConnection()
        self.pump.flush()
        self.assertEqual(self.made[0].happened, ["connected", "proven", "lost"])

    def test_nothing_shown_before(self) -> None:
        """One with a certificate of others asks for ours, and sees neither it nor a word (RFC 8446 section 2)."""
        for identity, why in (
            (None, "certificate of a foreign CA"),
            (FakeCa().identity("gateway", SERVER), "certificate with a wrong signature"),
        ):
            portal, server = self.portal(identity)
            self.assertEqual(self.trouble(server), (why, True))
            self.assertEqual((portal.shown, portal.heard), (set(), b""))

    def test_own_but_wrong(self) -> None:
        """A server of our network whose certificate does not do is no stranger, and is shown as little."""
        for identity, why in (
            (self.ca.identity("gateway", SERVER, days=(-2, -1)), "certificate expired"),
            (self.ca.identity("other", SERVER), "certificate of another name"),
            (self.ca.identity("gateway", CLIENT), "certificate of a wrong usage"),
        ):
            portal, server = self.portal(identity)
            self.assertEqual(self.trouble(server), (why, False))
            self.assertEqual((portal.shown, portal.heard), (set(), b""))
        self.revoked = True
        portal, server = self.portal(self.ca.identity("gateway", SERVER))
        self.assertEqual(self.trouble(server), ("certificate revoked", False))
        self.assertEqual((portal.shown, portal.heard), (set(), b""))

    def test_no_tls(self) -> None:
        """A web server that knows no TLS is a stranger."""
        why, stranger = self.trouble(HttpPortal())
        self.assertTrue(stranger, why)

    def test_silent(self) -> None:
        """One that takes the call and says nothing is hung up on in time, and may be anybody."""
        calling = self.call(SilentPortal())
        self.pump.flush()
        self.clock.advance(PATIENCE)
        self.pump.flush()
        trouble = self.failureResultOf(calling, NotProven).value
        self.assertEqual((str(trouble), trouble.stranger), ("handshake took too long", False))
        self.assertTrue(self.pump.clientIO.disconnected)

    def test_cut(self) -> None:
        """A connection that breaks says nothing of who was there."""
        calling = self.call(SilentPortal())
        self.pump.serverIO.loseConnection()
        self.pump.flush()
        self.assertFalse(self.failureResultOf(calling, NotProven).value.stranger)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_given_up(self) -> None:
        """A call that is given up hangs up, whatever the other end would have proved."""
        portal, server = self.portal(self.ca.identity("gateway", SERVER))
        calling = self.call(server)
        calling.cancel()
        self.pump.flush()
        self.failureResultOf(calling, CancelledError, NotProven)
        self.assertEqual((portal.shown, portal.heard, self.made), (set(), b"", []))
        self.assertEqual((self.pump.clientIO.disconnected, self.clock.getDelayedCalls()), (True, []))
