"""`morphnet pki rotate`."""

from __future__ import annotations

import time

from morphnet.pki.authority import CLIENT_LIFETIME, DAY, network_of
from morphnet.pki.book import JOIN, Book, Entry, signer_directory
from morphnet.pki.files import CA, key_path, read_certificate, trusted_cas
from morphnet.pki.invitation import decode
from morphnet.pki.rotation import BEFORE
from morphnet.pki.trust import networks_of
from morphnet.store.base import CertificateRecord
from tests.cli.case import CommandCase


class RotateTests(CommandCase):
    def setUp(self) -> None:
        """A network with a laptop that has been there for a while."""
        super().setUp()
        self.init()
        self.first = read_certificate(self.place.pki_dir, CA)
        self._renewed("a1", "laptop", "client", days_ago=200)
        self._renewed("b1", "gw", "server", days_ago=100)

    def _renewed(self, serial: str, name: str, kind: str, *, days_ago: int) -> None:
        ends = int(time.time()) + CLIENT_LIFETIME - days_ago * DAY
        with self.ledger() as ledger:
            ledger.add_certificate(CertificateRecord(serial, name, kind, ends))

    def test_steps(self) -> None:
        """A second CA beside the first; then the first one's key is gone; then it is trusted no more."""
        self.assertIn("a second CA", self.good("pki", "rotate").stdout)
        second, first = trusted_cas(self.place.pki_dir)
        self.assertEqual(first, self.first)
        self.assertIn("laptop", self.bad("pki", "rotate", "--finish"))
        self._renewed("a2", "laptop", "client", days_ago=-1)
        self.good("pki", "rotate", "--finish")
        self.assertEqual(key_path(self.place.pki_dir, BEFORE).read_bytes(), b"")
        self.assertIn("gw", self.bad("pki", "rotate", "--finish"))
        self._renewed("b2", "gw", "server", days_ago=-1)
        self.assertIn("one CA", self.good("pki", "rotate", "--finish").stdout)
        self.assertEqual(trusted_cas(self.place.pki_dir), [second])
        self.assertIn("nothing to finish", self.bad("pki", "rotate", "--finish"))

    def test_joined_meanwhile(self) -> None:
        """Who joined after the rotation has a certificate of the first CA, and has to follow like the others."""
        self.good("pki", "rotate")
        self._renewed("a2", "laptop", "client", days_ago=-1)
        at = int(time.time()) + DAY
        with Book(signer_directory(self.place.state_dir)).opened() as book:
            book.add(Entry(at, JOIN, "phone", "c1", "77"))
        self._renewed("c1", "phone", "client", days_ago=-1)
        self.assertIn("phone", self.bad("pki", "rotate", "--finish"))
        self._renewed("c2", "phone", "client", days_ago=-1)
        self.good("pki", "rotate", "--finish")

    def test_force(self) -> None:
        """Machines may be left behind."""
        self.good("pki", "rotate")
        self.good("pki", "rotate", "--finish", "--force")
        self.good("pki", "rotate", "--finish", "--force")
        self.assertEqual(len(trusted_cas(self.place.pki_dir)), 1)

    def test_not_twice(self) -> None:
        """One rotation at a time."""
        self.good("pki", "rotate")
        self.assertIn("--finish", self.bad("pki", "rotate"))

    def test_meanwhile(self) -> None:
        """Invitations, servers and relays are under the first CA while there is its key: everybody knows that one."""
        self.good("pki", "rotate")
        invited = decode(self.good("invite", "phone").stdout)
        self.assertEqual(invited.ca, self.first)
        invited.certificate.verify_directly_issued_by(self.first)
        self.good("pki", "renew")
        read_certificate(self.place.pki_dir, "gw").verify_directly_issued_by(self.first)
        out = self.place.root / "meet2"
        self.good("pki", "relay", "meet2", "--out", str(out))
        read_certificate(out / "pki", "meet2").verify_directly_issued_by(self.first)
        self.assertEqual(len(trusted_cas(out / "pki")), 2)
        self.good("pki", "rotate", "--finish", "--force")
        invited = decode(self.good("invite", "tablet").stdout)
        self.assertEqual(invited.ca, trusted_cas(self.place.pki_dir)[0])

    def test_same_network(self) -> None:
        """The second CA stands for the network of the first."""
        self.good("pki", "rotate")
        self.assertEqual(set(networks_of(trusted_cas(self.place.pki_dir)).values()), {network_of(self.first)})

    def test_listed(self) -> None:
        """`morphnet pki list` shows every CA that is trusted."""
        self.good("pki", "rotate")
        rows = self.good("pki", "list", "--json").stdout
        self.assertEqual(rows.count('"kind": "ca"'), 2)
