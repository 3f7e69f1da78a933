"""Lists of what is revoked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.pki.revocations import LONGEST, read_revocations
from tests.fakes_pki import NOW, an_authority

SERIALS = st.sets(st.integers(1, (1 << 159) - 1).map(lambda number: format(number, "x")), max_size=20)


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

    def test_later_is_higher(self) -> None:
        """A later list has a higher number."""
        numbers = [self.ours.revocations({"1f"}, now=NOW + after).number for after in (0, 0.002, 1)]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_foreign(self) -> None:
        """A list of another network is refused, also when that one calls itself as ours does."""
        signed = self.theirs.revocations({"1f"}, now=NOW)
        self.assertEqual(self.theirs.certificate.subject, self.ours.certificate.subject)
        self.assertRaises(Refused, read_revocations, signed.pem, self.ours.certificate)

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
        self.assertRaises(Refused, read_revocations, "A" * (LONGEST + 1), self.ours.certificate)
