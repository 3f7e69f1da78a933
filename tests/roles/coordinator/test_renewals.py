"""When a certificate is asked for."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as Key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import PeerError
from morphnet.roles.coordinator.renewals import ASKING, FIRST_PAUSE, LONGEST_PAUSE, Renewals, account_of, due, place_of

DAY = 86400.0
NAMES = ("home.example.org",)


def made(begins: float, days: int = 90, names: tuple[str, ...] = NAMES, key: Key | None = None) -> bytes:
    """A certificate for these names."""
    key, nobody = key or generate_private_key(SECP256R1()), x509.Name([])
    first = datetime.datetime.fromtimestamp(begins, datetime.UTC)
    begun = x509.CertificateBuilder(nobody, nobody, key.public_key(), 1, first, first + datetime.timedelta(days))
    alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
    return begun.add_extension(alternative, critical=False).sign(key, SHA256()).public_bytes(Encoding.PEM)


class RenewalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000 * DAY)
        self.file = Path(self.mktemp())
        self.asked: list[Deferred[bytes]] = []
        self.said: list[str] = []
        self.shown = 0

    def begin(self) -> Renewals:
        renewals = Renewals(self.clock, self.clock.seconds, self.file, NAMES, self.ask)
        renewals.said, renewals.shown = self.said.append, self.show
        renewals.look()
        return renewals

    def ask(self) -> Deferred[bytes]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def show(self) -> None:
        self.shown += 1

    def days(self, count: int) -> None:
        self.clock.pump([DAY / 8] * 8 * count)

    def test_got_and_renewed(self) -> None:
        """The first one at once, the next when two thirds of its life are over; each is shown, and its file private."""
        renewals = self.begin()
        self.assertFalse(renewals.good)
        self.asked[0].callback(made(self.clock.seconds()))
        self.assertTrue(renewals.good)
        self.assertEqual((self.shown, self.said, self.file.stat().st_mode & 0o777), (1, [""], 0o600))
        self.days(59)
        self.assertEqual(len(self.asked), 1)
        last = self.clock.seconds() + 2 * DAY
        while len(self.asked) == 1 and self.clock.seconds() < last:
            self.clock.advance(DAY / 8)
        self.assertEqual(len(self.asked), 2)
        renewed = made(self.clock.seconds())
        self.asked[1].callback(renewed)
        self.assertEqual((self.shown, self.file.read_bytes()), (2, renewed))
        self.days(59)
        self.assertEqual((len(self.asked), renewals.counts["certificates"]), (2, 2))

    def test_there_already(self) -> None:
        """After a restart nothing is asked for, unless it is for other names, or of no use."""
        self.file.write_bytes(made(self.clock.seconds() - 10 * DAY))
        self.begin()
        self.assertEqual(self.asked, [])
        for useless in (made(self.clock.seconds(), names=("old.example.org",)), b"nothing"):
            self.file.write_bytes(useless)
            before = len(self.asked)
            self.begin()
            self.assertEqual(len(self.asked), before + 1)

    def test_refused(self) -> None:
        """It is asked for again, later each time; meanwhile the old one stays, and why is told."""
        old = made(self.clock.seconds() - 80 * DAY)
        self.file.write_bytes(old)
        renewals = self.begin()
        self.asked[0].errback(PeerError("no"))
        self.assertTrue(renewals.good)
        self.clock.advance(FIRST_PAUSE - 1)
        self.assertEqual(len(self.asked), 1)
        self.clock.advance(1)
        self.asked[1].errback(PeerError("not again"))
        self.clock.advance(2 * FIRST_PAUSE - 1)
        self.assertEqual(len(self.asked), 2)
        self.assertEqual((self.said, self.file.read_bytes(), self.shown), (["no", "not again"], old, 0))
        for _ in range(30):
            self.clock.advance(LONGEST_PAUSE)
            if not self.asked[-1].called:
                self.asked[-1].errback(PeerError("no"))
        self.assertEqual((len(self.asked), renewals.counts["certificates_failed"]), (32, 32))
        self.asked.clear()
        renewals.look()  # an operator's word
        self.assertEqual(len(self.asked), 1)
        renewals.look()
        self.assertEqual(len(self.asked), 1)

    def test_wrong_clock(self) -> None:
        """A certificate that is too old when it comes is no reason to ask for ever."""
        renewals = self.begin()
        self.asked[0].callback(made(self.clock.seconds() - 300 * DAY))
        self.assertIn("clock of this machine", self.said[0])
        self.assertFalse(renewals.good)
        self.clock.advance(FIRST_PAUSE - 1)
        self.assertEqual(len(self.asked), 1)

    def test_no_end(self) -> None:
        """A CA that never comes to an end is asked again; what it says later changes nothing."""
        renewals = self.begin()
        self.clock.advance(ASKING)
        self.assertEqual(self.said, ["the CA was not ready within 900 s"])
        self.asked[0].callback(made(self.clock.seconds()))
        self.assertEqual((self.shown, self.file.exists()), (0, False))
        self.clock.advance(FIRST_PAUSE)
        self.asked[1].callback(made(self.clock.seconds()))
        self.assertEqual((self.shown, self.said[1:], renewals.good), (1, [""], True))
        self.clock.advance(ASKING)
        self.assertEqual(renewals.counts["certificates_failed"], 1)

    def test_fault(self) -> None:
        """What nobody foresaw is logged, and told; a disk that is full is told."""
        self.begin()
        self.asked[0].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.file = Path("/nowhere/tls.pem")
        self.begin()
        self.asked[1].callback(made(self.clock.seconds()))
        self.assertEqual(self.said[0], "the log says what went wrong")
        self.assertEqual(self.said[1], "it cannot be written down: No such file or directory")

    def test_stopped(self) -> None:
        """After the end nothing happens, whatever was on its way."""
        renewals = self.begin()
        renewals.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.asked[0].callback(made(self.clock.seconds()))
        renewals.look()
        self.assertEqual((self.clock.getDelayedCalls(), self.shown, self.file.exists()), ([], 0, False))


class PlaceTests(SynchronousTestCase):
    def test_account(self) -> None:
        """Made once for each CA, for its owner alone."""
        state = Path(self.mktemp())
        places = [place_of(state, f"https://{name}.example/dir") for name in "ab"]
        keys = [account_of(place, name.encode) for place, name in zip(places, "ab", strict=True)]
        self.assertEqual((keys, account_of(places[0], "c".encode)), ([b"a", b"b"], b"a"))
        self.assertEqual([(each / "account.pem").stat().st_mode & 0o777 for each in places], [0o600] * 2)

    def test_due(self) -> None:
        """Two thirds of a life, however long that is."""
        self.assertEqual(due(made(0.0, 90), NAMES, 0.0), 60 * DAY)
        self.assertEqual(due(made(0.0, 6), NAMES, DAY), 3 * DAY)
