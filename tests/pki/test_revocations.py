"""Lists of what is revoked."""

from __future__ import annotations

from base64 import b64encode

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.pki.revocations import (
    LONGEST,
    MOST_PARTS,
    PART,
    RECENT,
    RevocationList,
    as_text,
    digest_of,
    draft_revocations,
    from_text,
    read_revocations,
)
from tests.fakes_pki import NOW, an_authority

SERIALS = st.sets(st.integers(1, (1 << 159) - 1).map(lambda number: format(number, "x")), max_size=20)
TEXT = 61440  # characters that one message takes of a part


def many(count: int, first: int = 0) -> dict[str, int]:
    """So many certificates with serials as long as they get, each revoked a second after the one before."""
    return {format((1 << 159) - 1 - number, "x"): int(NOW) + number for number in range(first, first + count)}


class RevocationTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two networks."""
        self.ours, self.theirs = an_authority(1), an_authority(2)

    @given(SERIALS)
    def test_round_trip(self, serials: set[str]) -> None:
        """What is signed is what is read, by whoever has the CA's certificate."""
        signed = self.ours.revocations(serials, now=NOW)
        read = read_revocations(signed.pem, self.ours.certificate)
        self.assertEqual((read.serials, read.number), (serials, int(NOW * 1000)))

    def test_unknown_version(self) -> None:
        """A list of a version that nobody knows is refused like any other that cannot be read."""
        der = bytearray(
            x509.load_pem_x509_crl(self.ours.revocations({"1f"}, now=NOW).pem.encode()).public_bytes(Encoding.DER)
        )
        der[der.index(b"\x02\x01\x01") + 2] = 0x41
        pem = "-----BEGIN X509 CRL-----\n" + b64encode(bytes(der)).decode() + "\n-----END X509 CRL-----\n"
        self.assertRaises(Refused, read_revocations, pem, self.ours.certificate)

    def test_times(self) -> None:
        """When each certificate was revoked is in the list."""
        revoked = {"1f": int(NOW) - 5, "2e": int(NOW)}
        signed = self.ours.revocations(revoked, now=NOW)
        self.assertEqual(read_revocations(signed.pem, self.ours.certificate).entries, revoked)

    def test_later_is_higher(self) -> None:
        """A later list has a higher number."""
        numbers = [self.ours.revocations({"1f"}, now=NOW + after).number for after in (0, 0.002, 1)]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_clock_was_ahead(self) -> None:
        """A list that is signed after the clock went back, or twice within a moment, is later all the same."""
        before = self.ours.revocations({"1f"}, now=NOW + 86400)
        for now in (NOW, NOW + 86400, NOW - 1e9):
            self.assertEqual(self.ours.revocations({"1f"}, now=now, before=before).number, before.number + 1)

    def test_old_copy(self) -> None:
        """A list that follows an old copy of the last one is later than all that were signed since."""
        copy = self.ours.revocations({"1f"}, now=NOW)
        lost = copy
        for turn in range(1, 9):
            lost = self.ours.revocations({"1f"}, now=NOW + turn, before=lost)
        self.assertGreater(self.ours.revocations({"1f"}, now=NOW + 60, before=copy).number, lost.number)

    def test_foreign(self) -> None:
        """A list of another network is refused, also when that one calls itself as ours does."""
        signed = self.theirs.revocations({"1f"}, now=NOW)
        self.assertEqual(self.theirs.certificate.subject, self.ours.certificate.subject)
        self.assertRaises(Refused, read_revocations, signed.pem, self.ours.certificate)
        self.assertRaises(Refused, read_revocations, signed.pem)
        both = read_revocations(signed.pem, self.ours.certificate, self.theirs.certificate)
        self.assertEqual(both.serials, {"1f"})

    def test_changed(self) -> None:
        """A list in which one letter is another one is refused."""
        pem = self.ours.revocations({"1f", "2e"}, now=NOW).pem
        lines = pem.splitlines()
        for turn in range(1, len(lines) - 1):
            letter = "A" if lines[turn][5] != "A" else "B"
            bad = [*lines[:turn], lines[turn][:5] + letter + lines[turn][6:], *lines[turn + 1 :]]
            self.assertRaises(Refused, read_revocations, "\n".join(bad) + "\n", self.ours.certificate)

    @given(st.text(max_size=300))
    def test_junk(self, text: str) -> None:
        """What is no list is refused, and nothing else happens."""
        self.assertRaises(Refused, read_revocations, text, self.ours.certificate)
        self.assertRaises(Refused, from_text, text, self.ours.certificate)
        self.assertRaises(Refused, read_revocations, "A" * (LONGEST + 1), self.ours.certificate)


