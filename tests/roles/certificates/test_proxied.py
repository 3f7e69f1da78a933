"""Nodes that come through a proxy."""

from __future__ import annotations

from urllib.parse import quote

from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.pki.authority import CLIENT_LIFETIME, as_pem, network_of
from morphnet.roles.certificates.proxied import ADDRESS, CERTIFICATE, LONGEST, UNKNOWN, Proxied
from tests.fakes_pki import NOW, a_client, a_key, an_authority, an_invitation


def header(certificate: x509.Certificate) -> dict[str, str]:
    """As nginx escapes it."""
    return {CERTIFICATE: quote(as_pem(certificate).decode())}


class ProxiedTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A relay of two networks."""
        self.ours, self.theirs = an_authority(1), an_authority(2)
        self.revoked: set[str] = set()
        self.now = NOW + 1
        cas = {network_of(each.certificate): [each.certificate] for each in (self.ours, self.theirs)}
        self.proxied = Proxied(lambda: cas, lambda peer: peer.serial in self.revoked, lambda: self.now)

    def refused(self, headers: dict[str, str]) -> str:
        """Why."""
        return str(self.assertRaises(Refused, self.proxied.peer, headers).reason)

    def test_good(self) -> None:
        """A node is who its certificate says, in the network of the CA that signed it."""
        for authority in (self.ours, self.theirs):
            peer = self.proxied.peer(header(a_client(authority, "anna")))
            self.assertEqual((peer.name, peer.issuer), ("anna", network_of(authority.certificate)))

    def test_refused(self) -> None:
        """No certificate, and one of a foreign CA, of an invitation, of another time, or revoked, is refused."""
        self.assertEqual(self.refused({}), "certificate missing")
        self.assertIn("foreign", self.refused(header(a_client(an_authority(3)))))
        self.assertIn("usage", self.refused(header(an_invitation(self.ours).certificate)))
        good = a_client(self.ours)
        self.revoked.add(self.proxied.peer(header(good)).serial)
        self.assertIn("revoked", self.refused(header(good)))
        self.now = NOW + CLIENT_LIFETIME + 1
        self.assertIn("expired", self.refused(header(a_client(self.theirs))))

    def test_server(self) -> None:
        """A server is known as one: it may bring lists of what is revoked."""
        server = self.ours.server(a_key(5).public_key(), ["gw"], now=NOW)
        self.assertEqual(self.proxied.peer(header(server)).kind, "server")

    @given(st.text(max_size=200))
    def test_junk(self, text: str) -> None:
        """Whatever stands in the header, the answer is no."""
        self.refused({CERTIFICATE: text})
        self.refused({CERTIFICATE: "A" * (LONGEST + 1)})

    def test_address(self) -> None:
        """The last address is the proxy's word; those before may be the node's own."""
        self.assertEqual(self.proxied.address({ADDRESS: "10.0.0.1, 203.0.113.9"}), "203.0.113.9")
        self.assertEqual(self.proxied.address({}), UNKNOWN)
