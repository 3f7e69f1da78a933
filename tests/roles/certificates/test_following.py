"""How the announcement of another CA gets to every process, and what a process does with it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.durable import make_directory
from morphnet.errors import Refused
from morphnet.net.tls import Identity
from morphnet.ops.rundir import REVOKED
from morphnet.pki.authority import DAY, Authority, as_pem, describe, network_of
from morphnet.pki.files import CA, trusted_cas, write_certificate, write_key
from morphnet.pki.revocations import as_text
from morphnet.roles.certificates.publishing import SIGNED, Publisher
from morphnet.roles.certificates.renewal import Renewal
from morphnet.roles.certificates.revocation_file import Revoked
from tests.fakes_pki import NOW, a_key, an_authority

LATER = NOW + 100 * DAY


class _Shown:
    """Remembers what it shall show."""

    def __init__(self) -> None:
        self.identities: list[Identity] = []

    def use(self, identity: Identity) -> None:
        self.identities.append(identity)


class FollowingTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A machine of a network that has two CAs now, the first of which says so."""
        self.first, self.folder = an_authority(), Path(self.mktemp())
        self.second = Authority.found(
            "gw", a_key(2), iter(range(5, 99)).__next__, now=LATER, network=network_of(self.first.certificate)
        )
        self.both = (self.second.certificate, self.first.certificate)
        self.first.announced = self.both
        make_directory(self.folder)
        self.present = self.first.client(a_key(9).public_key(), "anna", now=NOW)
        write_key(self.folder, "anna", a_key(9))
        write_certificate(self.folder, "anna", self.present)
        write_certificate(self.folder, CA, self.first.certificate)
        self.shown = _Shown()
        self.renewal = Renewal(self.folder, "anna", self.shown, lambda: LATER)
        self.revoked = Revoked(lambda: trusted_cas(self.folder), self.folder / REVOKED, self.renewal.follow)

    def test_publish(self) -> None:
        """A list is signed though nobody more is revoked, once for each change of the CAs."""
        before = an_authority().revocations(("ab",), now=NOW)
        (self.folder / SIGNED).write_text(as_text(before))
        publisher = Publisher(self.folder, lambda: list(self.both), self.first.sign_revocations)
        signed = publisher.publish([], LATER)
        assert signed is not None
        self.assertEqual((signed.cas, signed.serials), (self.both, {"ab"}))
        self.assertEqual(publisher.publish([], LATER + 60), signed)
        self.second.announced = self.both
        (self.folder / SIGNED).write_text(as_text(self.second.revocations({"ab": int(NOW)}, now=LATER + 90)))
        self.second.announced = (self.second.certificate,)
        alone = Publisher(self.folder, lambda: [self.second.certificate], self.second.sign_revocations)
        following = alone.publish([], LATER + 120)
        assert following is not None
        self.assertEqual(following.cas, (self.second.certificate,))

    def test_follow(self) -> None:
        """Who hears of the second CA trusts it, shows that, and wants a certificate of it; then the second is alone."""
        self.assertIsNone(self.renewal.request())
        self.revoked.learn(self.first.revocations((), now=LATER).pem)
        self.assertEqual(tuple(trusted_cas(self.folder)), self.both)
        self.assertEqual(self.shown.identities[-1].ca, b"".join(map(as_pem, self.both)))
        self.assertEqual(set(self.shown.identities[-1].networks.values()), {network_of(self.first.certificate)})
        self.assertIsNotNone(self.renewal.request())
        renewed = self.second.client(a_key(9).public_key(), "anna", now=LATER)
        self.renewal.accept(describe(renewed).pem)
        self.assertIsNone(self.renewal.request())
        self.second.announced = (self.second.certificate,)
        self.revoked.learn(self.second.revocations((), now=LATER + 60).pem)
        self.assertEqual(trusted_cas(self.folder), [self.second.certificate])

    def test_nobody_else_announces(self) -> None:
        """A list of a stranger's, though it announces itself, and an older one of ours change nothing."""
        stranger = an_authority(7, now=LATER)
        stranger.announced = (stranger.certificate, self.first.certificate)
        self.assertRaises(Refused, self.revoked.learn, stranger.revocations((), now=LATER).pem)
        self.first.announced = ()
        self.revoked.learn(self.first.revocations(("ab",), now=LATER + 60).pem)
        self.first.announced = self.both
        self.assertFalse(self.revoked.learn(self.first.revocations((), now=LATER).pem))
        self.assertEqual(trusted_cas(self.folder), [self.first.certificate])

    def test_what_is_none(self) -> None:
        """An announcement of what is no CA is not followed, and the list counts all the same."""
        self.first.announced = (self.present,)
        self.revoked.learn(self.first.revocations(("ab",), now=LATER).pem)
        self.assertEqual(trusted_cas(self.folder), [self.first.certificate])
        self.assertEqual(self.revoked.serials, {"ab"})
