"""Joining with an invitation, and renewing."""

from __future__ import annotations

from cryptography import x509
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, Refused
from morphnet.pki.authority import CA_LIFETIME, CLIENT_LIFETIME, check, describe, make_request, read_description
from morphnet.rendezvous.enrolment import Enrolment
from morphnet.store.base import CertificateRecord, Lease, PoolExhausted
from morphnet.store.memory import MemoryStore
from tests.fakes_pki import NOW, FakeSigner, a_key, an_authority, an_invitation

REQUEST = make_request(a_key(9), "laptop")
DUE = CLIENT_LIFETIME * 0.7  # seconds after which a certificate is renewed


class EnrolmentTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A network with one open invitation."""
        self.now, self.store = NOW, MemoryStore()
        self.authority = an_authority()
        self.signer = FakeSigner(self.authority, self._wall)
        self.enrolment = Enrolment(self.signer, self.store, self._wall)
        invitation = an_invitation(self.authority)
        self.invitation = describe(invitation.certificate)
        self.store.add_certificate(
            CertificateRecord(self.invitation.serial, "laptop", "invite", int(invitation.not_after))
        )

    def _wall(self) -> float:
        return self.now

    def _join(self, request: str = REQUEST) -> Deferred[str]:
        return Deferred.fromCoroutine(self.enrolment.join(self.invitation, request))

    def _renew(self, present: str, request: str = REQUEST) -> Deferred[str]:
        return Deferred.fromCoroutine(self.enrolment.renew(read_description(present), request))

    def _leased(self, *leases: Lease | PoolExhausted) -> list[str]:
        """Those are the leases that there are from now on, one for each question; answers with who asked."""
        asked, given = list[str](), iter(leases)

        def lease(name: str) -> Deferred[Lease]:
            asked.append(name)
            found = next(given)
            return fail(found) if isinstance(found, PoolExhausted) else succeed(found)

        self.enrolment = Enrolment(self.signer, self.store, self._wall, lease)
        return asked

    def _addresses(self, pem: str) -> tuple[str, ...]:
        return describe(x509.load_pem_x509_certificate(pem.encode())).addresses

    def _records(self, kind: str = "client") -> list[CertificateRecord]:
        return [each for each in self.successResultOf(self.store.certificates()) if each.kind == kind]

    def test_join(self) -> None:
        """The machine gets a client certificate for its own key, and the store knows it."""
        pem = self.successResultOf(self._join())
        certificate = x509.load_pem_x509_certificate(pem.encode())
        check(certificate, self.authority.certificate, "client", "laptop", now=NOW)
        self.assertEqual(certificate.public_key(), a_key(9).public_key())
        self.assertEqual([each.serial for each in self._records()], [read_description(pem).serial])

    def test_addresses(self) -> None:
        """A certificate bears the inner addresses of its name, and the next one the same, whatever pools there are."""
        pools = (("10.73.0.2", "fd73::2"), ("", "fe73::2"))
        asked = self._leased(*(Lease("laptop", *inner, bytes(16)) for inner in pools))
        pem = self.successResultOf(self._join())
        self.assertEqual(self._addresses(pem), ("10.73.0.2", "fd73::2"))
        self.now += DUE
        self.assertEqual(self._addresses(self.successResultOf(self._renew(pem))), ("10.73.0.2", "fd73::2"))
        self.assertEqual(asked, ["laptop"] * 2)

    def test_addresses_added(self) -> None:
        """A certificate without addresses gets those of its name when it is renewed."""
        pem = self.successResultOf(self._join())
        self._leased(Lease("laptop", "10.73.0.2", "", bytes(16)))
        self.now += DUE
        self.assertEqual(self._addresses(self.successResultOf(self._renew(pem))), ("10.73.0.2",))

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
        """The second to come with an invitation is turned away, also where the signer has forgotten the first."""
        self.successResultOf(self._join())
        self.failureResultOf(self._join(), Refused)
        self.enrolment = Enrolment(FakeSigner(self.authority, self._wall), self.store, self._wall)
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
        self.now += 2 * 86400
        self.failureResultOf(self._join(), Refused)

    def test_renew(self) -> None:
        """A later certificate for the same name and key; the store knows it, and the old one stays good."""
        pem = self.successResultOf(self._join())
        self.now += DUE
        renewed = self.successResultOf(self._renew(pem))
        certificate = x509.load_pem_x509_certificate(renewed.encode())
        check(certificate, self.authority.certificate, "client", "laptop", now=self.now)
        self.assertEqual(
            [each.serial for each in self._records()], [read_description(each).serial for each in (pem, renewed)]
        )

    def test_renew_server(self) -> None:
        """A server's certificate is renewed in the same way, and noted as a server's."""
        present = describe(self.authority.server(a_key(3).public_key(), ["meet.example", "192.0.2.9"], now=NOW))
        self.store.add_certificate(CertificateRecord(present.serial, present.name, "server", int(present.not_after)))
        self.now += DUE
        renewed = self.successResultOf(self._renew(present.pem, make_request(a_key(3), "meet.example")))
        self.assertEqual(read_description(renewed).addresses, ("192.0.2.9",))
        self.assertEqual([each.name for each in self._records("server")], ["meet.example"] * 2)

    def test_renew_at_the_same_time(self) -> None:
        """Two links of one machine get one certificate between them."""
        pem = self.successResultOf(self._join())
        self.now += DUE
        store = _SlowStore(self.store)
        self.enrolment = Enrolment(self.signer, store, self._wall)  # type: ignore[arg-type]
        first = self._renew(pem)
        self.failureResultOf(self._renew(pem), Refused)
        store.answer()
        self.successResultOf(first)

    def test_renew_again_and_again(self) -> None:
        """Who asks all the time is answered, and the signer is asked once a minute."""
        pem = self.successResultOf(self._join())
        asked = self.signer.asked
        for _ in range(600):
            self.failureResultOf(self._renew(pem), Refused)
            self.now += 1
        self.assertEqual(self.signer.asked - asked, 10)
        self.now += DUE
        self.successResultOf(self._renew(pem))

    def test_renew_revoked(self) -> None:
        """Who was revoked while connected gets no new certificate; nor does one whom the store does not know."""
        pem = self.successResultOf(self._join())
        self.now += DUE
        self.store.revoke("laptop", int(NOW))
        self.failureResultOf(self._renew(pem), Refused)
        stranger = self.authority.client(a_key(9).public_key(), "stranger", now=NOW)
        self.failureResultOf(self._renew(describe(stranger).pem), Refused)
        self.assertEqual(len(self._records()), 1)

    def test_cannot_sign(self) -> None:
        """The machine is not told why the server cannot sign; the operator is."""
        pem = self.successResultOf(self._join())
        self.now += CA_LIFETIME - 3600
        late = describe(self.authority.client(a_key(9).public_key(), "laptop", now=self.now))
        self.store.add_certificate(CertificateRecord(late.serial, "laptop", "client", int(late.not_after)))
        self.signer.signer._authorities.newest.certificate = an_authority(2, now=self.now + CA_LIFETIME).certificate
        refused = self.failureResultOf(self._renew(late.pem), Refused)
        self.assertEqual(refused.value.reason, "the server cannot sign certificates now")
        self.assertFalse(refused.check(ConfigError))
        self.assertNotEqual(pem, "")


class _SlowStore:
    """A store whose list of certificates takes its time."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._waiting: Deferred[None] = Deferred()
        self.add_certificate = store.add_certificate

    def certificates(self) -> Deferred[list[CertificateRecord]]:
        """All of them, but not before `answer`."""
        return self._waiting.addCallback(lambda _: self._store.certificates())

    def answer(self) -> None:
        """Now."""
        self._waiting.callback(None)
