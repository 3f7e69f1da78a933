"""The signer: an answer to whatever is asked."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.pki.authority import as_pem, describe, make_request, read_description
from morphnet.pki.revocations import read_revocations
from morphnet.pki.rotation import Authorities
from morphnet.pki.signer import answer
from morphnet.pki.signing import Signer
from tests.fakes_pki import NOW, LooseBook, a_key, an_authority, an_invitation

_FIELDS = ("shown", "csr", "addresses", "number", "at", "recent", "parts")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority, self.book = an_authority(), LooseBook()
        self.signer = Signer(Authorities(self.authority), [self.authority.certificate], self.book, lambda: NOW)
        self.invited = describe(an_invitation(self.authority).certificate).pem
        self.csr = make_request(a_key(9), "laptop")

    def _ask(self, **asked: object) -> dict[str, Any]:
        return answer(json.dumps(asked).encode() + b"\n", lambda: self.signer)

    def test_join(self) -> None:
        """An invitation and a request become a certificate, once."""
        asked = {"ask": "join", "shown": self.invited, "csr": self.csr, "addresses": ["10.73.0.2"]}
        found = read_description(self._ask(**asked)["certificate"])
        self.assertEqual((found.name, found.addresses), ("laptop", ("10.73.0.2",)))
        self.assertEqual(list(self._ask(**asked)), ["refused"])

    def test_renew(self) -> None:
        """So do a certificate that is due and a request of its key."""
        due = self.authority.client(a_key(9).public_key(), "laptop", now=NOW)
        self.signer = Signer(
            Authorities(self.authority), [self.authority.certificate], self.book, lambda: NOW + 300 * 86400
        )
        said = self._ask(ask="renew", shown=as_pem(due).decode(), csr=self.csr, addresses=[])
        self.assertEqual(read_description(said["certificate"]).name, "laptop")

    def test_revocations(self) -> None:
        """A draft becomes a list."""
        said = self._ask(ask="revocations", number=7, at=NOW, recent={"ab": int(NOW)}, parts={})
        found = read_revocations(said["crl"], self.authority.certificate)
        self.assertEqual((found.number, found.serials, said["recent"]), (7, {"ab"}, {"ab": int(NOW)}))

    def test_no_other_verb(self) -> None:
        """Nothing else is signed: no invitation, no server, no CA."""
        for verb in ("invite", "server", "ca", "sign", "", None, ["join"]):
            self.assertEqual(list(self._ask(ask=verb, shown=self.invited, csr=self.csr, addresses=[])), ["refused"])
        self.assertEqual(self.book.signed, {})

    def test_trouble(self) -> None:
        """What the operator must know is told as such."""

        def broken() -> Signer:
            raise ConfigError("there is no CA")

        self.assertEqual(answer(b'{"ask": "join"}', broken), {"trouble": "there is no CA"})

    @settings(deadline=None)
    @given(st.binary(max_size=60) | _JSON.map(lambda it: json.dumps(it).encode()))
    def test_rubbish(self, request: bytes) -> None:
        """Whatever comes, there is one answer, and nothing is signed."""
        self.assertEqual(list(answer(request, lambda: self.signer)), ["refused"])

    @settings(deadline=None)
    @given(st.sampled_from(("join", "renew", "revocations")), st.dictionaries(st.sampled_from(_FIELDS), _JSON))
    def test_rubbish_in_fields(self, verb: str, fields: dict[str, Any]) -> None:
        """The same for each field."""
        said = answer(json.dumps({"ask": verb, **fields}).encode(), lambda: self.signer)
        self.assertIn(list(said), (["refused"], ["crl", "recent"]))
        self.assertEqual(self.book.signed, {})

    def test_numbers_without_end(self) -> None:
        """Numbers that no date can be are refused."""
        for at in (1e300, -1e300, 1e18, -1e18, -1.0, True, 10**30, float("inf"), float("nan"), "x", None):
            for recent in ({}, {"ab": at}, {"-1": 5}, {"x": 5}):
                said = self._ask(ask="revocations", number=7, at=at, recent=recent, parts={})
                self.assertEqual(list(said), ["refused"], (at, recent))
