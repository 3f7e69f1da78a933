"""What TLS shows to strangers: nothing."""

from __future__ import annotations

import gc

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.knock import NO_KNOCK, is_knock, key_of, knock
from morphnet.net.tls import ClientTls, PeersTls, PeerTls, ServerTls, handshake_trouble, is_certificate_alert
from tests.fakes_tls import CLIENT, SERVER, FakeCa
from tests.net.test_tls import NOBODY, carry, shake


class KnockTests(SynchronousTestCase):
    """What a port shows to whom. `alert handshake failure` is what any server says that has no certificate."""

    def setUp(self) -> None:
        self.ca, self.second = FakeCa(), FakeCa()
        self.mine = self.ca.identity("gateway", SERVER, trust=self.ca.pem + self.second.pem)

    def seen(self, name: bytes | None, there: ServerTls | PeersTls | None = None) -> tuple[list[x509.Certificate], str]:
        """What somebody with no certificate who asks for that name is shown; why the server is rid of him."""
        caller = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
        caller.set_connect_state()
        if name is not None:
            caller.set_tlsext_host_name(name)
        server = (there or ServerTls(self.mine, lambda peer: False)).serverConnectionForTLS(NOBODY)
        failed = shake(caller, server)
        self.assertIn(server, failed)
        self.assertEqual(caller.get_client_ca_list(), [])
        chain = [each.to_cryptography() for each in caller.get_peer_cert_chain() or []]
        return chain, handshake_trouble(server, failed[server])

    def named(self, ca: FakeCa, nonce: bytes = b"8 bytes!") -> bytes:
        """A knock of that CA."""
        return knock(key_of(x509.load_pem_x509_certificate(ca.pem)), nonce)

    def test_none(self) -> None:
        """Who asks for no name, for any name, or for one that is nearly right, sees nothing at all."""
        right = self.named(self.ca)
        near = bytes([right[0] ^ 1]) + right[1:]
        names = (
            None,  # no SNI
            b"gateway",
            b"www.example.org",
            near,
            right[:-4] + b".org",
            b"a" * 255,
            self.named(FakeCa()),
            b"\xff",
        )
        for name in names:
            self.assertEqual(self.seen(name), ([], NO_KNOCK), name)

    def test_right(self) -> None:
        """Who knocks sees the certificate, without the CA; each CA that is trusted counts, in either case."""
        for name in (self.named(self.ca), self.named(self.second), self.named(self.ca).upper()):
            chain, why = self.seen(name)
            self.assertEqual(chain, [x509.load_pem_x509_certificate(self.mine.certificate)])
            self.assertNotEqual(why, NO_KNOCK)

    def test_peers(self) -> None:
        """So it is where peers listen."""
        there = PeersTls(self.ca.identity("bert", CLIENT), lambda name: True, lambda peer: False)
        self.assertEqual(self.seen(None, there), ([], NO_KNOCK))
        self.assertEqual(len(self.seen(self.named(self.ca), there)[0]), 1)
        self.assertEqual(self.seen(self.named(self.second), there), ([], NO_KNOCK))

    def test_allowed(self) -> None:
        """While nodes of before are let in, who asks for no name sees the certificate; a wrong one is wrong."""
        there = ServerTls(self.mine, lambda peer: False, "allow")
        self.assertEqual(len(self.seen(None, there)[0]), 1)
        self.assertEqual(len(self.seen(self.named(self.ca), there)[0]), 1)
        self.assertEqual(self.seen(b"www.example.org", there), ([], NO_KNOCK))

    def test_another_certificate(self) -> None:
        """From the next caller on what counts is what is trusted now, and the new certificate is shown."""
        there = ServerTls(self.ca.identity("gateway", SERVER), lambda peer: False)
        self.assertEqual(self.seen(self.named(self.second), there), ([], NO_KNOCK))
        there.use(self.mine)
        chain, _ = self.seen(self.named(self.second), there)
        self.assertEqual(chain, [x509.load_pem_x509_certificate(self.mine.certificate)])

    def test_renewed_meanwhile(self) -> None:
        """A caller who is half in when the certificate is replaced comes in all the same."""
        there = ServerTls(self.mine, lambda peer: False)
        server = there.serverConnectionForTLS(NOBODY)
        there.use(self.ca.identity("gateway", SERVER))
        gc.collect()
        client = ClientTls(self.ca.identity("laptop", CLIENT), "gateway").clientConnectionForTLS(NOBODY)
        self.assertEqual(shake(client, server), {})

    def test_asked_twice(self) -> None:
        """Who has to send another key share is asked again, even if the certificate was replaced in between."""
        there = ServerTls(self.mine, lambda peer: False)
        there._front.set_tmp_ecdh(crypto.get_elliptic_curve("secp384r1"))  # so that the first is of no use
        caller = ClientTls(self.ca.identity("laptop", CLIENT), "gateway").clientConnectionForTLS(NOBODY)
        server = there.serverConnectionForTLS(NOBODY)
        self.assertEqual(self.seen(None, there), ([], NO_KNOCK))
        for end, other in ((caller, server), (server, caller)):
            self.assertRaises(SSL.WantReadError, end.do_handshake)
            carry(end, other)
        there.use(self.ca.identity("gateway", SERVER))
        gc.collect()
        self.assertEqual(shake(caller, server), {})

    def test_nothing_is_computed(self) -> None:
        """A stranger gets an alert, seven bytes, and no key share."""
        caller = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
        caller.set_connect_state()
        self.assertRaises(SSL.WantReadError, caller.do_handshake)
        server = ServerTls(self.mine, lambda peer: False).serverConnectionForTLS(NOBODY)
        carry(caller, server)
        self.assertRaises(SSL.Error, server.do_handshake)
        self.assertEqual(server.bio_read(1 << 16), bytes([21, 3, 3, 0, 2, 2, 40]))  # handshake_failure

    def test_which(self) -> None:
        """A node that trusts two CAs knocks with the one that has signed its certificate: the other end trusts that."""
        for first, last in ((self.ca, self.second), (self.second, self.ca)):
            client = self.ca.identity("laptop", CLIENT, trust=first.pem + last.pem)
            caller = ClientTls(client, "gateway").clientConnectionForTLS(NOBODY)
            server = ServerTls(self.ca.identity("gateway", SERVER), lambda peer: False).serverConnectionForTLS(NOBODY)
            shake(caller, server)
            name = server.get_servername()
            self.assertTrue(name and is_knock(name, [key_of(x509.load_pem_x509_certificate(self.ca.pem))]))

    def test_unlike(self) -> None:
        """No two calls ask for the same name."""
        here = ClientTls(self.ca.identity("laptop", CLIENT), "gateway")
        names = set()
        for _ in range(3):
            caller = here.clientConnectionForTLS(NOBODY)
            server = ServerTls(self.mine, lambda peer: False).serverConnectionForTLS(NOBODY)
            shake(caller, server)
            names.add(server.get_servername())
        self.assertEqual(len(names), 3)

    def test_told(self) -> None:
        """A member of another network is told in words that it is one."""
        client = ClientTls(FakeCa().identity("laptop", CLIENT), "gateway").clientConnectionForTLS(NOBODY)
        server = ServerTls(self.mine, lambda peer: False).serverConnectionForTLS(NOBODY)
        failed = shake(client, server)
        self.assertIn("foreign CA", handshake_trouble(client, failed[client]))
        self.assertFalse(is_certificate_alert(failed[client]))  # it may be mended: try again

    def test_old_server(self) -> None:
        """A server of before, which waits for no knock, is met as ever."""
        server = PeerTls(self.ca.identity("bert", CLIENT), "anna", lambda peer: False).serverConnectionForTLS(NOBODY)
        client = PeerTls(self.ca.identity("anna", CLIENT), "bert", lambda peer: False).clientConnectionForTLS(NOBODY)
        self.assertEqual(shake(client, server), {})
