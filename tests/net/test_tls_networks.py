"""Which network a peer is of: the one whose CA has signed it, whatever certificates say of themselves."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.tls import ClientTls, Identity, Peer, ServerTls, established
from morphnet.pki.authority import Authority, as_pem
from tests.fakes_tls import CLIENT
from tests.net.test_tls import NOBODY, shake


def pem_of(key: Ed25519PrivateKey) -> bytes:
    """A key as an identity has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def begin(name: x509.Name, issuer: x509.Name, key: Ed25519PrivateKey) -> x509.CertificateBuilder:
    """A certificate that is good now."""
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(7).not_valid_before(now - day).not_valid_after(now + day)


class NetworkTests(SynchronousTestCase):
    """A relay of one network, where another's nodes may meet as well."""

    def setUp(self) -> None:
        self.now = datetime.datetime.now(datetime.UTC).timestamp()
        self.ours, self.theirs = self.found("ours"), self.found("theirs")

    def found(self, name: str) -> Authority:
        """A network."""
        return Authority.found(name, Ed25519PrivateKey.generate(), x509.random_serial_number, now=self.now)

    def seen_as(self, certificate: bytes, key: bytes, trusted: bytes) -> Peer | None:
        """What the relay knows of who shows this; None when it does not let it in."""
        own = Ed25519PrivateKey.generate()
        ca = as_pem(self.ours.certificate)
        shown = as_pem(self.ours.server(own.public_key(), ["relay"], now=self.now))
        relay = ServerTls(Identity(shown, pem_of(own), ca + trusted), lambda serial: False).serverConnectionForTLS(
            NOBODY
        )
        node = ClientTls(Identity(certificate, key, ca), "relay").clientConnectionForTLS(NOBODY)
        return None if shake(node, relay) else established(relay)[0]

    def of(self, authority: Authority) -> Peer:
        """Of a node that this CA has signed."""
        key = Ed25519PrivateKey.generate()
        certificate = authority.client(key.public_key(), "laptop", now=self.now)
        seen = self.seen_as(as_pem(certificate), pem_of(key), as_pem(self.theirs.certificate))
        assert seen is not None
        return seen

    def test_two_networks(self) -> None:
        """Nodes of two networks are told apart, those of one are not."""
        self.assertEqual(self.of(self.ours).issuer, self.of(self.ours).issuer)
        self.assertNotEqual(self.of(self.ours).issuer, self.of(self.theirs).issuer)
        self.assertTrue(self.of(self.ours).issuer)

    def test_pretender(self) -> None:
        """A CA that takes our CA's name and key identifier makes no nodes of our network."""
        ours = self.ours.certificate
        identifier = ours.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        key, leaf = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        for name in (ours.subject, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "theirs")])):
            pretender = (
                begin(name, name, key)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(identifier, critical=False)
                .sign(key, None)
            )
            laptop = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laptop")])
            certificate = (
                begin(laptop, name, leaf)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.ExtendedKeyUsage([CLIENT]), critical=False)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName("laptop")]), critical=False)
                .add_extension(authority, critical=False)
                .sign(key, None)
            )
            seen = self.seen_as(as_pem(certificate), pem_of(leaf), as_pem(pretender))
            self.assertEqual(seen is None, name == ours.subject)
            self.assertNotEqual(seen and seen.issuer, self.of(self.ours).issuer)
