"""The server's store: one SQLite database, one thread that talks to it, so that the reactor never waits for a disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from morphnet.errors import BugError
from morphnet.store.base import Accounts, Approval, CertificateRecord, Lease, PhoneRecord, Store
from morphnet.store.ledger import Ledger
from morphnet.store.together import Daemon

_T = TypeVar("_T")


class SqliteStore(Store):
    """
    See Store. Its thread begins with the first call.

    :param ledger: open; it is the store's from now on, to ask and to close.
    :param reactor: answers are given in its thread.
    """

    def __init__(self, ledger: Ledger, reactor: IReactorFromThreads) -> None:
        self._ledger, self._reactor = ledger, reactor  # the ledger is touched in the pool's thread only
        self._pool: ThreadPool | None = None
        self._closed = False
        self._asked = 0  # calls so far

    def _ask(self, work: Callable[[Ledger], _T]) -> Deferred[_T]:
        if self._closed:
            return fail(BugError("the store was closed"))
        if self._pool is None:
            self._pool = ThreadPool(1, 1, "store")
            self._pool.threadFactory = Daemon
            self._pool.start()
        self._asked += 1
        answer = deferToThreadPool(self._reactor, self._pool, work, self._ledger)
        self._pool.callInThread(self._settle, self._asked)
        return answer

    def _settle(self, asked: int) -> None:
        """In the pool's thread, behind the call of that number: once for all that came together."""
        if asked == self._asked:
            self._ledger.settle()

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

    def approved(self) -> Deferred[list[Approval]]:
        return self._ask(Ledger.approved)

    def phones(self) -> Deferred[list[PhoneRecord]]:
        return self._ask(Ledger.phones)

    def account(self, work: Callable[[Accounts], _T]) -> Deferred[_T]:
        return self._ask(lambda ledger: ledger.account(work))

    async def _close(self, pool: ThreadPool) -> None:
        try:
            await deferToThreadPool(self._reactor, pool, self._ledger.close)
        finally:
            pool.stop()  # its queue is empty: this joins at once

    def close(self) -> Deferred[None]:
        self._closed, pool, self._pool = True, self._pool, None
        if pool is None:
            return execute(self._ledger.close)
        return Deferred.fromCoroutine(self._close(pool))
