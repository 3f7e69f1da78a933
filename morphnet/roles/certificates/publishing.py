"""Where the CA is: the list of what is revoked, signed for everybody, and kept beside the database."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from cryptography import x509
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from morphnet.durable import make_directory, write_over
from morphnet.errors import HostError, MorphnetError, Refused
from morphnet.pki.authority import CLIENT_LIFETIME, DAY, SERVER_LIFETIME
from morphnet.pki.policy import latest, sequence_of
from morphnet.pki.revocations import Draft, RevocationList, as_text, draft_revocations, from_text
from morphnet.pki.rotation import announced
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.store.base import CertificateRecord

LOOK_EVERY = 3600.0  # seconds between looks whether what has expired may leave the list
SIGNED = "revocations.pem"  # in state_dir
KEPT = (
    30 * DAY
)  # seconds after its end that a certificate stays in the list: somebody's clock may be late, or was ours ahead
_LIFETIME = max(CLIENT_LIFETIME, SERVER_LIFETIME)

_T = TypeVar("_T")
_log = Logger()


class Later(Protocol):
    """Does what blocks, in another thread."""

    def __call__(self, work: Callable[[], _T]) -> Awaitable[_T]:
        """Its answer, or what it raises."""
        ...


def _at_once(work: Callable[[], _T]) -> Deferred[_T]:
    return maybeDeferred(work)


class Publisher:
    """
    Has a list signed when there is something new to tell. Several processes may do so: each finds what another did.

    :param cas: the network's; the last list is signed by one of them.
    :param sign: with the CA's key; blocks. None where there is no CA: then there is only what others have signed.
    :param rights: whose files these are; within it they are read and written.
    :param later: does in another thread what blocks.
    """

    def __init__(
        self,
        state_dir: Path,
        cas: Callable[[], Sequence[x509.Certificate]],
        sign: Callable[[Draft], RevocationList] | None,
        rights: Callable[[], AbstractContextManager[None]] = nullcontext,
        later: Later | None = None,
    ) -> None:
        self._path, self._cas, self._sign, self._rights = state_dir / SIGNED, cas, sign, rights
        self._later = later or _at_once
        self._number = 0  # of the list that we have made known

    def last(self) -> RevocationList | None:
        """The list that was signed last, or None; one that was spoilt is told of and passed over."""
        try:
            with self._rights():
                text = self._path.read_text("ascii", "replace")
            return from_text(text, *self._cas())
        except FileNotFoundError:
            return None
        except OSError as trouble:
            _log.error("cannot read {path}: {trouble}", path=str(self._path), trouble=trouble.strerror)
        except Refused as refused:
            _log.error("{path} is not used: {reason}", path=str(self._path), reason=refused.reason)
        return None

    def publish(
        self,
        records: Iterable[CertificateRecord],
        now: float,
        heard: RevocationList | None = None,
        vouched: RevocationList | None = None,
        policy: bytes = b"",
    ) -> RevocationList | None:
        """
        The list as it should be now: the last one if it says all there is to say, else a new one; None for none at all.

        What was in an earlier list stays revoked, whether the records say so or not: they may be older than it is.

        :param heard: the latest list of ours that others have, if it may be later than the one that is kept here.
        :param now: Unix seconds.
        :param vouched: a list that has the latest policy that others know; it may be an older list.
        :param policy: one that the CA's signer has by now, for the list to tell.
        :raises ConfigError: the CA cannot sign now; or HostError, or Refused.
        :raises HostError: the list cannot be kept.
        """
        with self._alone():
            kept = last = self.last()
            if heard is not None and (last is None or heard.number > last.number):
                last = heard
            if self._sign is None:
                return last
            having = max((each for each in (vouched, last) if each is not None), key=_sequence, default=None)
            policy = latest([policy, having.policy if having is not None else b""])
            draft = draft_revocations(_still(records, last, now), last, now=now, policy=policy)
            told = _Told(draft.recent, tuple(draft.parts), announced(self._cas()), policy)
            if last is None and not draft.recent and not told.cas and not policy:
                return None
            if last is not None and last is kept and _told_by(last) == told:
                return last
            vouching = having.pem if having is not None and having.policy else ""
            signed = self._sign(replace(draft, vouched=vouching))
            if last is not None and last is kept and _told_by(last) == _told_by(signed):
                return last  # the CA knows better than we what may leave the list
            self._keep(signed)
            return signed

    def make_known(self, records: Iterable[CertificateRecord], now: float, exchange: RevocationExchange) -> None:
        """The same, and spread it. Where that fails the last list is told on, and the operator is told why."""
        try:
            signed = self.publish(records, now, exchange.revoked.whole, exchange.revoked.vouching)
        except MorphnetError as trouble:
            self._failed(trouble)
        else:
            self._spread(signed, exchange)

    async def make_known_later(
        self, records: Iterable[CertificateRecord], now: float, exchange: RevocationExchange
    ) -> None:
        """The same, while the reactor goes on."""
        heard, vouching = exchange.revoked.whole, exchange.revoked.vouching
        try:
            signed = await self._later(lambda: self.publish(records, now, heard, vouching))
        except MorphnetError as trouble:
            self._failed(trouble)
        else:
            self._spread(signed, exchange)

    def _spread(self, signed: RevocationList | None, exchange: RevocationExchange) -> None:
        if signed is not None:
            self._number = max(self._number, signed.number)
            exchange.publish(signed)

    @staticmethod
    def _failed(trouble: MorphnetError) -> None:
        _log.error("what was revoked last is not in the list for others: {trouble}", trouble=str(trouble))

    def is_behind(self, exchange: RevocationExchange) -> bool:
        """Whether others know a later list of ours than we do: an old copy of our files was put back."""
        return self._sign is not None and exchange.number > self._number

    def _keep(self, signed: RevocationList) -> None:
        try:
            with self._rights():
                write_over(self._path, as_text(signed).encode("ascii"))
        except OSError as trouble:
            raise HostError(f"cannot write {self._path}: {trouble.strerror}") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time."""
        try:
            with self._rights():
                make_directory(self._path.parent)
                directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as trouble:
            raise HostError(f"cannot open {self._path.parent}: {trouble.strerror}") from None
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)


class _Told(NamedTuple):
    """What a list says."""

    recent: Mapping[str, int]
    digests: tuple[str, ...]
    cas: tuple[x509.Certificate, ...]
    policy: bytes


def _told_by(one: RevocationList) -> _Told:
    return _Told(one.recent, one.digests, one.cas, one.policy)


def _sequence(one: RevocationList) -> int:
    return sequence_of(one.policy)


def _still(records: Iterable[CertificateRecord], last: RevocationList | None, now: float) -> dict[str, int]:
    """What must be known to be revoked: serial -> when. Of what has expired long ago nobody need know."""
    known = {each.serial: each for each in records}
    found = {each.serial: each.revoked_at for each in known.values() if each.revoked_at}
    found = (last.entries if last is not None else {}) | found

    def good_until(serial: str, revoked_at: int) -> float:
        return known[serial].not_after if serial in known else revoked_at + _LIFETIME

    return {serial: at for serial, at in found.items() if good_until(serial, at) + KEPT > now}
