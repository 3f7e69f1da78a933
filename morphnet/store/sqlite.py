"""The server's store: one SQLite database, one thread that talks to it, so that the reactor never waits for a disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from morphnet.errors import BugError
from morphnet.store.base import CertificateRecord, Lease, Store
from morphnet.store.ledger import Ledger

_T = TypeVar("_T")


class SqliteStore(Store):
    """
    See Store. Opens nothing before the first call (a service is made before the fork), and then in its own thread.

    :param path: of the database; see Ledger.
    :param reactor: answers are given in its thread.
    """

    def __init__(self, path: Path, reactor: IReactorFromThreads) -> None:
        self._path, self._reactor = path, reactor
        self._pool: ThreadPool | None = None
        self._ledger: Ledger | None = None  # touched in the pool's thread only
        self._closed = False

    def _ask(self, work: Callable[[Ledger], _T]) -> Deferred[_T]:
        if self._closed:
            return fail(BugError("the store was closed"))
        if self._pool is None:
            self._pool = ThreadPool(1, 1, "store")
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, self._work, work)

    def _work(self, work: Callable[[Ledger], _T]) -> _T:
        """In the pool's thread. A database that could not be opened is tried again at the next call."""
        if self._ledger is None:
            self._ledger = Ledger(self._path)
        return work(self._ledger)

    def lease(self, name: str, pool4: str, pool6: str, fresh_session: bytes) -> Deferred[Lease]:
        return self._ask(lambda ledger: ledger.lease(name, pool4, pool6, fresh_session))

    def leases(self) -> Deferred[list[Lease]]:
        return self._ask(Ledger.leases)

    def release(self, name: str) -> Deferred[None]:
        return self._ask(lambda ledger: ledger.release(name))

    def add_certificate(self, record: CertificateRecord) -> Deferred[None]:
        return self._ask(lambda ledger: ledger.add_certificate(record))

    def certificates(self) -> Deferred[list[CertificateRecord]]:
        return self._ask(Ledger.certificates)

    def revoke(self, name: str, now: int) -> Deferred[list[str]]:
        return self._ask(lambda ledger: ledger.revoke(name, now))

    def use_invite(self, serial: str, now: int) -> Deferred[bool]:
        return self._ask(lambda ledger: ledger.use_invite(serial, now))

    def add_traffic(self, name: str, sent: int, received: int) -> Deferred[None]:
        return self._ask(lambda ledger: ledger.add_traffic(name, sent, received))

    def traffic(self) -> Deferred[dict[str, tuple[int, int]]]:
        return self._ask(Ledger.traffic)

    async def _close(self, pool: ThreadPool) -> None:
        try:
            await deferToThreadPool(self._reactor, pool, self._close_ledger)
        finally:
            pool.stop()  # its queue is empty: this joins at once

    def _close_ledger(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    def close(self) -> Deferred[None]:
        self._closed, pool, self._pool = True, self._pool, None
        if pool is None:
            done: Deferred[None] = Deferred()
            done.callback(None)
            return done
        return Deferred.fromCoroutine(self._close(pool))
