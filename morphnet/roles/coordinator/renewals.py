"""A certificate that is got, and another one in time, without anybody's help."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.durable import make_directory, write_new, write_over
from morphnet.errors import PeerError

FILE = "tls.pem"  # key, certificate and its chain: one file, so that they always belong together
ACCOUNT = "account.pem"
USED_UP = 2 / 3  # of its life, when another one is asked for: 30 days before the end of 90
FIRST_PAUSE, LONGEST_PAUSE = 300.0, 6 * 3600.0  # seconds between two tries that fail; CAs allow five in an hour
ASKING = 900.0  # seconds that a CA has for all of it: it may send a byte now and then for ever
LOOK_EVERY = 6 * 3600.0  # seconds, at most: a clock may be set

Ask = Callable[[], Deferred[bytes]]


def place_of(state_dir: Path, directory: str) -> Path:
    """Where account and certificate of a CA are: what a CA for tests has signed is nothing for another one."""
    return state_dir / f"acme-{hashlib.sha256(directory.encode()).hexdigest()[:12]}"


def account_of(place: Path, make: Callable[[], bytes]) -> bytes:
    """
    The key of our account, PEM, made by the first who asks.

    :raises OSError: it cannot be read, or written.
    """
    make_directory(place)
    file = place / ACCOUNT
    if not file.exists():
        write_new(file, make(), mode=0o600)
    return file.read_bytes()


def _life(pem: bytes) -> tuple[x509.Certificate, float, float]:
    """The certificate, when it begins and when it ends: Unix seconds."""
    certificate = x509.load_pem_x509_certificates(pem)[0]
    return certificate, certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def due(pem: bytes, names: Sequence[str], now: float) -> float:
    """
    Seconds until another certificate is to be asked for; 0 or less when that is now.

    :param now: Unix seconds.
    :raises ValueError: it is none.
    """
    certificate, begins, ends = _life(pem)
    here = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    if not set(names) <= set(here.value.get_values_for_type(x509.DNSName)):
        return 0.0
    return begins + (ends - begins) * USED_UP - now


class Renewals:
    """
    :param wall: Unix seconds.
    :param file: see FILE.
    :param ask: gets another one.
    :ivar looks: is called each time before it looks.
    :ivar shown: is called when there is another one in the file.
    :ivar said: is told what hinders it, "" for nothing any more.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, wall: Callable[[], float], file: Path, names: Sequence[str], ask: Ask
    ) -> None:
        self._clock, self._wall, self._file, self._names, self._ask = clock, wall, file, names, ask
        self._timer: IDelayedCall | None = None
        self._asking = self._stopped = False
        self._asked: Deferred[None] = succeed(None)
        self._pause = FIRST_PAUSE
        self.looks: Callable[[], None] = lambda: None
        self.shown: Callable[[], None] = lambda: None
        self.said: Callable[[str], None] = lambda text: None
        self.counts: Counter[str] = Counter()

    @property
    def good(self) -> bool:
        """Whether there is one that is neither too old nor too young."""
        try:
            _, begins, ends = _life(self._file.read_bytes())
        except (OSError, ValueError):
            return False
        return begins <= self._wall() < ends

    def look(self) -> None:
        """See whether it is time, and when to look again; also when an operator wants it now."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._asking or self._stopped:
            return
        self.looks()
        left = self._left()
        if left > 0:
            self._later(min(left, LOOK_EVERY))
            return
        self._asking = True
        asked = self._ask().addTimeout(ASKING, self._clock, self._slow)
        self._asked = asked.addCallbacks(self._got, self._failed).addErrback(self._failed)

    def stop(self) -> None:
        """No more of it."""
        self._stopped = True
        self._asked.cancel()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _left(self) -> float:
        try:
            return due(self._file.read_bytes(), self._names, self._wall())
        except (OSError, ValueError, x509.ExtensionNotFound):
            return 0.0

    @staticmethod
    def _slow(found: object, seconds: float) -> Failure:
        return Failure(PeerError(f"the CA was not ready within {seconds:.0f} s"))

    def _later(self, seconds: float) -> None:
        self._timer = self._clock.callLater(seconds, self.look)

    def _got(self, pem: bytes) -> None:
        if self._stopped:
            return
        left = due(pem, self._names, self._wall())
        write_over(self._file, pem, mode=0o600)
        self.shown()
        self._asking = False
        self.counts["certificates"] += 1
        if left <= 0:  # or it would be asked for without an end
            self._try_again("the new certificate is out of date by the clock of this machine")
            return
        self._pause = FIRST_PAUSE
        self.said("")
        self._later(min(left, LOOK_EVERY))

    def _failed(self, failure: Failure) -> None:
        self._asking = False
        if self._stopped:
            return
        if failure.check(PeerError):
            self._try_again(failure.getErrorMessage())
        elif failure.check(OSError):
            self._try_again(f"it cannot be written down: {getattr(failure.value, 'strerror', '')}")
        else:
            self._log.failure("a certificate was asked for", failure)
            self._try_again("the log says what went wrong")

    def _try_again(self, why: str) -> None:
        self.counts["certificates_failed"] += 1
        self.said(why)
        self._later(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
