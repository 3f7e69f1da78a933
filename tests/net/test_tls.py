"""Handshakes between the two ends, in memory."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL, crypto
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, Refused
from morphnet.net.tls import (
    POST_QUANTUM,
    ClientTls,
    Identity,
    Peer,
    ServerTls,
    established,
    exporter,
    handshake_trouble,
    is_certificate_alert,
)
from morphnet.pki.authority import Authority, as_pem, network_of
from morphnet.pki.files import key_pem
from tests.fakes_tls import CLIENT, INVITE, SERVER, FakeCa, serial_of

NOBODY = cast(TLSMemoryBIOProtocol, None)  # the creators do not look at the protocol


def carry(one: SSL.Connection, other: SSL.Connection) -> None:
    """Move what `one` wants to send into `other`."""
    try:
        other.bio_write(one.bio_read(1 << 16))
    except SSL.WantReadError:
        pass


def shake(client: SSL.Connection, server: SSL.Connection) -> dict[SSL.Connection, Failure]:
    """Run the handshake; answers with the ends that failed."""
    failed: dict[SSL.Connection, Failure] = {}
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            if one not in failed:
                try:
                    one.do_handshake()
                    one.recv(1)
                except SSL.WantReadError:
                    pass
                except SSL.Error:
                    failed[one] = Failure()
            carry(one, other)
    return failed


class HandshakeTests(SynchronousTestCase):
    """Who is let in and who is not."""

    def setUp(self) -> None:
        self.ca = FakeCa()
        self.revoked: list[str] = []
        self.asked: list[str] = []
        self.server_identity = self.ca.identity("gateway", SERVER)
        self.client_identity = self.ca.identity("laptop", CLIENT)

    def is_revoked(self, peer: Peer) -> bool:
        """Remembers the question."""
        self.asked.append(peer.serial)
        return peer.serial in self.revoked

    def ends(
        self, client: Identity | None = None, server: Identity | None = None, name: str = "gateway"
    ) -> tuple[SSL.Connection, SSL.Connection]:
        """The two ends before the handshake."""
        here = ClientTls(client or self.client_identity, name)
        there = ServerTls(server or self.server_identity, self.is_revoked)
        return here.clientConnectionForTLS(NOBODY), there.serverConnectionForTLS(NOBODY)

    def assert_client_refused(self, identity: Identity, reason: str) -> None:
        """The server turns this client away for `reason`."""
        client, server = self.ends(identity)
        failed = shake(client, server)
        self.assertEqual(handshake_trouble(server, failed[server]), reason)
        self.assertTrue(is_certificate_alert(failed[client]), failed[client].value)

    def assert_told(self, identity: Identity, reason: str) -> None:
        """This client, which our CA knows, gets through the handshake and no further."""
        client, server = self.ends(identity)
        self.assertEqual(shake(client, server), {})
        self.assertEqual(self.assertRaises(Refused, established, server).reason, reason)

    def assert_server_refused(self, identity: Identity, reason: str, name: str = "gateway") -> None:
        """The client turns this server away for `reason`."""
        client, server = self.ends(server=identity, name=name)
        failed = shake(client, server)
        self.assertEqual(handshake_trouble(client, failed[client]), reason)

    def test_good(self) -> None:
        """Both know each other's name, kind and serial, over TLS 1.3 with the hybrid post-quantum group."""
        client, server = self.ends()
        self.assertEqual(shake(client, server), {})
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.3")
        there, group = established(client)
        self.assertEqual((there.name, there.kind, group), ("gateway", "server", "X25519MLKEM768"))
        here, group = established(server)
        self.assertEqual((here.name, here.kind, group), ("laptop", "client", POST_QUANTUM))
        self.assertEqual(here.serial, serial_of(self.client_identity))

    def test_invite(self) -> None:
        """An invitation is let in, and known as one; one that is a client as well is not."""
        client, server = self.ends(self.ca.identity("phone", INVITE))
        self.assertEqual(shake(client, server), {})
        self.assertEqual(established(server)[0].kind, "invite")
        self.assert_told(self.ca.identity("phone", INVITE, CLIENT), "certificate of an unknown usage")

    def test_client_revoked(self) -> None:
        """A revoked client is refused."""
        self.revoked.append(serial_of(self.client_identity))
        self.assert_told(self.client_identity, "certificate revoked")

    def test_one_of_several(self) -> None:
        """A client that may have several servers takes each of them, and nobody else."""
        for name in ("gateway", "other", "third"):
            here = ClientTls(self.client_identity, "other", others=("gateway",)).clientConnectionForTLS(NOBODY)
            there = ServerTls(self.ca.identity(name, SERVER), self.is_revoked).serverConnectionForTLS(NOBODY)
            self.assertEqual(here in shake(here, there), name == "third", name)

    def test_server_revoked(self) -> None:
        """A revoked server is refused by a client that knows of it."""
        client_tls = ClientTls(self.client_identity, "gateway", self.is_revoked)
        for revoked in (False, True):
            if revoked:
                self.revoked.append(serial_of(self.server_identity))
            client = client_tls.clientConnectionForTLS(cast(TLSMemoryBIOProtocol, None))
            _, server = self.ends()
            failed = shake(client, server)
            self.assertEqual(client in failed, revoked)
        self.assertEqual(handshake_trouble(client, failed[client]), "certificate revoked")

    def test_network_is_asked(self) -> None:
        """Whoever is asked what is revoked hears of which network it is."""
        asked: list[Peer] = []

        def ask(peer: Peer) -> bool:
            asked.append(peer)
            return False

        there = ServerTls(self.server_identity, ask)
        server = there.serverConnectionForTLS(cast(TLSMemoryBIOProtocol, None))
        client, _ = self.ends()
        shake(client, server)
        ca = x509.load_pem_x509_certificate(self.ca.pem)
        self.assertEqual([(each.name, each.issuer) for each in asked], [("laptop", network_of(ca))])

    def test_client_out_of_time(self) -> None:
        """Expired and future client certificates are refused."""
        self.assert_client_refused(self.ca.identity("laptop", CLIENT, days=(-2, -1)), "certificate expired")
        self.assert_client_refused(self.ca.identity("laptop", CLIENT, days=(1, 2)), "certificate not valid yet")

    def test_client_foreign(self) -> None:
        """A certificate of another CA with the same name is refused, an invitation too."""
        foreign = FakeCa()
        for usage in (CLIENT, INVITE):
            identity = foreign.identity("laptop", usage, trust=self.ca.pem)
            client, server = self.ends(identity)
            failed = shake(client, server)
            self.assertIn(
                handshake_trouble(server, failed[server]),
                ("certificate of a foreign CA", "certificate with a wrong signature"),
            )

    def test_client_wrong_usage(self) -> None:
        """A certificate for nothing does not make a client; a server's is known as such, whatever its name."""
        client, server = self.ends(self.ca.identity("laptop", SERVER))
        self.assertEqual(shake(client, server), {})
        self.assertEqual(established(server)[0].kind, "server")
        self.assert_told(self.ca.identity("laptop"), "certificate of an unknown usage")

    def test_client_nameless(self) -> None:
        """A certificate without subjectAltName is refused."""
        self.assert_told(self.ca.identity("laptop", CLIENT, names=()), "certificate without a name")

    def test_client_without_certificate(self) -> None:
        """A client that shows nothing is refused."""
        context = SSL.Context(SSL.TLS_METHOD)
        bare = SSL.Connection(context, None)
        bare.set_connect_state()
        _, server = self.ends()
        self.assertIn(server, shake(bare, server))

    def test_client_signed_by_client(self) -> None:
        """A client cannot sign another client."""
        middle = FakeCa()
        signer = self.ca.identity("laptop", CLIENT)
        forged = middle.identity("root", CLIENT)
        client, server = self.ends(Identity(forged.certificate + signer.certificate, forged.key, self.ca.pem))
        self.assertIn(server, shake(client, server))

    def test_server_refused(self) -> None:
        """Expired, future, foreign and wrong-usage server certificates are refused, and those of another name."""
        made = self.ca.identity
        self.assert_server_refused(made("gateway", SERVER, days=(-2, -1)), "certificate expired")
        self.assert_server_refused(made("gateway", SERVER, days=(1, 2)), "certificate not valid yet")
        self.assert_server_refused(made("gateway", CLIENT), "certificate of a wrong usage")
        self.assert_server_refused(made("gateway"), "certificate of an unknown usage")
        self.assert_server_refused(made("gateway", INVITE), "certificate of a wrong usage")
        self.assert_server_refused(made("other", SERVER), "certificate of another name")
        self.assert_server_refused(made("gateway", SERVER, names=()), "certificate without a name")
        client, server = self.ends(server=FakeCa().identity("gateway", SERVER, trust=self.ca.pem))
        self.assertIn(client, shake(client, server))

    def test_server_by_address(self) -> None:
        """A server may be asked for by an address that is in its certificate."""
        address = ipaddress.ip_address("192.0.2.1")
        identity = self.ca.identity("gateway", SERVER, names=[x509.IPAddress(address)])
        client, server = self.ends(server=identity, name="192.0.2.1")
        self.assertEqual(shake(client, server), {})
        self.assert_server_refused(identity, "certificate of another name", name="192.0.2.2")

    def test_tls_1_2(self) -> None:
        """Nothing below TLS 1.3 is spoken."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        old = SSL.Connection(context, None)
        old.set_connect_state()
        _, server = self.ends()
        self.assertIn(server, shake(old, server))

    def test_group_required(self) -> None:
        """A handshake without ML-KEM is refused by both ends, unless they are told to allow it."""
        there = ServerTls(self.server_identity, self.is_revoked)
        there._front.set_tmp_ecdh(crypto.get_elliptic_curve("prime256v1"))  # the only way to offer less
        client, _ = self.ends()
        server = there.serverConnectionForTLS(NOBODY)
        self.assertEqual(shake(client, server), {})
        for end in (client, server):
            self.assertRaises(Refused, established, end)
            self.assertIn("256", established(end, pq="allow")[1])

    def test_no_resumption(self) -> None:
        """A client that brings an old session makes a full handshake all the same: revocation is asked again."""
        here = ClientTls(self.client_identity, "gateway")
        there = ServerTls(self.server_identity, self.is_revoked)
        client, server = here.clientConnectionForTLS(NOBODY), there.serverConnectionForTLS(NOBODY)
        self.assertEqual(shake(client, server), {})
        session = client.get_session()
        assert session is not None
        again, server = here.clientConnectionForTLS(NOBODY), there.serverConnectionForTLS(NOBODY)
        again.set_session(session)
        self.assertEqual(shake(again, server), {})
        self.assertEqual(len(self.asked), 2)

    def test_exporter(self) -> None:
        """Both ends derive the same bytes; another context, connection or length gives others."""
        client, server = self.ends()
        shake(client, server)
        same = exporter(client, b"session")
        self.assertEqual(same, exporter(server, b"session"))
        self.assertEqual(len(same), 64)
        others: list[Callable[[], bytes]] = [lambda: exporter(client, b"other"), lambda: exporter(client, b"")]
        client2, server2 = self.ends()
        shake(client2, server2)
        others.append(lambda: exporter(client2, b"session"))
        self.assertEqual(len({same, *(other() for other in others)}), 4)

    def test_made_by_the_authority(self) -> None:
        """The certificates that the network's CA really signs are good, the invitation as well."""
        key, ours, theirs = (Ed25519PrivateKey.generate() for _ in range(3))
        now = time.time()
        authority = Authority.found("home", key, x509.random_serial_number, now=now)
        ca = as_pem(authority.certificate)
        server = Identity(as_pem(authority.server(theirs.public_key(), ["gateway"], now=now)), key_pem(theirs), ca)
        for made, kind in ((authority.client, "client"), (authority.invite, "invite")):
            certificate = made(ours.public_key(), "laptop", now=now)
            here, there = self.ends(Identity(as_pem(certificate), key_pem(ours), ca), server)
            self.assertEqual(shake(here, there), {})
            self.assertEqual((established(there)[0].kind, established(there)[0].name), (kind, "laptop"))

    def test_unusable(self) -> None:
        """A key that does not fit, or no key at all, is the operator's to mend."""
        mine, other = self.client_identity, self.server_identity
        for identity in (
            Identity(mine.certificate, other.key, mine.ca),
            Identity(b"", mine.key, mine.ca),
            Identity(mine.certificate, b"no key", mine.ca),
            Identity(mine.certificate, mine.key, b""),
        ):
            self.assertRaises(ConfigError, ClientTls, identity, "gateway")

    def test_key_is_not_shown(self) -> None:
        """An identity does not print its key."""
        self.assertNotIn("key", repr(self.client_identity))
