"""What outlives a process: the records, and the interface that every store keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from twisted.internet.defer import Deferred

_T = TypeVar("_T")


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


@dataclass(frozen=True, slots=True)
class PhoneRecord:
    """A machine that comes by WireGuard. Its addresses are its lease's."""

    name: str
    public_key: str  # base64, as WireGuard writes keys
    preshared_key: str = field(repr=False)  # likewise
    made_at: int  # Unix seconds


Approval = tuple[str, str]  # a client's name, and a network behind it in CIDR notation
Amount = tuple[int, int]  # bytes to a user, and from it


class MonthRecord(NamedTuple):
    """What one user has carried in one month."""

    name: str
    month: str  # "2026-11", UTC; "" for what was counted before there were months
    sent: int  # bytes of payload to the user
    received: int  # bytes from it


class Standing(NamedTuple):
    """What was carried in the month that is counted for now."""

    month: str
    amounts: Mapping[str, Amount]  # by user


class Post(NamedTuple):
    """Something that a webhook is to be told, once."""

    number: int
    key: str  # the same however often it is sent
    kind: str  # "server", "add", "subtract" or "traffic"
    name: str  # of the server, of a session, or of a user
    sent: int  # bytes to the user
    received: int  # bytes from it


class Accounts(Protocol):
    """What each user has carried, by month, and what a webhook is to be told of it. Within one transaction."""

    def standing(self, month: str) -> Standing:
        """:param month: by the clock; what is counted for already is never left for an earlier one."""
        ...

    def add(self, month: str, amounts: Mapping[str, Amount], *, report: bool) -> str:
        """
        Count what was carried since the last time; answers with the month that it is counted for.

        :param month: as in `standing`.
        :param report: the webhook is to be told of it.
        """
        ...

    def months(self) -> list[MonthRecord]:
        """All that was counted, by name, the latest month first."""
        ...

    def fold(self, month: str) -> int:
        """Count what is in later months for this one: the clock was wrong. How many records that were."""
        ...

    def announce(self, name: str) -> None:
        """The webhook is to be told that this server runs, anew, and so has none of the sessions of before."""
        ...

    def came(self, session: str) -> None:
        """It is to be told of one session more, unless it is there already."""
        ...

    def gone(self, sessions: Collection[str]) -> None:
        """And of those less. What it was not told of yet, it is not told of at all."""
        ...

    def report(self) -> None:
        """It is to be told what each user has carried since the last report."""
        ...

    def next_post(self, besides: Collection[int] = ()) -> Post | None:
        """
        The first thing to tell it, which from now on stays as it is; None for nothing.

        :param besides: numbers of those that wait, and with them all of the same kind, of traffic those of that user.
        """
        ...

    def taken(self, number: int) -> None:
        """It has taken this."""
        ...

    def waiting(self) -> int:
        """How much there is to tell it."""
        ...


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
        """Forget the lease of `name`; its addresses may be given to another. No network is approved for it then."""
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

    def approved(self) -> Deferred[list[Approval]]:
        """The networks behind clients that the operator has approved."""
        ...

    def phones(self) -> Deferred[list[PhoneRecord]]:
        """The machines that come by WireGuard, by name."""
        ...

    def account(self, work: Callable[[Accounts], _T]) -> Deferred[_T]:
        """Have `work` done upon the accounts, all of it or nothing, and answer with what it returns."""
        ...

    def close(self) -> Deferred[None]:
        """Finish what is being written, then close."""
        ...


OPEN = -1  # bytes of an upload whose end nobody has told


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """One file that is uploaded, or was."""

    path: str  # of its slot, below the base of the service; what it is known by
    size: int  # bytes; OPEN until it is known
    kind: str  # media type
    user: str  # JID; "" where the slot does not tell
    created_at: int  # Unix seconds
    completed_at: int = 0  # Unix seconds; 0 while bytes are missing
    announced: bool = False  # its offset was told to somebody, who may rely on it
    lasts_until: int = 0  # Unix seconds to which the whole file is kept; 0: as long as all are
    room: int = 0  # bytes that count as its own while its size is OPEN

    @property
    def counted(self) -> int:
        """Bytes that it is of its user's."""
        return max(self.size, self.room)


