"""How machines get their certificates: by an invitation first, then again and again by the certificate they have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from morphnet.errors import ConfigError, HostError, Refused
from morphnet.store.base import CertificateRecord, Lease, PoolExhausted, Store

REST = 60.0  # seconds for which a refusal of the signer is repeated without asking it


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


class Shown(Protocol):
    """A certificate that somebody has."""

    @property
    def name(self) -> str:
        "Whose."

    @property
    def kind(self) -> str:
        '"invite", "client" or "server".'

    @property
    def serial(self) -> str:
        "Hex."

    @property
    def pem(self) -> str:
        "The certificate itself."


class Signer(Protocol):
    """What signs, and judges by itself whether it may."""

    def join(self, invitation_pem: str, csr_pem: str, addresses: Sequence[str]) -> Awaitable[Issued]:
        """
        The first certificate of the machine that an invitation names, with its inner addresses.

        :raises Refused: the request or the invitation is no good.
        :raises ConfigError: nothing can be signed now; or HostError.
        """
        ...

    def renew(self, certificate_pem: str, csr_pem: str, addresses: Sequence[str]) -> Awaitable[Issued]:
        """
        The certificate after that one: for the same key, usage and names.

        :param addresses: its inner ones, if that one does not say them.
        :raises Refused: the request or the certificate is no good, or it is too soon.
        :raises ConfigError: nothing can be signed now; or HostError.
        """
        ...


class Enrolment:
    """
    The CA host's side of joining and renewing.

    :param wall: Unix seconds, now.
    :param lease: the inner addresses of a name, for its certificate; None for certificates without.
    """

    _log = Logger()

    def __init__(
        self,
        signer: Signer,
        store: Store,
        wall: Callable[[], float],
        lease: Callable[[str], Deferred[Lease]] | None = None,
    ) -> None:
        self._signer, self._store, self._wall, self._lease = signer, store, wall, lease
        self._busy: set[str] = set()  # serials that something is being signed for
        self._refusals: dict[str, tuple[float, str]] = {}  # of serials that we know: when and why

    async def join(self, invitation: Shown, csr_pem: str) -> str:
        """
        The first certificate of a machine, in PEM.

        :param invitation: that opened the link.
        :raises Refused: the request is no good, or the invitation was used, revoked or has expired.
        """
        with _alone(self._busy, invitation.serial, "this invitation is being used"):
            addresses = await self._addresses(invitation.name)
            # First, so that a broken request does not cost the invitation.
            issued = await self._signed(self._signer.join(invitation.pem, csr_pem, addresses))
            # Two processes may have the same store: this step decides between them.
            if not await self._store.use_invite(invitation.serial, int(self._wall())):
                raise Refused("this invitation was used, revoked or has expired")
            await self._remember(invitation.name, "client", issued)
        self._log.info("{name} has joined", name=invitation.name)
        return issued.pem

    async def renew(self, present: Shown, csr_pem: str) -> str:
        """
        The next certificate of a machine, server or relay, in PEM.

        :param present: the one that it has. Who brings it need not be its holder: only its key makes the request.
        :raises Refused: the request or the certificate is no good, or it comes too soon after the last one.
        """
        with _alone(self._busy, present.serial, "this certificate is being renewed"):
            known = [each for each in await self._store.certificates() if each.serial == present.serial]
            if not known or known[0].revoked_at or known[0].name != present.name or known[0].kind != present.kind:
                raise Refused("this machine has no good certificate any more")
            addresses = await self._addresses(present.name) if present.kind == "client" else []
            issued = await self._renewed(present, csr_pem, addresses)
            await self._remember(present.name, present.kind, issued)
        self._log.info("{name} has a new certificate", name=present.name)
        return issued.pem

    async def _renewed(self, present: Shown, csr_pem: str, addresses: Sequence[str]) -> Issued:
        """Each question costs a process: whoever was refused hears the same for a while."""
        now, (said_at, reason) = self._wall(), self._refusals.get(present.serial, (float("-inf"), ""))
        if 0 <= now - said_at < REST:
            raise Refused(reason)
        try:
            return await self._signed(self._signer.renew(present.pem, csr_pem, addresses))
        except Refused as refused:
            self._refusals[present.serial] = now, refused.reason
            raise

    async def _addresses(self, name: str) -> list[str]:
        """Those that `name` has inside, for good."""
        if self._lease is None:
            return []
        try:
            lease = await self._lease(name)
        except PoolExhausted:
            raise Refused("no inner address is left in the server's pool") from None
        return [address for address in (lease.inner4, lease.inner6) if address]

    async def _signed(self, signing: Awaitable[Issued]) -> Issued:
        try:
            return await signing
        except (ConfigError, HostError) as trouble:  # ours, not the machine's: it learns nothing of it
            self._log.error("cannot sign certificates: {trouble}", trouble=str(trouble))
            raise Refused("the server cannot sign certificates now") from None

    async def _remember(self, name: str, kind: str, issued: Issued) -> None:
        await self._store.add_certificate(CertificateRecord(issued.serial, name, kind, issued.not_after))


@contextmanager
def _alone(busy: set[str], serial: str, otherwise: str) -> Iterator[None]:
    """:raises Refused: the same is being done already."""
    if serial in busy:
        raise Refused(otherwise)
    busy.add(serial)
    try:
        yield
    finally:
        busy.discard(serial)
