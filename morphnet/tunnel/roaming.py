"""
Where the other end is: what comes from another address moves a path there only when that address has proved itself.

Source: docs/protocol section 8; RFC 9000 sections 8.2 and 9.3.
"""

from __future__ import annotations

from collections.abc import Callable

from morphnet.tunnel.events import Counts, Effects, PathMoved
from morphnet.tunnel.migration import Migrations
from morphnet.tunnel.outbound import Aside, ControlPacket, Outbound
from morphnet.tunnel.part import Part
from morphnet.tunnel.path import UNSETTLED, Path, State
from morphnet.tunnel.pathtable import PathTable
from morphnet.wire.batch import Arrival, Train
from morphnet.wire.frames import TOKEN, Challenge, Frame, Response, Seen
from morphnet.wire.header import Header

FAREWELL = 3.0  # seconds in which what comes by the way that we left does not lead us back to it
SETTLED = 0.5  # seconds after which a path that we did not move is challenged because a NAT did


class Roaming:
    """Of the paths of one session."""

    def __init__(
        self, peer: str, part: Part, outbound: Outbound, table: PathTable, entropy: Callable[[int], bytes]
    ) -> None:
        self._peer, self._part, self._outbound, self._table = peer, part, outbound, table
        self._migrations = Migrations(entropy)

    def from_elsewhere(self, path: Path, header: Header, train: Train, now: float, effects: Effects) -> None:
        """An authentic datagram came from another address than the path's: challenge that address, move nothing yet."""
        left = path.left == (train.arrival.door, train.arrival.source) and now - path.moved_at < FAREWELL
        if left or self._part is Part.CLIENT:
            return
        migration = self._migrations.heard(header, train, newest=header.number > path.received.seen.highest)
        size = self._outbound.format.overhead + TOKEN + 1 + path.overhead
        if migration is not None and self._migrations.challenge(path.id, size, now):
            to = Aside(*migration.way, migration.shown, migration.allowance)
            packet = ControlPacket([Challenge(migration.token)], to=to)
            migration.allowance -= self._outbound.send_frames(path, packet, now, effects)

    def challenged(self, path: Path, frame: Challenge, counts: Counts, now: float, effects: Effects) -> None:
        """The peer is not sure where we are: prove it. If we did not move, a NAT moved us: show another id."""
        settled = now - max(path.life.since, path.moved_at) > SETTLED
        known = path.validation.answered == frame.token
        if not self._part.follows and path.life.state is State.ACTIVE and settled and not known:
            path.validation.answered = frame.token
            self._table.show_fresh(path)
            path.unsettled_until = now + UNSETTLED
            counts["rebound"] += 1
        self._outbound.send_frames(path, ControlPacket([Response(frame.token), *self.observed(path)]), now, effects)

    def answered(self, path: Path, frame: Response, arrival: Arrival, now: float, effects: Effects) -> None:
        """A token came back: the address it came from is proved."""
        migration = self._migrations.proved(path.id, frame.token, arrival)
        if migration is not None:
            self._table.place(path, *migration.way, now)
            path.validation.validated = True
            if self._part.follows:
                path.shown = migration.shown
            resent = self._outbound.send_again(path.take_flights(), path)
            effects.events.append(PathMoved(self._peer, path.id, path.uplink))
            self._table.change(path, State.ACTIVE, now, effects, resent)
            self._outbound.send_frames(path, ControlPacket(self.observed(path)), now, effects)
        elif frame.token == path.validation.token and (arrival.door, arrival.source) == (path.door, path.remote):
            path.validation.validated = True
            if not path.life.usable:
                resent = self._outbound.send_again(path.take_flights(), path)
                self._table.change(path, State.ACTIVE, now, effects, resent)
        self._outbound.drain(now, effects)

    def observed(self, path: Path) -> list[Frame]:
        """What the end that opens cannot know, the address by which it is seen on this path."""
        return [Seen(path.remote.host, path.remote.port)] if self._part.follows and path.remote.port else []
