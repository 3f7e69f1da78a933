"""The list of what is revoked, where the CA is."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.pki.authority import DAY
from morphnet.pki.revocations import Draft, RevocationList, draft_revocations
from morphnet.roles.certificates.publishing import KEPT, SIGNED, Publisher
from morphnet.store.base import CertificateRecord
from tests.fakes_pki import NOW, an_authority
from tests.fakes_revoking import Process
from tests.pki.test_policy import packed


def record(serial: str, revoked_at: float = 0, not_after: float = NOW + DAY) -> CertificateRecord:
    """Of one certificate."""
    return CertificateRecord(serial, "laptop", "client", int(not_after), int(revoked_at))


class PublisherTests(SynchronousTestCase):
    def setUp(self) -> None:
        """The CA's host, on which nothing was ever revoked."""
        self.authority, self.dir = an_authority(), Path(self.mktemp())
        self.signatures = 0
        self.publisher = self.make()

    def make(self, *, sign: bool = True) -> Publisher:
        """A process there."""
        return Publisher(self.dir, lambda: [self.authority.certificate], self.sign if sign else None)

    def sign(self, draft: Draft) -> RevocationList:
        """Counted."""
        self.signatures += 1
        self.vouched = draft.vouched
        return self.authority.sign_revocations(draft)

    def publish(self, *records: CertificateRecord, now: float = NOW) -> RevocationList:
        """What comes of it."""
        signed = self.publisher.publish(records, now)
        assert signed is not None
        return signed

    def test_nothing(self) -> None:
        """Where nothing was revoked there is no list, and none is signed."""
        self.assertIsNone(self.publisher.publish([record("1f")], NOW))
        self.assertEqual((self.signatures, (self.dir / SIGNED).exists()), (0, False))

    def test_policy(self) -> None:
        """A list is signed for a new policy, once; it stays in every later one, and what others have heard as well."""
        first = self.publisher.publish([], NOW, policy=packed(5))
        assert first is not None
        self.assertEqual((first.policy, self.publisher.publish([], NOW + 1), self.signatures), (packed(5), first, 1))
        second = self.publish(record("1f", NOW), now=NOW + 1)
        self.assertEqual((second.policy, self.vouched), (packed(5), first.pem))
        process = Process(self.authority, self.dir / "p", Clock())
        later = self.authority.sign_revocations(draft_revocations({}, None, now=NOW, policy=packed(9)))
        process.exchange.publish(later)
        process.exchange.publish(second)
        self.publisher.make_known([record("1f", NOW)], NOW + 2, process.exchange)
        last = self.publisher.last()
        assert last is not None
        self.assertEqual((last.policy, self.vouched, last.serials), (packed(9), later.pem, {"1f"}))

    def test_once(self) -> None:
        """A list is signed when there is something new to tell; the next process finds what one has signed."""
        first = self.publish(record("1f", NOW), record("2e"))
        self.assertEqual(first.entries, {"1f": NOW})
        self.assertEqual(self.publish(record("1f", NOW), record("2e"), now=NOW + 60), first)
        for publisher in (self.make(), self.make(sign=False)):
            self.assertEqual(publisher.publish([record("1f", NOW)], NOW + 60), first)
        self.assertEqual(self.signatures, 1)
        second = self.publish(record("1f", NOW), record("2e", NOW + 1), now=NOW + 1)
        self.assertEqual((second.serials, second.number > first.number), ({"1f", "2e"}, True))

    def test_expired(self) -> None:
        """Who has expired long ago leaves the list; a clock that was ahead once has nobody forgotten for good."""
        records = record("1f", NOW), record("2e", NOW, NOW + 400 * DAY)
        self.publish(*records)
        self.assertEqual(self.publish(*records, now=NOW + DAY + KEPT - 1).serials, {"1f", "2e"})
        ahead = self.publish(*records, now=NOW + DAY + KEPT)
        self.assertEqual(ahead.serials, {"2e"})
        back = self.publish(*records, now=NOW + 60)
        self.assertEqual((back.serials, back.number > ahead.number), ({"1f", "2e"}, True))

    def test_records_lost(self) -> None:
        """What an earlier list says stays revoked without its record, until it must have expired."""
        before = self.publish(record("1f", NOW))
        self.assertEqual(self.publish(), before)
        self.assertEqual(self.publish(record("1f"), record("2e", NOW + 1)).serials, {"1f", "2e"})
        self.assertEqual(self.publish(now=NOW + 500 * DAY).serials, frozenset())

    def test_list_lost(self) -> None:
        """A list that was lost or spoilt is signed anew from the records, and is a later one."""
        before = self.publish(record("1f", NOW))
        for spoil in (lambda: (self.dir / SIGNED).unlink(), lambda: (self.dir / SIGNED).write_bytes(b"\xff" * 99)):
            spoil()
            again = self.publish(record("1f", NOW), now=before.number / 1000 + 1)
            self.assertEqual((again.serials, again.number > before.number), ({"1f"}, True))
            before = again

    def test_others_know_more(self) -> None:
        """A list of ours that others have, and we lost, is taken over: the next is later, and has all of it."""
        clock = Clock()
        process = Process(self.authority, self.dir / "ours", clock)
        lost = self.authority.revocations({"1f": int(NOW)}, now=NOW + 1e6)
        process.exchange.publish(lost)
        self.assertTrue(self.publisher.is_behind(process.exchange))
        self.publisher.make_known([record("2e", NOW)], NOW + 1, process.exchange)
        self.assertFalse(self.publisher.is_behind(process.exchange))
        whole = process.exchange.revoked.whole
        assert whole is not None
        self.assertEqual((whole.serials, whole.number), ({"1f", "2e"}, lost.number + 1))

    def test_cannot_sign(self) -> None:
        """Where the CA cannot sign now, the last list is told on, and the trouble is in the log."""

        def refuse(draft: Draft) -> RevocationList:
            raise ConfigError("the CA is not good at this time")

        process = Process(self.authority, self.dir / "ours", Clock())
        publisher = Publisher(self.dir, lambda: [self.authority.certificate], refuse)
        self.assertRaises(ConfigError, publisher.publish, [record("1f", NOW)], NOW)
        publisher.make_known([record("1f", NOW)], NOW, process.exchange)
        self.assertEqual(process.serials, frozenset())

    def test_cannot_write(self) -> None:
        """A directory that cannot be made is one sentence."""
        self.dir.write_bytes(b"")
        self.assertRaises(HostError, self.publisher.publish, [record("1f", NOW)], NOW)
