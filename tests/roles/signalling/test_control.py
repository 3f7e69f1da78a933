"""What both ends of the control link share; the rest is in test_control_client and test_control_server."""

from __future__ import annotations

from morphnet.roles.signalling.control_client import ClientLink
from morphnet.roles.signalling.control_server import ServerLink
from tests.roles.signalling.test_control_client import ControlTestCase


class LifeTests(ControlTestCase):
    """How long a link lives on which nobody says anything."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        self.listener.heard.clear()

    def test_keepalive(self) -> None:
        """A link on which nobody says anything lives on."""
        self.net.pass_by(600, 5)
        self.assertEqual(self.listener.heard, [])
        self.assertEqual(self.office.went, [])

    def test_one_end_pings(self) -> None:
        """While the client pings, the server only answers; a client that does not is pinged."""
        pings = list[float]()
        ping = ServerLink._ping

        def counted(link: ServerLink) -> None:
            pings.append(self.net.seconds())
            ping(link)

        self.patch(ServerLink, "_ping", counted)
        self.net.pass_by(120, 1)
        self.assertEqual((pings, self.listener.heard), ([], []))
        self.patch(ClientLink, "patience", 10.0)
        self.net.pass_by(60, 1)
        self.assertGreater(len(pings), 0)

    def test_silence(self) -> None:
        """Both ends notice within 40 s that the other is gone without a word."""
        pump = self.net.pumps.pop()
        self.net.advance(15)
        self.net.advance(24)
        self.assertEqual(self.listener.heard, [])
        self.net.advance(1.1)
        self.assertTrue(pump.clientIO.disconnecting)
        self.assertTrue(pump.serverIO.disconnecting)

    def test_prove(self) -> None:
        """A link that is doubted is dropped unless the peer answers in time."""
        assert self.client.link is not None
        self.client.link.prove(2.0)
        self.net.pass_by(3)
        self.assertEqual(self.listener.heard, [])
        pump = self.net.pumps.pop()
        self.client.link.prove(2.0)
        self.net.advance(1.9)
        self.assertFalse(pump.clientIO.disconnecting)
        self.net.advance(0.2)
        self.assertTrue(pump.clientIO.disconnecting)
