"""A node that is at a relay."""

from __future__ import annotations

from hashlib import sha256
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.relay.members import LATE, MOST_RECENT, Freshness, Line, Member
from morphnet.wire.candidates import SERVER_REFLEXIVE, Candidate
from morphnet.wire.echo import Asked
from morphnet.wire.messages.relay import DATAGRAMS, EVERYBODY, address, number_of
from tests.rendezvous.relay.case import FakeLine


class FreshnessTests(SynchronousTestCase):
    def test_held_back(self) -> None:
        """One that was held back for long is none any more; without turns, what was long ago is forgotten."""
        fresh = Freshness()
        self.assertTrue(fresh.take(Asked(bytes(8), 0, 1 << 40)))
        self.assertFalse(fresh.take(Asked(bytes(8), 0, (1 << 40) - LATE)))
        for step in range(3 * MOST_RECENT):
            self.assertTrue(fresh.take(Asked(sha256(step.to_bytes(8, "big")).digest()[:8], 0, 0)))
        self.assertEqual(len(fresh._recent), 8 * MOST_RECENT)


class MemberTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.line = FakeLine("anna")
        self.member = Member(cast(Line, self.line), 7, "1" * 16, frozenset(["bert"]), b"", b"")

    def test_present(self) -> None:
        """Others are told where its line comes from, and what its sockets are mapped to."""
        self.member.mapped[0] = Candidate(SERVER_REFLEXIVE, "203.0.113.9", 4500)
        self.assertEqual(self.member.present().observed, ("line 203.0.113.9 50000", "observed 203.0.113.9 4500"))

    def test_wants(self) -> None:
        """It has to do with those whom it watches, or with everybody."""
        self.assertEqual((self.member.wants("bert"), self.member.wants("carl")), (True, False))
        self.member.watch = frozenset([EVERYBODY])
        self.assertTrue(self.member.wants("carl"))

    def test_hand(self) -> None:
        """An envelope arrives with the sender's number in place of its own."""
        self.assertTrue(self.member.hand(address(7, DATAGRAMS, b"sealed"), 5))
        (handed,) = self.line.handed
        self.assertEqual(number_of(handed), 5)
