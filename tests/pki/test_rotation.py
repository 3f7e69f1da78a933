"""From one CA to the next, on the disk of the CA's host and at every machine."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from morphnet.durable import make_directory
from morphnet.errors import ConfigError, Refused
from morphnet.pki.authority import CA_LIFETIME, DAY, Authority, describe, make_request, network_of, read_description
from morphnet.pki.files import CA, key_path, load_authority, trusted_cas, write_certificate, write_key
from morphnet.pki.revocations import Draft, read_revocations
from morphnet.pki.rotation import BEFORE, MARGIN, finish, follow, load_authorities, rotate, write_trusted
from morphnet.pki.signing import GOOD, Signer
from morphnet.pki.trust import networks_of
from tests.fakes_pki import NOW, LooseBook, a_key, an_authority, an_invitation

LATER = NOW + 700 * DAY


class RotationTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A network of two years."""
        self.pki_dir, self.now = Path(self.mktemp()) / "pki", LATER
        make_directory(self.pki_dir)
        self.first = an_authority()
        write_key(self.pki_dir, CA, a_key(1))
        write_certificate(self.pki_dir, CA, self.first.certificate)

    def _rotate(self, seed: int = 2) -> Authority:
        return rotate(self.pki_dir, "gw", a_key(seed), now=self.now).newest

    def _signer(self) -> Signer:
        book, wall = LooseBook(), lambda: self.now
        return Signer(load_authorities(self.pki_dir, now=self.now), trusted_cas(self.pki_dir), book, wall)

    def _renewed_by(self, kind: str, by: Authority) -> str:
        """Key identifier of the CA that signs the successor of a certificate."""
        make = by.server if kind == "server" else lambda key, names, now: by.client(key, names[0], now=now)
        present = make(a_key(9).public_key(), ["anna"], now=self.now)
        return read_description(self._signer().renew(describe(present).pem, make_request(a_key(9), "anna")).pem).issuer

    def test_steps(self) -> None:
        """Beside the first, then without its key, then alone."""
        second = self._rotate()
        self.assertEqual(trusted_cas(self.pki_dir), [second.certificate, self.first.certificate])
        self.assertEqual(key_path(self.pki_dir, BEFORE).stat().st_mode & 0o777, 0o600)
        self.assertEqual(len(finish(self.pki_dir, now=self.now)), 2)
        self.assertEqual(key_path(self.pki_dir, BEFORE).read_bytes(), b"")
        self.assertEqual(finish(self.pki_dir, now=self.now), [second.certificate])
        self.assertEqual(load_authority(self.pki_dir).certificate, second.certificate)
        self.assertRaises(ConfigError, finish, self.pki_dir, now=self.now)

    def test_not_twice(self) -> None:
        """There is no third CA before the first is done with; then there may be."""
        self._rotate()
        self.assertRaises(ConfigError, self._rotate, 3)
        finish(self.pki_dir, now=self.now)
        self.assertRaises(ConfigError, self._rotate, 3)
        finish(self.pki_dir, now=self.now)
        third = self._rotate(3)
        self.assertEqual(set(networks_of([third.certificate]).values()), {network_of(self.first.certificate)})

    def test_cut_short(self) -> None:
        """A rotation that a crash has cut short is none: the first CA signs, and the next try is a whole one."""
        following = Authority.found("gw", a_key(5), x509.random_serial_number, now=self.now)
        write_key(self.pki_dir, BEFORE, a_key(1))
        write_trusted(self.pki_dir, [following.certificate, self.first.certificate])
        self.assertEqual(load_authority(self.pki_dir).certificate, self.first.certificate)
        second = self._rotate()
        self.assertEqual(trusted_cas(self.pki_dir), [second.certificate, self.first.certificate])

    def test_one_network(self) -> None:
        """Both CAs stand for the network of the first, also when the second is alone."""
        network, second = network_of(self.first.certificate), self._rotate()
        ids = {network_of(each): network for each in (self.first.certificate, second.certificate)}
        self.assertEqual(networks_of(trusted_cas(self.pki_dir)), ids)
        finish(self.pki_dir, now=self.now)
        finish(self.pki_dir, now=self.now)
        self.assertEqual(networks_of(trusted_cas(self.pki_dir)), {network_of(second.certificate): network})

    def test_who_signs(self) -> None:
        """Machines go over at once, servers when the first CA's key is gone or its end near."""
        second = self._rotate()
        of_first, of_second = (network_of(each.certificate) for each in (self.first, second))
        self.assertEqual(self._renewed_by("client", self.first), of_second)
        self.assertRaisesRegex(Refused, GOOD, self._renewed_by, "server", self.first)
        self.assertRaisesRegex(Refused, GOOD, self._renewed_by, "client", second)
        joined = self._signer().join(
            describe(an_invitation(self.first, now=self.now).certificate).pem, make_request(a_key(9), "laptop")
        )
        self.assertEqual(read_description(joined.pem).issuer, of_first)  # the machine knows no other yet
        self.now = NOW + CA_LIFETIME - MARGIN + DAY
        self.assertEqual(self._renewed_by("server", self.first), of_second)
        self.now = LATER
        finish(self.pki_dir, now=self.now)
        self.assertEqual(self._renewed_by("server", self.first), of_second)

    def test_announced(self) -> None:
        """The list of revocations says whom to trust, under the key that all trust; before a rotation nothing."""
        self.assertEqual(self._signer().revocations(Draft(1, self.now, {}, {})).cas, ())
        second = self._rotate()
        pem = self._signer().revocations(Draft(2, self.now, {"ab": int(NOW)}, {})).pem
        found = read_revocations(pem, self.first.certificate)
        self.assertEqual((found.cas, found.serials), ((second.certificate, self.first.certificate), {"ab"}))
        finish(self.pki_dir, now=self.now)
        found = read_revocations(self._signer().revocations(Draft(3, self.now, {}, {})).pem, second.certificate)
        self.assertEqual(len(found.cas), 2)
        finish(self.pki_dir, now=self.now)
        found = read_revocations(self._signer().revocations(Draft(4, self.now, {}, {})).pem, second.certificate)
        self.assertEqual(found.cas, (second.certificate,))

    def test_room(self) -> None:
        """Two CAs fit into a full list."""
        self._rotate()
        full = {format(serial, "x"): int(NOW) for serial in range(1 << 150, (1 << 150) + 512)}
        signed = self._signer().revocations(Draft(2, self.now, full, {}))
        self.assertEqual(len(read_revocations(signed.pem, self.first.certificate).serials), 512)

    def test_follow(self) -> None:
        """A machine follows CAs that are good now, and neither those that it has nor what is none."""
        first, second = self.first.certificate, an_authority(2, now=LATER).certificate
        self.assertTrue(follow([first], [second, first], now=LATER))
        self.assertFalse(follow([second, first], [second, first], now=LATER))
        self.assertTrue(follow([second, first], [second], now=LATER))
        self.assertFalse(follow([first], [], now=LATER))
        self.assertFalse(follow([second], [first], now=NOW + CA_LIFETIME))
        client = self.first.client(a_key(9).public_key(), "anna", now=LATER)
        cross = _signed_by_another(second)
        for wrong in (client, cross):
            self.assertRaises(Refused, follow, [first], [wrong, first], now=LATER)


def _signed_by_another(ca: x509.Certificate) -> x509.Certificate:
    """A CA's certificate that it has not signed itself."""
    other = an_authority(7)
    return (
        x509.CertificateBuilder()
        .subject_name(ca.subject)
        .issuer_name(other.certificate.subject)
        .public_key(ca.public_key())
        .serial_number(5)
        .not_valid_before(ca.not_valid_before_utc)
        .not_valid_after(ca.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(a_key(7), None)
    )
