"""A certificate that is renewed in time, and shown from the next handshake on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from morphnet.errors import ConfigError, HostError, MalformedFrame, MorphnetError, PeerError
from morphnet.net.tls import Identity
from morphnet.pki.authority import as_pem, describe, make_request, renewal_due
from morphnet.pki.expiry import troubles
from morphnet.pki.files import CA, certificate_path, load_credentials, read_certificate, read_key, write_certificate
from morphnet.pki.rotation import follow, write_trusted
from morphnet.pki.signing import GOOD
from morphnet.pki.trust import check_successor, networks_of, read_cas
from morphnet.pki.unreadable import UNREADABLE
from morphnet.wire.messages.control import Renew, Renewed

LOOK_EVERY = 600.0  # seconds between looks whether it is time
REMIND_EVERY = 86400.0  # seconds between two lines in the log about the same trouble


def identity_of(pki_dir: Path, name: str) -> Identity:
    """
    What `name` shows in handshakes, from its files.

    :raises ConfigError: something is missing or broken.
    """
    credentials = load_credentials(pki_dir, name)
    networks = networks_of(read_cas(credentials.ca))
    return Identity(credentials.certificate, credentials.key, credentials.ca, networks)


class Shows(Protocol):
    """What shows a certificate in handshakes."""

    def use(self, identity: Identity) -> None:
        """
        From the next handshake on.

        :raises ConfigError: it is not usable.
        """


class AllShow:
    """Several that show the same."""

    def __init__(self, *several: Shows) -> None:
        self._all = list(several)

    def add(self, another: Shows) -> None:
        """One more."""
        self._all.append(another)

    def use(self, identity: Identity) -> None:
        """From the next handshake on."""
        for each in self._all:
            each.use(identity)


class Renewal:
    """
    One end's certificate on disk and in its TLS.

    :param wall: Unix seconds, now.
    :param identity: what is on the disk, and whom else to trust; by default `identity_of`.
    :param cure: what the operator shall do when the certificate ends and nobody has renewed it.
    """

    _log = Logger()

    def __init__(
        self,
        pki_dir: Path,
        name: str,
        tls: Shows,
        wall: Callable[[], float],
        identity: Callable[[], Identity] | None = None,
        *,
        cure: str = "invite this machine anew",
    ) -> None:
        self._pki_dir, self._name, self._tls, self._wall = pki_dir, name, tls, wall
        self._identity = identity or (lambda: identity_of(pki_dir, name))
        self._shown: Identity | None = None  # what we have had shown; None: what there was at the start
        self._cure = cure
        self.warnings: tuple[str, ...] = ()  # what ends soon, one sentence each
        self._reminded: dict[str, float] = {}  # what the log was told of, and when; Unix seconds

    def request(self) -> Renew | None:
        """What to ask for when less than a third of the certificate's life is left, or there is a newer CA."""
        present = read_certificate(self._pki_dir, self._name)
        if not renewal_due(present, now=self._wall()) and describe(present).issuer == describe(self._cas()[0]).issuer:
            return None
        return Renew(make_request(read_key(self._pki_dir, self._name), self._name), as_pem(present).decode("ascii"))

    def remind(self) -> None:
        """See what ends soon, and tell the log of it once a day."""
        now = self._wall()
        self.warnings = troubles(read_certificate(self._pki_dir, self._name), self._cas(), self._cure, now=now)
        for sentence in self.warnings:
            about = sentence.partition(" end")[0]
            if not now - REMIND_EVERY < self._reminded.get(about, float("-inf")) <= now:
                self._reminded[about] = now
                self._log.warn("{sentence}", sentence=sentence)

    def _cas(self) -> list[x509.Certificate]:
        path = certificate_path(self._pki_dir, CA)
        try:
            return read_cas(path.read_bytes(), str(path))
        except OSError as trouble:
            raise ConfigError(f"cannot read {path}: {trouble.strerror}") from None

    def accept(self, certificate_pem: str) -> None:
        """
        Keep and show the certificate that somebody has had signed for us.

        :raises MalformedFrame: it is none.
        :raises Refused: it is of another CA, key, name or usage, or not good now: ours stays.
        :raises HostError: it cannot be written: ours stays, and is renewed later.
        """
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii", "replace"))
        except UNREADABLE:
            raise MalformedFrame("renewed certificate that cannot be read") from None
        check_successor(
            certificate,
            read_certificate(self._pki_dir, self._name),
            read_key(self._pki_dir, self._name).public_key(),
            self._cas(),
            now=self._wall(),
        )
        try:
            write_certificate(self._pki_dir, self._name, certificate)
        except OSError as trouble:
            path = certificate_path(self._pki_dir, self._name)
            raise HostError(f"cannot write {path}: {trouble.strerror}") from None
        self.read_again()

    def follow(self, told: Sequence[x509.Certificate]) -> bool:
        """Trust the CAs that a list tells, which one whom we trust has signed: whether they are others than before."""
        try:
            if not follow(self._cas(), told, now=self._wall()):
                return False
            write_trusted(self._pki_dir, told)
            self.read_again()
        except (MorphnetError, OSError) as trouble:
            self._log.warn("the network's next CA is not followed: {why}", why=str(trouble))
            return False
        return True

    def read_again(self) -> None:
        """
        Show what is on disk now.

        :raises ConfigError: it is not usable; the old one is shown on.
        """
        identity = self._identity()
        if identity != self._shown:
            self._tls.use(identity)
            self._shown = identity


class SelfRenewal:
    """
    Of a process that serves: it looks by itself, and knows whom to ask.

    :param ask: has a certificate signed; may raise Refused.
    :param tell: one line of history.
    """

    _log = Logger()

    def __init__(
        self,
        renewal: Renewal,
        ask: Callable[[Renew], Coroutine[Deferred[Any], Any, Renewed]],
        tell: Callable[[str, str, str], object],
    ) -> None:
        self._renewal, self._ask, self._tell = renewal, ask, tell
        self._asking = False

    def look(self) -> None:
        """Show what another process has renewed; ask when it is time and nobody has."""
        if not self._asking:
            self._asking = True
            Deferred.fromCoroutine(self._look()).addErrback(self._failed)

    async def _look(self) -> None:
        try:
            self._renewal.read_again()
            request = self._renewal.request()
            if request is not None:
                self._renewal.accept((await self._ask(request)).certificate)
                self._tell("renewed", "", "our certificate was renewed")
        finally:
            self._asking = False
            self._renewal.remind()

    def _failed(self, failure: Failure) -> None:
        if failure.check(PeerError, ConfigError, HostError) is None:
            self._log.failure("the certificate cannot be renewed", failure)
        else:
            level = LogLevel.debug if str(failure.value) == GOOD else LogLevel.warn
            self._log.emit(level, "the certificate cannot be renewed now: {why}", why=str(failure.value))
