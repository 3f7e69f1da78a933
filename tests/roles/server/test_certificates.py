"""What a server refuses, and whom it tells."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.pki.authority import Description
from morphnet.pki.revocations import Draft, RevocationList
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.server.certificates import Certificates
from morphnet.store.base import CertificateRecord
from morphnet.store.memory import MemoryStore
from tests.fakes_pki import NOW, an_authority


class CertificatesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority, self.store = an_authority(), MemoryStore()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.signed: list[Draft] = []
        self.changes = 0
        self.certificates = self.make()

    def make(self) -> Certificates:
        """Those of a process that starts."""
        cas = lambda: [self.authority.certificate]  # noqa: E731
        revoked = Revoked(cas, self.directory / "revoked.pem")
        publisher = Publisher(self.directory, cas, self.sign)
        made = Certificates("", self.store, revoked, publisher, Clock(), lambda: NOW)
        made.follow(self.changed)
        return made

    def sign(self, draft: Draft) -> RevocationList:
        """As where the CA is."""
        self.signed.append(draft)
        return self.authority.sign_revocations(draft)

    def changed(self) -> None:
        """More may be refused than before."""
        self.changes += 1

    def refused(self, serial: str) -> bool:
        """Whether a certificate is."""
        return self.certificates.is_revoked(Description("laptop", "client", serial, 0.0, NOW + 1000))

    def record(self, serial: str, revoked_at: int) -> CertificateRecord:
        """Of the laptop's."""
        return CertificateRecord(serial, "laptop", "client", int(NOW) + 1000, revoked_at)

    def test_records(self) -> None:
        """What the records say at the start is refused, told and published; what is good is not."""
        self.certificates.know([self.record("1f", int(NOW)), self.record("2e", 0)])
        self.assertEqual((self.refused("1f"), self.refused("2e")), (True, False))
        self.assertGreater(self.changes, 0)
        self.assertEqual(self.certificates.exchange.revoked.serials, {"1f"})

    def test_read_again(self) -> None:
        """What is revoked later is refused from the next look on, and is in the next list."""
        self.certificates.know([])
        self.successResultOf(self.store.add_certificate(self.record("1f", 0)))
        self.certificates.read()
        self.assertFalse(self.refused("1f"))
        self.successResultOf(self.store.revoke("laptop", int(NOW)))
        self.certificates.read()
        self.assertTrue(self.refused("1f"))
        self.assertEqual([set(draft.recent) for draft in self.signed], [{"1f"}])

    def test_listed(self) -> None:
        """What others' list says is refused, though our records know nothing of it, and stays in our next list."""
        self.certificates.know([])
        self.certificates.exchange.publish(self.authority.revocations({"1f"}, now=NOW))
        self.assertTrue(self.refused("1f"))
        self.assertGreater(self.changes, 0)
        last = self.certificates.exchange.revoked.whole
        assert last is not None
        self.assertIn("1f", last.recent)
