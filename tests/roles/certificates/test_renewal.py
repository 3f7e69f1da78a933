"""A certificate on disk and in TLS, renewed in time."""

from __future__ import annotations

import resource
from pathlib import Path

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from morphnet.durable import make_directory
from morphnet.errors import ConfigError, HostError, MalformedFrame, Refused
from morphnet.net.tls import Identity
from morphnet.pki.authority import CLIENT_LIFETIME, as_pem
from morphnet.pki.files import CA, read_certificate, write_certificate, write_key
from morphnet.roles.certificates.renewal import Renewal, SelfRenewal
from morphnet.wire.messages.control import Renew, Renewed
from tests.fakes_pki import NOW, FakeSigner, a_key, an_authority

DUE = CLIENT_LIFETIME * 0.7  # seconds after which a certificate is renewed


class _Shown:
    """Remembers what it shall show."""

    def __init__(self) -> None:
        self.identities: list[Identity] = []

    def use(self, identity: Identity) -> None:
        self.identities.append(identity)


class RenewalTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        """A machine, and its network's CA somewhere."""
        self.now, self.authority, self.key = NOW, an_authority(now=NOW - CLIENT_LIFETIME), a_key(9)
        self.pki_dir, self.shown = Path(self.mktemp()), _Shown()
        make_directory(self.pki_dir)
        self.present = self.authority.client(self.key.public_key(), "anna", now=NOW, addresses=("10.73.0.2",))
        write_key(self.pki_dir, "anna", self.key)
        write_certificate(self.pki_dir, "anna", self.present)
        write_certificate(self.pki_dir, CA, self.authority.certificate)
        self.renewal = Renewal(self.pki_dir, "anna", self.shown, lambda: self.now)

    def kept(self) -> x509.Certificate:
        """What is on the disk."""
        return read_certificate(self.pki_dir, "anna")

    def next_one(self, **more: tuple[str, ...]) -> x509.Certificate:
        """A good one for now."""
        return self.authority.client(
            self.key.public_key(), "anna", now=self.now, addresses=more.get("addresses", ("10.73.0.2",))
        )