class PartTests(SynchronousTestCase):
    """Lists that are longer than a message."""

    def setUp(self) -> None:
        """A network that revokes much."""
        self.ca = an_authority()

    def signed(self, revoked: dict[str, int], before: RevocationList | None = None) -> RevocationList:
        """The list of all that."""
        return self.ca.revocations(revoked, now=NOW, before=before)

    def fetched(self, signed: RevocationList) -> RevocationList:
        """What one has who has read the list and got all its parts."""
        read = read_revocations(signed.pem, self.ca.certificate)
        for text in signed.parts.values():
            read = read.with_part(text)
        return read

    def test_any_size(self) -> None:
        """However many are revoked, list and parts fit into messages, and together they say all of it."""
        for count in (1, RECENT, RECENT + 1, 2 * RECENT, 10_000):
            revoked = many(count)
            signed = self.signed(revoked)
            self.assertLessEqual(len(signed.pem), LONGEST, count)
            self.assertLessEqual(max(map(len, signed.parts.values()), default=0), TEXT)
            self.assertEqual(self.fetched(signed).entries, revoked)

    def test_short_ones_stay_as_they_were(self) -> None:
        """A list that fits into a message has no parts: nodes of before read all of it."""
        self.assertEqual(self.signed(many(RECENT)).digests, ())

    def test_newest_in_the_list(self) -> None:
        """What was revoked last is in the list itself, at least half of what it can hold: nodes of before read that."""
        signed = self.signed(many(10_000))
        self.assertLessEqual(set(many(RECENT // 2, 10_000 - RECENT // 2)), set(signed.recent))

    def test_parts_stay(self) -> None:
        """One more revocation changes no part; RECENT more change one that was not full, and no other."""
        before = self.signed(many(10_000))
        one = self.signed(many(10_001), before)
        self.assertEqual(one.digests, before.digests)
        more = self.signed(many(10_000 + RECENT), before)
        self.assertLessEqual(len(set(before.digests) - set(more.digests)), 1)
        self.assertLessEqual(len(set(more.digests) - set(before.digests)), 2)
        self.assertEqual(self.fetched(more).entries, many(10_000 + RECENT))

    def test_one_by_one(self) -> None:
        """A list that grows by one a time never holds more parts than it needs, and forgets nothing."""
        known = None
        for count in range(1, 3000, 23):
            known = self.signed(many(count), known)
            self.assertLessEqual(len(known.digests), count // PART + 1)
        assert known is not None
        self.assertEqual(known.entries, many(count))

    def test_expired_leave(self) -> None:
        """A part goes when more than half of it need not be known any more; what is left of it stays known."""
        revoked = many(RECENT + PART)
        before = self.signed(revoked)
        (digest,) = [each for each, text in before.parts.items() if text.count("\n") == PART]
        inside = [serial for serial, _ in (line.split() for line in before.parts[digest].splitlines())]
        some = {serial: at for serial, at in revoked.items() if serial not in inside[: PART // 2 - 1]}
        self.assertIn(digest, self.signed(some, before).digests)
        few = {serial: at for serial, at in revoked.items() if serial not in inside[: PART // 2 + 1]}
        after = self.signed(few, before)
        self.assertNotIn(digest, after.digests)
        self.assertEqual(after.entries, few)

    def test_more_than_there_is_room(self) -> None:
        """Beyond what fits the last ones are told of, and the list can be signed all the same."""
        texts = [f"{turn:x} 1\n" * PART for turn in range(MOST_PARTS)]
        before = RevocationList(1, "", {}, (), {digest_of(text): text for text in texts})
        revoked = {format(turn, "x"): 1 for turn in range(MOST_PARTS)} | many(2 * RECENT)
        draft = draft_revocations(revoked, before, now=NOW)
        self.assertEqual(len(draft.parts), MOST_PARTS)
        self.assertLessEqual(len(self.ca.sign_revocations(draft).pem), LONGEST)

    def test_missing(self) -> None:
        """Who has the list alone knows what is missing; a part of another list is refused, and so is a changed one."""
        signed = self.signed(many(3000))
        read = read_revocations(signed.pem, self.ca.certificate)
        self.assertEqual(read.missing, signed.digests)
        first = signed.parts[signed.digests[0]]
        self.assertEqual(read.with_part(first).missing, signed.digests[1:])
        self.assertRaises(Refused, read.with_part, first.replace("7", "8", 1))
        self.assertRaises(Refused, self.signed(many(1)).with_part, first)
        self.assertNotEqual(digest_of("\u00e9"), signed.digests[0])  # no text breaks it

    def test_file(self) -> None:
        """A file holds list and parts; a part that was spoilt is missing, the others are there."""
        for count in (1, 3000):
            signed = self.signed(many(count))
            self.assertEqual(from_text(as_text(signed), self.ca.certificate), signed)
        self.assertEqual(len(signed.parts), 3)
        spoilt = as_text(signed)[:-20]
        self.assertEqual(len(from_text(spoilt, self.ca.certificate).missing), 1)
