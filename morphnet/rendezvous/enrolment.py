"""How machines get their certificates: by an invitation first, then again and again by the certificate they have."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from morphnet.errors import ConfigError, Refused
from morphnet.store.base import CertificateRecord, Store

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

    def certify(self, name: str, request_pem: str, now: float) -> Issued:
        """
        A client's certificate for the public key in a request.

        :raises Refused: the request is no good.
        :raises ConfigError: the CA is not good now.
        """
        ...


class Enrolment:
    """
    The server's side of joining and renewing.

    :param clock: its seconds() are Unix seconds, as the reactor's are.
    """

    _log = Logger()

    def __init__(self, authority: Authority, store: Store, clock: IReactorTime) -> None:
        self._authority, self._store, self._clock = authority, store, clock
        self._renewing: set[str] = set()  # names; at most one per open link

    async def join(self, invite_serial: str, name: str, csr_pem: str) -> str:
        """
        The first certificate of a machine, in PEM.

        :param invite_serial: hex, of the certificate that opened the link.
        :param name: in that certificate; the one the machine will have.
        :raises Refused: the request is no good, or the invitation was used, revoked or has expired.
        """
        issued = self._certify(name, csr_pem)  # first, so that a broken request does not cost the invitation
        # The one step that decides between two who come at the same time with the same invitation.
        if not await self._store.use_invite(invite_serial, int(self._clock.seconds())):
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
        issued = self._certify(name, csr_pem)
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

    def _certify(self, name: str, csr_pem: str) -> Issued:
        try:
            return self._authority.certify(name, csr_pem, self._clock.seconds())
        except ConfigError as trouble:  # ours, not the machine's: it learns nothing of it
            self._log.error("cannot sign certificates: {trouble}", trouble=str(trouble))
            raise Refused("the server cannot sign certificates now") from None

    async def _remember(self, name: str, issued: Issued) -> None:
        await self._store.add_certificate(CertificateRecord(issued.serial, name, "client", issued.not_after))
