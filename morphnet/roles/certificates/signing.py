"""Has things signed in threads, so that the reactor never waits for the CA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from morphnet.pki.asking import Signers
from morphnet.pki.authority import Issued

AT_ONCE = 2  # signatures: each is a process that starts

_T = TypeVar("_T")


class LaterSigner:
    """
    See enrolment.Signer.

    :param reactor: answers are given in its thread.
    """

    def __init__(self, signers: Signers, reactor: Any) -> None:
        self._signers, self._reactor = signers, reactor
        self._pool: ThreadPool | None = None  # made when it is needed: a service is made before the fork

    async def join(self, invitation_pem: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """The first certificate of the machine that an invitation names."""
        return await self.later(lambda: self._signers.join(invitation_pem, csr_pem, addresses))

    async def renew(self, certificate_pem: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """The certificate after that one."""
        return await self.later(lambda: self._signers.renew(certificate_pem, csr_pem, addresses))

    def close(self) -> None:
        """No call may follow."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()

    def later(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Something else that waits for the CA."""
        if self._pool is None:
            self._pool = ThreadPool(0, AT_ONCE, "signer")
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, work)