MOST_MOVES = 32  # of each upload that are remembered: the last ones


@dataclass(frozen=True, slots=True)
class Move:
    """Who uploads comes from another address than before, or for the first time."""

    at: int  # Unix seconds
    network: str  # the kind of network, as far as an address tells
    address: str


@dataclass(frozen=True, slots=True)
class UploadSession:
    """What is known of who uploads, besides the file."""

    refreshes: int = 0  # tokens that were given after the first one
    moves: tuple[Move, ...] = ()  # oldest first


class StoreAway(Exception):
    """What keeps the records cannot be reached now."""


class OverQuota(Exception):
    """
    There is no room for one more file of its user.

    :ivar used: bytes of those that are there.
    """

    def __init__(self, used: int) -> None:
        super().__init__(f"{used} bytes are there")
        self.used = used


def room_for(record: UploadRecord | None, used: int, least: int, most: int, quota: int) -> int | None:
    """
    What `Uploads.grow` has it count as from now on; None when nothing changes.

    :param used: bytes of all files of its user, itself too.
    :raises OverQuota: there is less room than `least`.
    """
    if record is None or record.size != OPEN:
        return None
    room = min(most, quota - used + record.room) if quota else most
    if room < least:
        raise OverQuota(used)
    return room


class Uploads(Protocol):
    """
    What is known of uploads, besides their bytes. Writes are durable when the Deferred fires.

    Where it is on another machine everything may fail with StoreAway.
    """

    def find(self, path: str) -> Deferred[UploadRecord | None]:
        """The one of that path."""
        ...

    def begin(self, record: UploadRecord, quota: int = 0) -> Deferred[UploadRecord]:
        """
        Remember a new one; answers with the one that is there, if there is one of its path.

        :param quota: bytes of all files of its user, this one too; 0: no limit. Fails with OverQuota beyond it.
        """
        ...

    def announce(self, path: str) -> Deferred[None]:
        """Its offset is told to somebody from now on."""
        ...

    def sized(self, path: str, size: int, quota: int = 0) -> Deferred[None]:
        """
        Its size is known, if it was OPEN; else nothing changes.

        :param quota: bytes of all files of its user, this one too; 0: no limit. Fails with OverQuota beyond it.
        """
        ...

    def grow(self, path: str, least: int, most: int, quota: int = 0) -> Deferred[int]:
        """
        Bytes that one whose size is OPEN counts as from now on: as many of `most` as there is room for.

        :param least: that it must have, else nothing changes, and it fails with OverQuota.
        :returns: them; `most` for one whose size is known, or that is gone: nothing changes then.
        """
        ...

    def complete(self, path: str, now: int) -> Deferred[None]:
        """All its bytes are there."""
        ...

    def forget(self, path: str, only: UploadRecord | None = None) -> Deferred[None]:
        """
        It is gone.

        :param only: nothing is forgotten unless it began, and became complete, when this one did.
        """
        ...

    def used(self, user: str) -> Deferred[int]:
        """Bytes of all files of that user, those that are not whole by their size, or by what they count as."""
        ...

    def older(self, begun: int, completed: int, now: int) -> Deferred[list[UploadRecord]]:
        """
        Those without all bytes that were created before `begun`, and of whole ones those whose time is over.

        :param completed: whole files without a time of their own are over if they were complete before that.
        """
        ...

    def moved(self, path: str, move: Move) -> Deferred[None]:
        """Who uploads comes from there now."""
        ...

    def refresh(self, path: str, most: int) -> Deferred[bool]:
        """One more token is given; False, and none is, when there were so many already or there is no such upload."""
        ...

    def session(self, path: str) -> Deferred[UploadSession]:
        """What is known of who uploads; nothing of one that is not there."""
        ...

    def close(self) -> Deferred[None]:
        """Finish what is being written, then close."""
        ...