class RenewalTests(RenewalTestCase):
    def test_not_written(self) -> None:
        """At a full disk it is a sentence; the old certificate stays, and nothing of the new one is left behind."""
        self.now = NOW + DUE
        before = {each.name: each.read_bytes() for each in self.pki_dir.iterdir()}
        renewed = as_pem(self.next_one()).decode()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            self.assertRaises(HostError, self.renewal.accept, renewed)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.assertEqual({each.name: each.read_bytes() for each in self.pki_dir.iterdir()}, before)
        self.renewal.accept(renewed)

    def test_in_time(self) -> None:
        """It is asked for when a third of its life is left, with a request of its key and the present certificate."""
        self.now = NOW + CLIENT_LIFETIME * 0.66
        self.assertIsNone(self.renewal.request())
        self.now = NOW + CLIENT_LIFETIME * 0.67
        request = self.renewal.request()
        assert request is not None
        self.assertEqual(request.certificate, as_pem(self.present).decode())
        csr = x509.load_pem_x509_csr(request.csr.encode())
        self.assertEqual(csr.public_key(), self.key.public_key())

    def test_accept(self) -> None:
        """A good one is kept and shown."""
        self.now += DUE
        following = self.next_one()
        self.renewal.accept(as_pem(following).decode())
        self.assertEqual(self.kept(), following)
        self.assertEqual([each.certificate for each in self.shown.identities], [as_pem(following)])

    def test_refuse(self) -> None:
        """One that is not ours in every respect replaces nothing."""
        self.now += DUE
        bad = (
            an_authority(2).client(self.key.public_key(), "anna", now=self.now, addresses=("10.73.0.2",)),
            self.authority.client(a_key(8).public_key(), "anna", now=self.now, addresses=("10.73.0.2",)),
            self.authority.client(self.key.public_key(), "bert", now=self.now, addresses=("10.73.0.2",)),
            self.authority.server(self.key.public_key(), ["anna", "10.73.0.2"], now=self.now),
            self.next_one(addresses=("10.73.0.3",)),
            self.authority.client(self.key.public_key(), "anna", now=NOW - DUE, addresses=("10.73.0.2",)),
        )
        for each in bad:
            self.assertRaises(Refused, self.renewal.accept, as_pem(each).decode())
        for rubbish in ("", "rubbish", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----", "\u00e9"):
            self.assertRaises(MalformedFrame, self.renewal.accept, rubbish)
        self.assertEqual(self.kept(), self.present)
        self.assertEqual(self.shown.identities, [])

    def test_read_again(self) -> None:
        """What another process has put there is shown, once."""
        following = self.next_one()
        write_certificate(self.pki_dir, "anna", following)
        for _ in range(3):
            self.renewal.read_again()
        self.assertEqual([each.certificate for each in self.shown.identities], [as_pem(following)])


class ReminderTests(RenewalTestCase):
    def _reminded(self) -> list[str]:
        """What the log is told of now."""
        lines: list[str] = []

        @implementer(ILogObserver)
        def note(event: LogEvent) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(note)
        try:
            self.renewal.remind()
        finally:
            globalLogPublisher.removeObserver(note)
        return lines

    def test_once_a_day(self) -> None:
        """From 30 days on the log is told once a day, and the status always; a clock set back delays nothing."""
        said = 0
        for hour in range(24 * 30):
            self.now = NOW + CLIENT_LIFETIME - 30 * 86400 + hour * 3600
            lines = self._reminded()
            self.assertEqual(lines, list(self.renewal.warnings) if lines else [])
            self.assertEqual(len(self.renewal.warnings), 1)
            said += len(lines)
        self.assertEqual(said, 30)
        self.now -= 40 * 86400
        self.assertEqual(self._reminded(), [])
        self.now = NOW + CLIENT_LIFETIME - 20 * 86400
        self.assertEqual(len(self._reminded()), 1)

    def test_in_time(self) -> None:
        """Nothing is said while there is time, nor when it was renewed."""
        self.now = NOW + CLIENT_LIFETIME - 31 * 86400
        self.assertEqual((self._reminded(), self.renewal.warnings), ([], ()))
        self.now = NOW + CLIENT_LIFETIME - 86400
        self.renewal.remind()
        self.renewal.accept(as_pem(self.next_one()).decode())
        self.assertEqual((self._reminded(), self.renewal.warnings), ([], ()))


class SelfRenewalTests(RenewalTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.signer = FakeSigner(self.authority, lambda: self.now)
        self.asked: list[Renew] = []
        self.told: list[str] = []
        self.trouble: Exception | None = None
        self.hold: Deferred[None] | None = None
        self.itself = SelfRenewal(self.renewal, self._ask, lambda kind, session, text: self.told.append(kind))

    async def _ask(self, request: Renew) -> Renewed:
        self.asked.append(request)
        if self.hold is not None:
            await self.hold
        if self.trouble is not None:
            raise self.trouble
        return Renewed(self.signer.signer.renew(request.certificate, request.csr).pem)

    def test_three_years(self) -> None:
        """Who looks every day for three years always has a good certificate, and asks four times."""
        for _ in range(3 * 365):
            self.itself.look()
            self.assertGreater(self.kept().not_valid_after_utc.timestamp() - self.now, 86400 * 100)
            self.now += 86400
        self.assertEqual(len(self.asked), 4)
        self.assertEqual(self.told, ["renewed"] * 4)
        self.assertEqual(len(self.shown.identities), 5)  # the first look shows what was there

    def test_trouble(self) -> None:
        """A refusal costs nothing, and the next look asks again."""
        self.now += DUE
        for self.trouble in (Refused("not now"), ConfigError("no CA"), MalformedFrame("rubbish")):
            self.itself.look()
        self.assertEqual(len(self.asked), 3)
        self.trouble = None
        self.itself.look()
        self.assertEqual(self.told, ["renewed"])

    def test_bug(self) -> None:
        """What nobody expected is in the log with its traceback, and the next look asks again."""
        self.now += DUE
        self.trouble = ZeroDivisionError()
        self.itself.look()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.trouble = None
        self.itself.look()
        self.assertEqual(self.told, ["renewed"])

    def test_one_question(self) -> None:
        """While one question is not answered there is no other."""
        self.now += DUE
        self.hold = Deferred()
        for _ in range(3):
            self.itself.look()
        self.assertEqual(len(self.asked), 1)
        self.hold.callback(None)
        self.itself.look()
        self.assertEqual((len(self.asked), self.told), (1, ["renewed"]))
