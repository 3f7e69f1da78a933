"""Ends of TLS that go before the handshake is over."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import cast
from weakref import ref

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol

from morphnet.net.limits import LIMITS
from morphnet.net.tls import ClientTls
from tests.roles.signalling.test_control_server import PortTestCase


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
        self.assertEqual(self.server.admission.complaints.counts, {"no knock": 1})

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
        self.assertEqual(self.server.admission.complaints.counts, {"closed in the middle of the handshake": 1})


class Counted(SSL.Connection):
    """One that counts how often OpenSSL was told to go on with the handshake."""

    asked = 0

    def do_handshake(self) -> None:
        type(self).asked += 1
        super().do_handshake()


class SilentTests(PortTestCase):
    """Who connects and says nothing."""

    def _serve(self, look: Callable[[SSL.Connection], None]) -> None:
        """Serve, and look at OpenSSL's end of every call."""
        create = self.gateway.tls.serverConnectionForTLS

        def created(tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
            connection = create(tlsProtocol)
            look(connection)
            return connection

        self.gateway.tls.serverConnectionForTLS = created  # type: ignore[method-assign]
        self.serve(LIMITS)

    def test_forgotten(self) -> None:
        """What OpenSSL holds for a caller goes with it, at once: it waits for no search for circles."""
        made = list[ref[SSL.Connection]]()
        self._serve(lambda connection: made.append(ref(connection)))
        gc.disable()
        self.addCleanup(gc.enable)
        for said in (b"", b"\x16\x03\x01\x02\0\x01\0", b"GET / HTTP/1.1\r\n\r\n"):
            raw = self.stranger()
            if said:
                raw.say(said)
            raw.hang_up()
            self.net.settle()
            self.net.pumps.clear()
        self.assertEqual([each() for each in made], [None] * 3)

    def test_begins_with_a_byte(self) -> None:
        """OpenSSL is not told to wait for the first byte, for which it takes its buffers; from then on it goes on."""

        def count(connection: SSL.Connection) -> None:
            connection.__class__ = Counted

        Counted.asked = 0
        self._serve(count)
        raw = self.stranger()
        self.net.settle()
        self.assertEqual(Counted.asked, 0)
        raw.say(b"\x16")
        self.net.settle()
        self.assertEqual(Counted.asked, 1)
