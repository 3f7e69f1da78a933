"""What a process knows of revoked certificates."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.ops.rundir import REVOKED
from morphnet.pki.revocations import RevocationList, draft_revocations
from morphnet.roles.certificates.revocation_file import Revoked
from tests.fakes_pki import NOW, an_authority
from tests.pki.test_policy import packed
from tests.pki.test_revocations import many


class RevokedTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A node that has heard of nothing."""
        self.authority, self.path = an_authority(), Path(self.mktemp()) / REVOKED
        self.revoked = self.fresh()

    def fresh(self) -> Revoked:
        """The node after a restart."""
        return Revoked(lambda: [self.authority.certificate], self.path)

    def signed(self, revoked: dict[str, int], after: float = 0.0) -> RevocationList:
        """A list of that."""
        return self.authority.revocations(revoked, now=NOW + after)

    def test_kept(self) -> None:
        """A list is known after a restart too, in a file that only its owner reads."""
        self.assertEqual((self.revoked.serials, self.revoked.latest), (frozenset(), None))
        self.assertTrue(self.revoked.learn(self.signed({"1f": 1}).pem))
        self.assertEqual(self.fresh().serials, {"1f"})
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def with_policy(self, sequence: int, after: float) -> RevocationList:
        """A list with a policy, if the sequence is not 0; below 0 one that nobody understands."""
        policy = packed(sequence) if sequence > 0 else b"\2junk" * 9 if sequence else b""
        return self.authority.sign_revocations(draft_revocations({}, None, now=NOW + after, policy=policy))

    def test_policy(self) -> None:
        """A policy never goes back, nor away, whatever later lists say, also over restarts."""
        for after, (sequence, expected) in enumerate([(0, 0), (5, 5), (7, 7), (6, 7), (0, 7), (-1, 7), (8, 8), (0, 8)]):
            self.assertTrue(self.revoked.learn(self.with_policy(sequence, after).pem))
            for each in (self.revoked, self.fresh()):
                self.assertEqual(each.policy.sequence if each.policy is not None else 0, expected)
            self.assertEqual(bool(self.revoked.unread), sequence < 0)
        self.flushLoggedErrors()

    def test_vouching(self) -> None:
        """Of two lists with the same policy the later one is kept: its CA may be there for longer."""
        lists = [self.with_policy(5, after) for after in (0, 1)]
        for each in lists:
            self.revoked.learn(each.pem)
        assert self.revoked.vouching is not None
        self.assertEqual((self.revoked.vouching.pem, self.path.read_text().count("BEGIN")), (lists[1].pem, 1))

    def test_older(self) -> None:
        """Nobody can take anything back with an older list."""
        self.revoked.learn(self.signed({"1f": 1}, 1).pem)
        self.assertFalse(self.revoked.learn(self.signed({}).pem))
        self.assertEqual(self.revoked.serials, {"1f"})

    def test_foreign(self) -> None:
        """A list that our CA has not signed changes nothing, nor does a file that was spoilt."""
        self.assertRaises(Refused, self.revoked.learn, an_authority(2).revocations({"1f"}, now=NOW).pem)
        self.assertRaises(Refused, self.revoked.learn, "nonsense")
        self.path.parent.mkdir()
        for junk in (b"", b"\xff\xfe", b"-----BEGIN X509 CRL-----", b"\0" * 5000):
            self.path.write_bytes(junk)
            self.assertEqual(self.fresh().serials, frozenset())
        self.assertTrue(self.fresh().learn(self.signed({"1f": 1}).pem))
        self.flushLoggedErrors()

    def test_no_room(self) -> None:
        """A disk that takes nothing keeps nobody from knowing."""
        self.path.parent.write_bytes(b"")  # a file where a directory should be
        self.assertTrue(self.revoked.learn(self.signed({"1f": 1}).pem))
        self.assertEqual(self.revoked.serials, {"1f"})

    def test_parts(self) -> None:
        """A list is whole when all its parts have come; until then what was known before is known on."""
        signed = self.signed(many(3000), 1)
        self.revoked.learn(self.signed({"1f": 1}).pem)
        self.assertTrue(self.revoked.learn(signed.pem))
        self.assertEqual(self.revoked.serials, {"1f", *signed.recent})
        for text in list(signed.parts.values())[1:]:
            self.assertTrue(self.revoked.add_part(text))
            self.assertFalse(self.revoked.add_part(text))
        assert self.revoked.whole is not None
        self.assertEqual((self.revoked.whole.serials, self.revoked.missing), ({"1f"}, signed.digests[:1]))
        again = self.fresh()
        self.assertEqual((again.serials, again.missing), ({"1f", *signed.recent}, signed.digests))
        self.assertTrue(self.revoked.add_part(signed.parts[signed.digests[0]]))
        for known in (self.revoked, self.fresh()):
            self.assertEqual((known.whole, known.serials, known.missing), (signed, signed.serials, ()))

    def test_parts_are_used_again(self) -> None:
        """A later list needs only those parts that are new."""
        first = self.signed(many(3000))
        self.revoked.take(first)
        second = self.authority.revocations(many(3001), now=NOW + 1, before=first)
        self.revoked.learn(second.pem)
        self.assertEqual((self.revoked.whole, self.revoked.missing), (second, ()))

    def test_spoilt_part(self) -> None:
        """A part that was spoilt on the disk is asked for again."""
        signed = self.signed(many(3000))
        self.revoked.take(signed)
        self.path.write_text(self.path.read_text()[:-20])
        again = self.fresh()
        self.assertEqual((again.whole, len(again.missing)), (None, 1))
