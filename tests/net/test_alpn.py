"""One port that serves two protocols: the callers say which one they come for."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.alpn import HttpTls, speaks_http
from morphnet.net.tls import ClientTls, ServerTls
from tests.fakes_tls import CLIENT, SERVER, FakeCa
from tests.net.test_tls import NOBODY, shake


class AlpnTests(SynchronousTestCase):
    def setUp(self) -> None:
        ca = FakeCa()
        self.server = ServerTls(ca.identity("gateway", SERVER), lambda peer: False).serverConnectionForTLS(NOBODY)
        self.tls = ClientTls(ca.identity("laptop", CLIENT), "gateway")

    def agree(self, client: SSL.Connection) -> tuple[bool, bool]:
        """What each end thinks, once both have shaken hands."""
        self.assertEqual(shake(client, self.server), {})
        return speaks_http(client), speaks_http(self.server)

    def test_http(self) -> None:
        """Who asks for HTTP gets it, for all that the certificate changes at the knock."""
        self.assertEqual(self.agree(HttpTls(self.tls).clientConnectionForTLS(NOBODY)), (True, True))

    def test_nothing(self) -> None:
        """Who asks for nothing, as nodes of before, comes for the control link."""
        self.assertEqual(self.agree(self.tls.clientConnectionForTLS(NOBODY)), (False, False))

    def test_something_else(self) -> None:
        """Who asks for what is not spoken here is no stream, and no handshake fails for it."""
        client = self.tls.clientConnectionForTLS(NOBODY)
        client.set_alpn_protos([b"h2"])
        self.assertEqual(self.agree(client), (False, False))
