"""What a node knows of revoked certificates."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.tls import Identity
from morphnet.pki.authority import as_pem
from morphnet.tap.revoked import FILE, Revoked
from tests.fakes_pki import NOW, an_authority


class RevokedTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A node that has heard of nothing."""
        self.authority, self.dir = an_authority(), Path(self.mktemp())
        self.revoked = self.fresh()

    def fresh(self) -> Revoked:
        """The node after a restart."""
        return Revoked(lambda: Identity(b"", b"", as_pem(self.authority.certificate)), self.dir)

    def test_kept(self) -> None:
        """A list is known after a restart too, in a file that only its owner reads."""
        self.assertEqual((self.revoked.serials, self.revoked.pem), (frozenset(), ""))
        self.assertTrue(self.revoked.learn(self.authority.revocations({"1f"}, now=NOW).pem))
        self.assertEqual(self.fresh().serials, {"1f"})
        self.assertEqual((self.dir / FILE).stat().st_mode & 0o777, 0o600)

    def test_older(self) -> None:
        """A relay cannot take anything back with an older list."""
        older = self.authority.revocations(set(), now=NOW).pem
        self.revoked.learn(self.authority.revocations({"1f"}, now=NOW + 1).pem)
        self.assertFalse(self.revoked.learn(older))
        self.assertEqual(self.revoked.serials, {"1f"})

    def test_foreign(self) -> None:
        """A list that our CA has not signed changes nothing, nor does a file that was spoilt."""
        self.assertFalse(self.revoked.learn(an_authority(2).revocations({"1f"}, now=NOW).pem))
        self.assertFalse(self.revoked.learn("nonsense"))
        self.dir.mkdir()
        (self.dir / FILE).write_bytes(b"\xff\xfe")
        self.assertEqual(self.fresh().serials, frozenset())
