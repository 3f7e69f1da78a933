"""What the data plane asks of the world, and what it has to tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from morphnet.wire.batch import Departure, Endpoint
from morphnet.wire.candidates import Candidate
from morphnet.wire.carried import Carried, CarriedRun


@dataclass(frozen=True, slots=True)
class PathChanged:
    """A path began another part of its life."""

    session: str  # certificate name of the peer
    path: int
    uplink: str
    was: str
    now: str
    resent: int = 0  # packets that were in flight on it and go another way


@dataclass(frozen=True, slots=True)
class PathMoved:
    """A path proved itself from another address, or was bound to one."""

    session: str
    path: int
    uplink: str


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """The peer began to use a newer key."""

    session: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Overrun:
    """Too many forged datagrams: the session must be closed."""

    session: str
    forged: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Nothing was heard of the peer for so long that no key is left: it takes a new handshake."""

    session: str


@dataclass(frozen=True, slots=True)
class WayFound:
    """A probe was answered: there is a direct way to a peer."""

    session: str
    door: int
    remote: Endpoint
    kind: str  # how its address was learned, see wire/candidates
    rtt: float  # seconds


@dataclass(frozen=True, slots=True)
class Mapped:
    """A relay sees one of our sockets at another address than before, or for the first time."""

    relay: str  # its numeric address
    door: int
    seen: Endpoint


@dataclass(frozen=True, slots=True)
class Reached:
    """A peer tells where it may be reached now, and searches."""

    session: str
    candidates: tuple[Candidate, ...]


Event = PathChanged | PathMoved | Rekeyed | Overrun | Forgotten | WayFound | Mapped | Reached


@dataclass(slots=True)
class Effects:
    """
    Filled by one call into the data plane, carried out by its caller.

    :ivar leave: takes what is to be sent while the call goes on, or answers False; None: nobody does.
    """

    sends: list[Departure] = field(default_factory=list)  # what has not left
    delivers: list[bytearray] = field(default_factory=list)  # for the TUN: virtio_net_hdr and packet, each
    # For who carries: the session it came by, and it.
    carried: list[tuple[str, Carried | CarriedRun]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    leave: Callable[[Departure], bool] | None = None

    def send(self, departure: Departure) -> None:
        """At once, if somebody takes it: what is remembered of it can be done behind it."""
        if self.leave is None or not self.leave(departure):
            self.sends.append(departure)


Counts = Counter[str]
