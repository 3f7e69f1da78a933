"""A policy as it travels in the signed list of revocations, and the sequence that never goes back."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import Policy, Rule, from_toml
from morphnet.errors import ConfigError, Refused
from morphnet.pki.policy import (
    LONGEST,
    Published,
    latest,
    pack,
    read_published,
    sequence_of,
    unpack,
    write_published,
)
from morphnet.pki.revocations import LONGEST as LONGEST_LIST
from morphnet.pki.revocations import Draft, draft_revocations, list_policy, read_revocations
from morphnet.pki.rotation import Authorities
from morphnet.pki.signing import Signer
from tests.fakes_pki import NOW, LooseBook, an_authority
from tests.pki.test_revocations import many

POLICY = from_toml('[[allow]]\nfrom = "laptop"\nto = "home"\nports = "22/tcp"')


def packed(sequence: int, policy: Policy = POLICY) -> bytes:
    return pack(Published(sequence, policy))


class PackTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What is packed is what is read."""
        self.assertEqual(unpack(packed(7)), Published(7, POLICY))
        self.assertEqual((sequence_of(packed(7)), sequence_of(b"x"), sequence_of(b"")), (7, 0, 0))
        self.assertEqual((latest([b"", packed(3), packed(9), b"?" * 20]), latest([])), (packed(9), b""))

    def test_refused(self) -> None:
        """What cannot be read is refused, also what would fill the memory."""
        good = packed(7)
        bomb = good[:9] + zlib.compress(bytes(1 << 22))
        other = good[:9] + zlib.compress(b'{"allow":[{"from":["a"],"to":["b"],"when":"noon"}]}')
        for each in (b"", good[:20], good[:9], b"\2" + good[1:], good + b"x", bomb, other, good + bytes(LONGEST)):
            self.assertRaises(Refused, unpack, each)

    def test_too_long(self) -> None:
        """One that no list could hold is not packed."""
        rules = [Rule(each, (f"{hash(str(each)) & (1 << 60) - 1:x}",), ("*",), ("1/tcp",)) for each in range(2000)]
        self.assertRaises(ConfigError, packed, 7, Policy(rules))

    def test_kept(self) -> None:
        """Where the CA is."""
        home = Path(self.mktemp())
        home.mkdir()
        self.assertEqual(read_published(home), b"")
        write_published(home, packed(7))
        self.assertEqual(read_published(home), packed(7))
        write_published(home, b"junk")
        self.assertRaises(ConfigError, read_published, home)


class SignedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = an_authority()

    def signer(self, policy: bytes = b"") -> Signer:
        cas = [self.authority.certificate]
        return Signer(Authorities(self.authority), cas, LooseBook(), lambda: NOW, policy)

    def test_in_the_list(self) -> None:
        """The list that is signed has the policy, and still fits into a message with all that is revoked."""
        longest = packed(7) + bytes(LONGEST - len(packed(7)))  # nobody looks into it on the way
        revoked = many(3000)
        draft = draft_revocations(revoked, None, now=NOW)
        signed = self.signer(longest).revocations(draft)
        read = read_revocations(signed.pem, self.authority.certificate)
        self.assertEqual(
            (read.policy, list_policy(signed.pem), len(signed.pem) <= LONGEST_LIST), (longest,) * 2 + (True,)
        )
        for text in signed.parts.values():
            read = read.with_part(text)
        self.assertEqual((read.number, read.entries), (draft.number, revoked))

    def test_who_asks_is_not_trusted(self) -> None:
        """The policy is the published one, whatever is asked; a later one only if a list of ours vouches for it."""
        draft = Draft(7, NOW, {}, {}, policy=packed(99, Policy(is_open=True)))
        self.assertEqual(self.signer().revocations(draft).policy, b"")
        self.assertEqual(self.signer(packed(5)).revocations(draft).policy, packed(5))
        lists = [self.signer(packed(each)).revocations(Draft(7, NOW, {}, {})).pem for each in (4, 9)]
        found = [self.signer(packed(5)).revocations(replace(draft, vouched=each)).policy for each in lists]
        self.assertEqual(found, [packed(5), packed(9)])
        foreign = an_authority(2).revocations([], now=NOW).pem
        self.assertRaises(Refused, self.signer(packed(5)).revocations, replace(draft, vouched=foreign))

    def test_no_policy(self) -> None:
        """A list of a network without one is as it always was."""
        self.assertEqual(self.authority.revocations(["1f"], now=NOW).policy, b"")
