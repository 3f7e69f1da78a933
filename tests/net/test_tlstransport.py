"""Ends of TLS that go before the handshake is over."""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol

from morphnet.net.tls import ClientTls
from tests.net.test_control_server import PortTestCase


class GoodbyeTests(PortTestCase):
    """Theirs and ours."""

    def test_no_knock(self) -> None:
        """Who does not know the CA sees a connection that is closed: no certificate, and no word of why."""
        caller, raw = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None), self.stranger()
        caller.set_connect_state()
        caller.set_tlsext_host_name(b"www.example.org")
        self.assertRaises(SSL.WantReadError, caller.do_handshake)
        raw.say(caller.bio_read(1 << 16))
        self.net.settle()
        caller.bio_write(raw.received)
        self.assertRaises(SSL.ZeroReturnError, caller.do_handshake)
        self.assertEqual((caller.get_peer_cert_chain(), raw.gone), (None, True))
        self.assertEqual(self.server.complaints.counts, {"no knock": 1})

    def test_goodbye_in_the_handshake(self) -> None:
        """Who closes in the middle of the handshake is one who has gone, and no traceback."""
        knocked = ClientTls(self.gateway.laptop, "gateway").clientConnectionForTLS(cast(TLSMemoryBIOProtocol, None))
        self.assertRaises(SSL.WantReadError, knocked.do_handshake)
        raw = self.stranger()
        raw.say(knocked.bio_read(1 << 16))
        self.net.settle()
        raw.say(b"\x15\x03\x03\x00\x02\x01\x00")
        self.net.settle()
        self.assertTrue(raw.gone)
        self.assertEqual(self.server.complaints.counts, {"closed in the middle of the handshake": 1})
