"""How machines get their certificates: by an invitation first, then again and again by the certificate they have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from morphnet.errors import ConfigError, Refused
from morphnet.store.base import CertificateRecord, Lease, PoolExhausted, Store

RENEWAL_PAUSE = 3600  # seconds between two renewals of one name, so that nobody can fill the store


class Issued(Protocol):
    """A certificate that was just signed."""

    @property
    def pem(self) -> str:
        "As it is sent."

    @property
    def serial(self) -> str:
        "Hex."

    @property
    def not_after(self) -> int:
        "Unix seconds."


class Authority(Protocol):
    """What signs."""

    def certify(self, name: str, request_pem: str, now: float, addresses: Sequence[str] = ()) -> Issued:
        """
        A client's certificate for the public key in a request, and its inner addresses.

        :raises Refused: the request is no good.
        :raises ConfigError: the CA is not good now.
        """
        ...


class Enrolment:
    """
    The server's side of joining and renewing.

    :param wall: Unix seconds, now: certificates are dated by it.
    :param lease: the inner addresses of a name, for its certificate; None for certificates without.
    """

    _log = Logger()

    def __init__(
        self,
        authority: Authority,
        store: Store,
        wall: Callable[[], float],
        lease: Callable[[str], Deferred[Lease]] | None = None,
    ) -> None:
        self._authority, self._store, self._wall, self._lease = authority, store, wall, lease
        self._renewing: set[str] = set()  # names; at most one per open link

    async def join(self, invite_serial: str, name: str, csr_pem: str) -> str:
        """
        The first certificate of a machine, in PEM.

        :param invite_serial: hex, of the certificate that opened the link.
        :param name: in that certificate; the one the machine will have.
        :raises Refused: the request is no good, or the invitation was used, revoked or has expired.
        """
        # First, so that a broken request does not cost the invitation.
        issued = self._certify(name, csr_pem, await self._addresses(name))
        # The one step that decides between two who come at the same time with the same invitation.
        if not await self._store.use_invite(invite_serial, int(self._wall())):
            raise Refused("this invitation was used, revoked or has expired")
        await self._remember(name, issued)
        self._log.info("{name} has joined", name=name)
        return issued.pem

    async def renew(self, name: str, csr_pem: str) -> str:
        """
        The next certificate of a machine that is connected, in PEM.

        :param name: in the certificate that it has shown.
        :raises Refused: the request is no good, or comes too soon after the last one.
        """
        if name in self._renewing:  # or many at once would all find that the last one is long ago
            raise Refused("this certificate is being renewed")
        self._renewing.add(name)
        try:
            return await self._renew(name, csr_pem)
        finally:
            self._renewing.discard(name)

    async def _renew(self, name: str, csr_pem: str) -> str:
        issued = self._certify(name, csr_pem, await self._addresses(name))
        good = [
            each.not_after
            for each in await self._store.certificates()
            if each.name == name and each.kind == "client" and not each.revoked_at
        ]
        if not good:
            raise Refused("this machine has no good certificate any more")
        if issued.not_after - max(good) < RENEWAL_PAUSE:
            raise Refused("this certificate was renewed a moment ago")
        await self._remember(name, issued)
        self._log.info("{name} has a new certificate", name=name)
        return issued.pem

    async def _addresses(self, name: str) -> list[str]:
        """Those that `name` has inside, for good."""
        if self._lease is None:
            return []
        try:
            lease = await self._lease(name)
        except PoolExhausted:
            raise Refused("no inner address is left in the server's pool") from None
        return [address for address in (lease.inner4, lease.inner6) if address]

    def _certify(self, name: str, csr_pem: str, addresses: Sequence[str]) -> Issued:
        try:
            return self._authority.certify(name, csr_pem, self._wall(), addresses)
        except ConfigError as trouble:  # ours, not the machine's: it learns nothing of it
            self._log.error("cannot sign certificates: {trouble}", trouble=str(trouble))
            raise Refused("the server cannot sign certificates now") from None

    async def _remember(self, name: str, issued: Issued) -> None:
        await self._store.add_certificate(CertificateRecord(issued.serial, name, "client", issued.not_after))
