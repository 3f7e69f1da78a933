"""Joining with an invitation, and renewing."""

from __future__ import annotations

from cryptography import x509
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, Refused
from morphnet.pki.authority import CA_LIFETIME, check, describe, make_request, serial_text
from morphnet.rendezvous.enrolment import RENEWAL_PAUSE, Enrolment
from morphnet.store.base import CertificateRecord, Lease, PoolExhausted
from morphnet.store.memory import MemoryStore
from tests.fakes_pki import NOW, a_key, an_authority, an_invitation

REQUEST = make_request(a_key(9), "laptop")


class EnrolmentTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A network with one open invitation."""
        self.clock, self.store = Clock(), MemoryStore()
        self.clock.advance(NOW)
        self.authority = an_authority()
        self.enrolment = Enrolment(self.authority, self.store, self.clock.seconds)
        invitation = an_invitation(self.authority)
        self.serial = serial_text(invitation.certificate)
        self.store.add_certificate(CertificateRecord(self.serial, "laptop", "invite", int(invitation.not_after)))

    def _join(self, request: str = REQUEST) -> Deferred[str]:
        return Deferred.fromCoroutine(self.enrolment.join(self.serial, "laptop", request))

    def _renew(self, name: str = "laptop", request: str = REQUEST) -> Deferred[str]:
        return Deferred.fromCoroutine(self.enrolment.renew(name, request))

    def _leased(self, *leases: Lease | PoolExhausted) -> list[str]:
        """Those are the leases that there are from now on, one for each question; answers with who asked."""
        asked, given = list[str](), iter(leases)

        def lease(name: str) -> Deferred[Lease]:
            asked.append(name)
            found = next(given)
            return fail(found) if isinstance(found, PoolExhausted) else succeed(found)

        self.enrolment = Enrolment(self.authority, self.store, self.clock.seconds, lease)
        return asked

    def _addresses(self, pem: str) -> tuple[str, ...]:
        return describe(x509.load_pem_x509_certificate(pem.encode())).addresses

    def _records(self) -> list[CertificateRecord]:
        return [each for each in self.successResultOf(self.store.certificates()) if each.kind == "client"]

    def test_join(self) -> None:
        """The machine gets a client certificate for its own key, and the store knows it."""
        pem = self.successResultOf(self._join())
        certificate = x509.load_pem_x509_certificate(pem.encode())
        check(certificate, self.authority.certificate, "client", "laptop", now=NOW)
        self.assertEqual(certificate.public_key(), a_key(9).public_key())
        self.assertEqual([each.serial for each in self._records()], [serial_text(certificate)])

    def test_addresses(self) -> None:
        """A certificate bears the inner addresses of its name, the first one and the next, whichever pools are on."""
        pools = (("10.73.0.2", "fd73::2"), ("", "fd73::2"), ("", ""))
        asked = self._leased(*(Lease("laptop", *inner, bytes(16)) for inner in pools))
        self.assertEqual(self._addresses(self.successResultOf(self._join())), ("10.73.0.2", "fd73::2"))
        for addresses in (("fd73::2",), ()):
            self.clock.advance(RENEWAL_PAUSE)
            self.assertEqual(self._addresses(self.successResultOf(self._renew())), addresses)
        self.assertEqual(asked, ["laptop"] * 3)

    def test_no_address_left(self) -> None:
        """When the pool is used up the machine is told so, and its invitation is still good."""
        self._leased(PoolExhausted(), Lease("laptop", "10.73.0.2", "", bytes(16)))
        refused = self.failureResultOf(self._join(), Refused)
        self.assertEqual(refused.value.reason, "no inner address is left in the server's pool")
        self.assertEqual(self._addresses(self.successResultOf(self._join())), ("10.73.0.2",))

    def test_without_leases(self) -> None:
        """Who keeps no leases gives certificates without addresses."""
        self.assertEqual(self._addresses(self.successResultOf(self._join())), ())

    def test_once(self) -> None:
        """The second to come with an invitation is turned away."""
        self.successResultOf(self._join())
        self.failureResultOf(self._join(), Refused)
        self.assertEqual(len(self._records()), 1)

    def test_bad_request(self) -> None:
        """A broken request is refused and does not cost the invitation."""
        self.failureResultOf(self._join("garbage"), Refused)
        self.successResultOf(self._join())

    def test_revoked_or_late(self) -> None:
        """A revoked invitation is worth nothing, nor is an expired one."""
        self.store.revoke("laptop", int(NOW))
        self.failureResultOf(self._join(), Refused)
        self.clock.advance(2 * 86400)
        self.failureResultOf(self._join(), Refused)

    def test_renew(self) -> None:
        """A later certificate for the same name, with a new key if it likes; the old one stays good."""
        self.successResultOf(self._join())
        self.clock.advance(RENEWAL_PAUSE)
        pem = self.successResultOf(self._renew(request=make_request(a_key(10), "other")))
        certificate = x509.load_pem_x509_certificate(pem.encode())
        check(certificate, self.authority.certificate, "client", "laptop", now=NOW + RENEWAL_PAUSE)
        self.assertEqual(len(self._records()), 2)

    def test_renew_again_and_again(self) -> None:
        """Nobody fills the store by renewing."""
        self.successResultOf(self._join())
        for _ in range(5):
            self.failureResultOf(self._renew(), Refused)
        self.clock.advance(RENEWAL_PAUSE)
        for _ in range(5):
            self._renew().addErrback(lambda failure: failure.trap(Refused) and None)
        self.assertEqual(len(self._records()), 2)

    def test_renew_at_the_same_time(self) -> None:
        """Two links of one machine get one certificate between them."""
        self.successResultOf(self._join())
        self.clock.advance(RENEWAL_PAUSE)
        store = _SlowStore(self.store)
        self.enrolment = Enrolment(self.authority, store, self.clock.seconds)  # type: ignore[arg-type]
        first = self._renew()
        self.failureResultOf(self._renew(), Refused)
        store.answer()
        self.successResultOf(first)

    def test_renew_revoked(self) -> None:
        """Who was revoked while connected gets no new certificate; nor does a stranger."""
        self.successResultOf(self._join())
        self.clock.advance(RENEWAL_PAUSE)
        self.store.revoke("laptop", int(NOW))
        self.failureResultOf(self._renew(), Refused)
        self.failureResultOf(self._renew("stranger"), Refused)

    def test_ca_expired(self) -> None:
        """The machine is not told why the server cannot sign; the operator is."""
        self.clock.advance(CA_LIFETIME)
        refused = self.failureResultOf(self._join(), Refused)
        self.assertNotIn("CA", str(refused.value))
        self.assertFalse(refused.check(ConfigError))


class _SlowStore:
    """A store whose list of certificates takes its time."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._waiting: Deferred[None] = Deferred()
        self.add_certificate = store.add_certificate

    def certificates(self) -> Deferred[list[CertificateRecord]]:
        """See Store."""
        return self._waiting.addCallback(lambda _: self._store.certificates())

    def answer(self) -> None:
        """Now."""
        self._waiting.callback(None)
