"""What an operator is told of certificates that end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.pki.authority import CA_LIFETIME, CLIENT_LIFETIME, DAY
from morphnet.pki.expiry import CA_SOON, SOON, trouble, troubles
from tests.fakes_pki import NOW, a_key, an_authority

ENDS = NOW + 100 * DAY


class TroubleTests(SynchronousTestCase):
    def test_in_time(self) -> None:
        """Nothing is said until 30 days before the end; then how many days there are, and what to do."""
        self.assertIsNone(trouble("it", ENDS, "cure", now=ENDS - SOON - 1))
        self.assertEqual(trouble("it", ENDS, "cure", now=ENDS - SOON), "it ends in 30 days, on 2027-04-25: cure")
        self.assertEqual(trouble("it", ENDS, "cure", now=ENDS - DAY), "it ends in 1 day, on 2027-04-25: cure")
        self.assertEqual(trouble("it", ENDS, "cure", now=ENDS - 1), "it ends in 0 days, on 2027-04-25: cure")

    def test_too_late(self) -> None:
        """Afterwards it has ended."""
        self.assertEqual(trouble("it", ENDS, "cure", now=ENDS), "it has ended on 2027-04-25: cure")

    def test_both(self) -> None:
        """A machine's own certificate and its CA, which is told of a year before: then certificates become shorter."""
        authority = an_authority()
        client = authority.client(a_key(9).public_key(), "laptop", now=NOW)
        ends = NOW + CLIENT_LIFETIME
        self.assertEqual(troubles(client, [authority.certificate], "cure", now=ends - SOON - 1), ())
        (own,) = troubles(client, [authority.certificate], "cure", now=ends - SOON)
        self.assertTrue(own.startswith("our certificate ends"), own)
        later = NOW + CA_LIFETIME - CA_SOON
        client = authority.client(a_key(9).public_key(), "laptop", now=later)
        (ca,) = troubles(client, [authority.certificate], "cure", now=later)
        self.assertIn("morphnet pki rotate", ca)
        self.assertEqual(
            troubles(client, [authority.certificate, an_authority(2, now=later).certificate], "", now=later), ()
        )
