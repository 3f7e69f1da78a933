"""What outlives a process: the records, and the interface that every store keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred


@dataclass(frozen=True, slots=True)
class Lease:
    """Inner addresses that belong to one certificate name, for good."""

    name: str
    inner4: str  # "10.73.0.2", or "" when the pool is off
    inner6: str
    session: bytes  # 16 bytes: the session's name; the same over every reconnect


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """One certificate or invitation that our CA signed."""

    serial: str  # hex
    name: str
    kind: str  # "server", "client", "invite"
    not_after: int  # Unix seconds
    revoked_at: int = 0  # Unix seconds; 0 while it is good
    used_at: int = 0  # Unix seconds; invitations only


class PoolExhausted(Exception):
    """No inner address is left in the pool."""


class Store(Protocol):
    """Every call answers with a Deferred; writes are durable when it fires."""

    def lease(self, name: str, pool4: str, pool6: str, fresh_session: bytes) -> Deferred[Lease]:
        """
        The lease of `name`, made now if it has none. The first address of each pool is the server's and never leased.

        :param pool4: prefix in CIDR notation, or "" for none; likewise `pool6`.
        :param fresh_session: 16 random bytes, used only when the lease is new.
        :raises PoolExhausted: every address is taken.
        """
        ...

    def leases(self) -> Deferred[list[Lease]]:
        """Every lease."""
        ...

    def release(self, name: str) -> Deferred[None]:
        """Forget the lease of `name`; its addresses may be given to another."""
        ...

    def add_certificate(self, record: CertificateRecord) -> Deferred[None]:
        """Remember a certificate that was issued."""
        ...

    def certificates(self) -> Deferred[list[CertificateRecord]]:
        """Every certificate ever issued, oldest first."""
        ...

    def revoke(self, name: str, now: int) -> Deferred[list[str]]:
        """Revoke every good certificate of `name`; answers with their serials."""
        ...

    def use_invite(self, serial: str, now: int) -> Deferred[bool]:
        """Mark an invitation used; False when it is unknown, revoked or used already."""
        ...

    def add_traffic(self, name: str, sent: int, received: int) -> Deferred[None]:
        """Add bytes to the account of `name`."""
        ...

    def traffic(self) -> Deferred[dict[str, tuple[int, int]]]:
        """Bytes sent to and received from each name, ever."""
        ...

    def close(self) -> Deferred[None]:
        """Finish what is being written, then close."""
        ...


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """One file that is uploaded, or was."""

    path: str  # of its slot, below the base of the service; what it is known by
    size: int  # bytes
    kind: str  # media type
    user: str  # JID; "" where the slot does not tell
    created_at: int  # Unix seconds
    completed_at: int = 0  # Unix seconds; 0 while bytes are missing
    announced: bool = False  # its offset was told to somebody, who may rely on it
    lasts_until: int = 0  # Unix seconds to which the whole file is kept; 0: as long as all are


class Uploads(Protocol):
    """What is known of uploads, besides their bytes. Writes are durable when the Deferred fires."""

    def find(self, path: str) -> Deferred[UploadRecord | None]:
        """The one of that path."""
        ...

    def begin(self, record: UploadRecord) -> Deferred[UploadRecord]:
        """Remember a new one; answers with the one that is there, if there is one of its path."""
        ...

    def announce(self, path: str) -> Deferred[None]:
        """Its offset is told to somebody from now on."""
        ...

    def complete(self, path: str, now: int) -> Deferred[None]:
        """All its bytes are there."""
        ...

    def forget(self, path: str) -> Deferred[None]:
        """It is gone."""
        ...

    def used(self, user: str) -> Deferred[int]:
        """Bytes of all files of that user, those that are not whole by their size."""
        ...

    def older(self, begun: int, completed: int, now: int) -> Deferred[list[UploadRecord]]:
        """
        Those without all bytes that were created before `begun`, and of whole ones those whose time is over.

        :param completed: whole files without a time of their own are over if they were complete before that.
        """
        ...

    def close(self) -> Deferred[None]:
        """Finish what is being written, then close."""
        ...
