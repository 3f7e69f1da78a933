"""What the CA's key is used for, whoever asks."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.pki.authority import (
    CLIENT_LIFETIME,
    Authority,
    Issued,
    as_pem,
    describe,
    make_request,
    read_description,
    serial_text,
)
from morphnet.pki.book import RELEASE, REVOKE, Entry
from morphnet.pki.revocations import RECENT, Draft, RevocationList, digest_of, read_revocations
from morphnet.pki.rotation import Authorities
from morphnet.pki.signing import PAUSE, REMEMBERED, Signer
from tests.fakes_pki import NOW, LooseBook, a_key, an_authority, an_invitation

KEY = 9
DUE = CLIENT_LIFETIME * 0.7  # seconds after which a certificate is renewed
INNER = ("10.73.0.2", "fd73::2")


def _pem(certificate: x509.Certificate) -> str:
    return as_pem(certificate).decode()


class SignerTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A network, its book empty."""
        self.now, self.book, self.authority = NOW, LooseBook(), an_authority(now=NOW - 30 * 86400)
        self.signer = self._signer(self.authority)

    def _signer(self, authority: Authority, *older: x509.Certificate) -> Signer:
        return Signer(Authorities(authority), [authority.certificate, *older], self.book, lambda: self.now)

    def _invited(self, name: str = "laptop", authority: Authority | None = None, seed: int = 77) -> str:
        return _pem(an_invitation(authority or self.authority, name, now=self.now, seed=seed).certificate)

    def _join(self, name: str = "laptop", inner: tuple[str, ...] = INNER, key: int = KEY) -> Issued:
        return self.signer.join(self._invited(name), make_request(a_key(key), name), inner)

    def _renew(self, pem: str, key: int = KEY, inner: tuple[str, ...] = ()) -> Issued:
        return self.signer.renew(pem, make_request(a_key(key), "whoever"), inner)

    def _says(self, reason: str, *arguments: object) -> None:
        """Renewing with these arguments is refused for that reason, and nothing is signed."""
        before = len(self.book.signed)
        refused = self.assertRaises(Refused, self._renew, *arguments)
        self.assertEqual(refused.reason, reason)
        self.assertEqual(len(self.book.signed), before)

    def test_join(self) -> None:
        """An invitation is worth one client certificate, of its name and for the key of the request."""
        found = read_description(self._join().pem)
        self.assertEqual((found.kind, found.name, found.addresses), ("client", "laptop", INNER))
        self.assertEqual(found.not_after, NOW + CLIENT_LIFETIME)

    def test_join_once(self) -> None:
        """The same invitation is refused the second time, whoever brings it."""
        invited = self._invited()
        self.signer.join(invited, make_request(a_key(KEY), "laptop"))
        self.assertRaises(Refused, self.signer.join, invited, make_request(a_key(8), "laptop"))
        self.assertEqual(len(self.book.signed), 1)

    def test_join_with_what_is_none(self) -> None:
        """A client's certificate, another CA's invitation, one that has ended or was revoked: nothing is signed."""
        revoked = an_invitation(self.authority, seed=78).certificate
        self.book.take(Entry(int(NOW), REVOKE, "laptop", serial_text(revoked)))
        client = _pem(self.authority.client(a_key(KEY).public_key(), "laptop", now=NOW))
        server = _pem(self.authority.server(a_key(KEY).public_key(), ["gw"], now=NOW))
        late = _pem(an_invitation(self.authority, now=NOW - 2 * 86400).certificate)
        foreign = self._invited(authority=an_authority(2))
        for shown in (client, server, late, foreign, _pem(revoked), _pem(self.authority.certificate), "", "x" * 99999):
            self.assertRaises(Refused, self.signer.join, shown, make_request(a_key(KEY), "laptop"))
        self.assertEqual(self.book.signed, {})

    def test_addresses_are_of_one_name(self) -> None:
        """Inner addresses that a name has are signed for no other name, until root has released them."""
        self._join()
        for inner in (INNER, ("10.73.0.3", "fd73::2"), ("10.73.0.3", "10.73.0.4", "10.73.0.5"), ("gw.example",)):
            self.assertRaises(Refused, self._join, "thief", inner, 8)
        self.book.take(Entry(int(NOW), RELEASE, "laptop"))
        self.assertEqual(read_description(self._join("heir", INNER, 8).pem).addresses, INNER)

    def test_renew(self) -> None:
        """The next certificate differs from the present one in its serial and its dates, and in nothing else."""
        first = self._join()
        self.now += DUE
        second = self._renew(first.pem, inner=("10.73.0.9",))
        before, after = read_description(first.pem), read_description(second.pem)
        self.assertEqual(
            (after.kind, after.name, after.addresses, after.issuer),
            (before.kind, before.name, before.addresses, before.issuer),
        )
        self.assertEqual(after.not_after, self.now + CLIENT_LIFETIME)

    def test_renew_server(self) -> None:
        """A server's and a relay's keep every name, also when they have ended meanwhile."""
        present = self.authority.server(a_key(KEY).public_key(), ["gw", "gw.example", "192.0.2.1"], now=NOW)
        for later in (DUE, CLIENT_LIFETIME * 1.5):
            self.now = NOW + later
            found = x509.load_pem_x509_certificate(self._renew(_pem(present)).pem.encode())
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            self.assertEqual([str(each.value) for each in names], ["gw", "gw.example", "192.0.2.1"])
            self.assertEqual(describe(found).kind, "server")

    def test_renew_after_a_wrong_clock(self) -> None:
        """A server that signed for itself while its clock was years ahead gets a certificate that is good now."""
        present = self.authority.server(a_key(KEY).public_key(), ["gw"], now=NOW)
        self.now = NOW + 3 * CLIENT_LIFETIME
        ahead = self._renew(_pem(present))
        self.now = NOW + DUE
        self.assertLess(read_description(self._renew(ahead.pem).pem).not_before, self.now)

    def test_renew_with_what_is_none(self) -> None:
        """Another key, an invitation, another CA's, an ended or revoked one, the CA itself: nothing is signed."""
        first = self._join()
        self.now += DUE
        self._says("certificate request with another key", first.pem, 8)
        self._says("certificate of a wrong usage", self._invited())
        self._says("certificate of a wrong usage", _pem(self.authority.certificate))
        foreign = an_authority(2).client(a_key(KEY).public_key(), "laptop", now=NOW)
        self._says("certificate of a foreign CA", _pem(foreign))
        self._says("certificate that cannot be read", "-----BEGIN")
        self.now = NOW + CLIENT_LIFETIME
        self._says("certificate expired", first.pem)
        self.now = NOW + DUE
        self.book.take(Entry(int(self.now), REVOKE, "laptop", first.serial))
        self._says("certificate revoked", first.pem)

    def test_renew_when_due(self) -> None:
        """Nothing is signed before a third of a certificate's life is left."""
        first = self._join()
        self.now += CLIENT_LIFETIME / 2
        self._says("this certificate is good for long enough", first.pem)

    def test_renew_again_and_again(self) -> None:
        """Who lost the answer may ask again, each time after twice the time: 12 times in a certificate's last third."""
        first = self._join()
        self.now += DUE
        signed = 0
        for _ in range(int(CLIENT_LIFETIME * 0.3 / PAUSE)):
            try:
                self._renew(first.pem)
                signed += 1
            except Refused:
                pass
            self.now += PAUSE
        self.assertEqual(signed, 12)

    def test_renew_under_the_next_ca(self) -> None:
        """What an older CA of the network has signed is renewed at any time, under the one that signs now."""
        first = self._join()
        following = an_authority(2)
        self.signer = self._signer(following, self.authority.certificate)
        found = x509.load_pem_x509_certificate(self._renew(first.pem).pem.encode())
        found.verify_directly_issued_by(following.certificate)
        self.assertEqual(describe(found).addresses, INNER)

    def test_revocations(self) -> None:
        """A list has what was drafted and what the book knows: who asks cannot take a revocation back."""
        self.book.take(Entry(int(NOW), REVOKE, "laptop", "ab"))
        self.assertEqual(self._list(Draft(5, NOW, {"cd": int(NOW)}, {})).serials, {"ab", "cd"})
        self.assertEqual(self._list(Draft(6, NOW, {}, {})).serials, {"ab", "cd"})
        self.now += REMEMBERED
        self.assertEqual(self._list(Draft(7, self.now, {}, {})).serials, set())

    def test_revocations_in_parts(self) -> None:
        """What is in a part is not left out; what is left out of a full list is put in, and the rest into parts."""
        self.book.take(Entry(int(NOW), REVOKE, "laptop", "ab"))
        part = f"ab {int(NOW)}\n"
        self.assertEqual(self._list(Draft(5, NOW, {}, {digest_of(part): part})).recent, {})
        full = {format(serial, "x"): int(NOW) for serial in range(1000, 1000 + RECENT)}
        signed = self._list(Draft(6, NOW, full, {}))
        self.assertEqual((signed.serials, len(signed.digests)), ({*full, "ab"}, 1))

    def _list(self, draft: Draft) -> RevocationList:
        signed = self.signer.revocations(draft)
        return replace(read_revocations(signed.pem, self.authority.certificate), parts=signed.parts)
