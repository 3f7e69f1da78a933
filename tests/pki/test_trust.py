"""Several CAs of one network, and what may stand in a certificate's place."""

from __future__ import annotations

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, Refused
from morphnet.pki.authority import CLIENT_LIFETIME
from morphnet.pki.trust import bundle, check_among, check_successor, read_cas
from tests.fakes_pki import NOW, a_key, an_authority

LATER = NOW + CLIENT_LIFETIME * 0.7
KEY = a_key(9).public_key()


class BundleTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """Several CAs in one text come back in their order."""
        cas = [an_authority(seed).certificate for seed in (1, 2)]
        self.assertEqual(read_cas(bundle(cas)), cas)

    def test_rubbish(self) -> None:
        """What holds no CA is told with its name."""
        for pem in (b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n"):
            self.assertIn("/etc/ca.pem", str(self.assertRaises(ConfigError, read_cas, pem, "/etc/ca.pem")))

    def test_any_of_them(self) -> None:
        """A certificate of either CA is good; the reason for a refusal is that of the CA that has signed."""
        cas = [an_authority(seed).certificate for seed in (1, 2)]
        for seed in (1, 2):
            client = an_authority(seed).client(KEY, "laptop", now=NOW)
            self.assertEqual(check_among(client, cas, "client", "laptop", now=NOW).name, "laptop")
            refused = self.assertRaises(Refused, check_among, client, cas, "client", "other", now=NOW)
            self.assertEqual(refused.reason, "certificate of another name")
        refused = self.assertRaises(Refused, check_among, client, cas[:1], "client", "laptop", now=NOW)
        self.assertEqual(refused.reason, "certificate of a foreign CA")


class SuccessorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = an_authority(now=NOW - 30 * 86400)
        self.present = self.authority.client(KEY, "laptop", now=NOW, addresses=("10.73.0.2",))

    def _reason(self, successor: x509.Certificate, now: float = LATER) -> str:
        cas = [self.authority.certificate]
        return str(self.assertRaises(Refused, check_successor, successor, self.present, KEY, cas, now=now))

    def _next(
        self, name: str = "laptop", addresses: tuple[str, ...] = ("10.73.0.2",), seed: int = 9
    ) -> x509.Certificate:
        return self.authority.client(a_key(seed).public_key(), name, now=LATER, addresses=addresses)

    def test_good(self) -> None:
        """The same with later dates is taken."""
        found = check_successor(self._next(), self.present, KEY, [self.authority.certificate], now=LATER)
        self.assertEqual(found.not_after, LATER + CLIENT_LIFETIME)

    def test_bad(self) -> None:
        """Another CA, key, name, address or usage, or no better dates: the present one stays."""
        foreign = an_authority(2).client(KEY, "laptop", now=LATER, addresses=("10.73.0.2",))
        self.assertEqual(self._reason(foreign), "certificate of a foreign CA")
        self.assertEqual(self._reason(self._next(seed=8)), "certificate for another key")
        self.assertEqual(self._reason(self._next("other")), "certificate of another name")
        self.assertEqual(self._reason(self._next(addresses=("10.73.0.3",))), "certificate of other names")
        self.assertEqual(self._reason(self._next(addresses=())), "certificate of other names")
        self.assertEqual(self._reason(self._next(addresses=("10.73.0.2", "fd73::2"))), "certificate of other names")
        server = self.authority.server(KEY, ["laptop", "10.73.0.2"], now=LATER)
        self.assertEqual(self._reason(server), "certificate of a wrong usage")
        invitation = self.authority.invite(KEY, "laptop", now=LATER)
        self.assertEqual(self._reason(invitation), "certificate of a wrong usage")

    def test_dates(self) -> None:
        """One that has ended, has not begun, or ends sooner is refused."""
        self.assertEqual(self._reason(self._next(), LATER + CLIENT_LIFETIME), "certificate expired")
        self.assertEqual(self._reason(self._next(), LATER - 2 * 86400), "certificate not valid yet")
        older = self.authority.client(KEY, "laptop", now=NOW - 86400, addresses=("10.73.0.2",))
        self.assertEqual(self._reason(older, NOW), "certificate that ends sooner than the present one")

    def test_sooner_after_a_wrong_clock(self) -> None:
        """One that has not begun is replaced by one that is good now, though that ends sooner."""
        self.present = self.authority.client(KEY, "laptop", now=LATER, addresses=("10.73.0.2",))
        now = LATER - 30 * 86400
        following = self.authority.client(KEY, "laptop", now=now, addresses=("10.73.0.2",))
        check_successor(following, self.present, KEY, [self.authority.certificate], now=now)

    def test_addresses_added(self) -> None:
        """A certificate without inner addresses may get some."""
        self.present = self.authority.client(KEY, "laptop", now=NOW)
        check_successor(self._next(), self.present, KEY, [self.authority.certificate], now=LATER)
