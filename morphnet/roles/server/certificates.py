"""Which certificates a server refuses: those in the signed list, and those that its records say are revoked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from morphnet.net.tls import Peer
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.store.base import CertificateRecord, Store


class Certificates:
    """
    :param ca: the certificate of our CA, PEM.
    :param publisher: has the list signed when the records say more than it.
    """

    _log = Logger()

    def __init__(
        self,
        ca: str,
        store: Store,
        revoked: Revoked,
        publisher: Publisher,
        clock: IReactorTime,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.ca = ca
        self.exchange = RevocationExchange(revoked, clock, self._listed)
        self._store, self._publisher, self._wall = store, publisher, wall
        self._recorded: set[str] = set()  # serials
        self._followers: list[Callable[[], None]] = []

    def follow(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever more may be refused than before."""
        self._followers.append(changed)

    def is_revoked(self, peer: Peer) -> bool:
        """Asked at every handshake."""
        return self.exchange.revoked.is_revoked(peer) or peer.serial in self._recorded

    def know(self, records: Sequence[CertificateRecord]) -> None:
        """The records are these at the start."""
        self._record(records)
        self._publisher.make_known(records, self._wall(), self.exchange)

    def read(self) -> None:
        """Read the records again and tell others; also from time to time: what has expired may leave the list."""
        Deferred.fromCoroutine(self._read()).addErrback(
            lambda failure: self._log.failure("cannot read revocations", failure)
        )

    async def _read(self) -> None:
        records = await self._store.certificates()
        self._record(records)
        await self._publisher.make_known_later(records, self._wall(), self.exchange)

    def _record(self, records: Iterable[CertificateRecord]) -> None:
        self._recorded = {record.serial for record in records if record.revoked_at}
        self._changed()

    def _listed(self) -> None:
        """There is another list of what is revoked than before."""
        self._changed()
        if self._publisher.is_behind(self.exchange):
            self.read()

    def _changed(self) -> None:
        for follower in self._followers:
            follower()
