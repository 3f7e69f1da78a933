"""TLS for browsers."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.net.webtls import WebTls
from tests.fakes_certificates import certificate, secret


class WebTlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.key = generate_private_key(SECP256R1())
        self.files = Path(self.mktemp()), Path(self.mktemp())
        self.files[0].write_bytes(certificate(self.key, "first"))
        self.files[1].write_bytes(secret(self.key))
        self.tls = WebTls(*self.files)

    def shown(self) -> str:
        """What a client is shown, in memory."""
        server = self.tls.serverConnectionForTLS(None)  # type: ignore[arg-type]
        client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        server.set_accept_state()
        client.set_connect_state()
        for _ in range(4):
            for one, other in ((client, server), (server, client)):
                try:
                    one.do_handshake()
                except SSL.WantReadError:
                    pass
                try:
                    other.bio_write(one.bio_read(65536))
                except SSL.WantReadError:
                    pass
        found = client.get_peer_certificate()
        assert found is not None
        return str(found.get_subject().CN)

    def test_renewed(self) -> None:
        """A certificate that was renewed is shown from then on; one that is none changes nothing."""
        self.assertEqual(self.shown(), "first")
        self.files[0].write_bytes(certificate(self.key, "second"))
        self.tls.read_again()
        self.assertEqual(self.shown(), "second")
        self.files[0].write_bytes(b"")
        self.assertRaises(ConfigError, self.tls.read_again)
        self.assertEqual(self.shown(), "second")

    def test_none_yet(self) -> None:
        """Who may be without one refuses all who call, and shows what comes."""
        self.files[0].rename(later := Path(self.mktemp()))
        self.assertRaises(ConfigError, WebTls, *self.files)
        self.tls = WebTls(*self.files, optional=True)
        self.assertRaises(SSL.Error, self.shown)
        later.rename(self.files[0])
        self.tls.read_again()
        self.assertEqual(self.shown(), "first")

    def test_another_key(self) -> None:
        """A key that does not belong to it is told at the start."""
        self.files[1].write_bytes(secret(generate_private_key(SECP256R1())))
        self.assertRaises(ConfigError, WebTls, *self.files)

    def test_passphrase(self) -> None:
        """A key with a passphrase is no key for a server: nobody is asked for it."""
        self.files[1].write_bytes(secret(self.key, b"a passphrase"))
        self.assertRaises(ConfigError, WebTls, *self.files)
