"""
The paths of one session, and what begins, moves, silences and ends them.

The client (of two peers, the caller) commands; the server follows what authentic datagrams show.

Source: docs/protocol section 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from morphnet.tunnel.carrier import DIRECT, PLAIN, Carrier
from morphnet.tunnel.connection_ids import ConnectionIds
from morphnet.tunnel.events import Effects, PathChanged, PathMoved
from morphnet.tunnel.lateness import Lateness
from morphnet.tunnel.outbound import ControlPacket, Outbound
from morphnet.tunnel.path import SPARE, Path, State
from morphnet.tunnel.terms import FREE, UNTOLD, Terms
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.frames import Challenge, Frame, PathClose, Ping
from morphnet.wire.shapes.shape import Shape

MAX_PATHS = 16  # that are not closed, per session


class Shared(NamedTuple):
    """What all sessions of a process have in common."""

    entropy: Callable[[int], bytes]
    lateness: Lateness  # of the process
    carriers: Mapping[int, Carrier]  # doors that are not plain


class PathTable:
    """Of one session."""

    def __init__(self, peer: str, outbound: Outbound, connection_ids: ConnectionIds, shared: Shared) -> None:
        """
        :param peer: its certificate name, for events.
        :param outbound: sends for the session; it keeps the paths.
        :param connection_ids: ids that may be shown.
        """
        self.by_id = outbound.paths
        self._peer, self._outbound, self._connection_ids, self._shared = peer, outbound, connection_ids, shared
        self._ceiling = 0  # bytes of the largest datagram that is worth a try
        self.shape: Shape | None = None  # what paths that this end opens wear, where they need it: not in a stream
        self._terms: Mapping[int, Terms] = {}  # by path id
        self._otherwise = FREE  # those of the others

    def raise_ceiling(self, size: int) -> None:
        """No datagram is larger than that from now on: the format is another one."""
        self._ceiling = size
        for path in self.by_id.values():
            path.mtu.restart(size)

    # -- by command --------------------------------------------------------------------------------------------------

    def open(self, door: int, remote: Endpoint, uplink: str, now: float, effects: Effects) -> Path:
        """A new uplink is there: start to prove the way over it. A closed path of the same uplink is used again."""
        old = [path for path in self.by_id.values() if path.life.state is State.CLOSED]
        path = next((path for path in old if path.uplink == uplink), None)
        if path is None:
            free = next((i for i in range(256) if i not in self.by_id), None)
            path = min(old, key=lambda path: path.life.since) if free is None else self._make(free, door, remote, now)
        self.place(path, door, remote, now)
        path.uplink = uplink
        self.wear(path, self.chosen(path))
        path.validation.validated = True  # the client chose the address itself
        self.change(path, State.PROBING, now, effects)
        self.show_fresh(path)
        self.probe(path, now, effects)
        return path

    def move(self, path_id: int, door: int, remote: Endpoint, now: float, effects: Effects) -> None:
        """This end's address on a path has changed: show another id, prove the new way, send again what hung."""
        path = self.by_id[path_id]
        path.left = path.door, path.remote
        self.place(path, door, remote, now)
        self.show_fresh(path)
        self._outbound.send_again(path.take_flights(), path)
        path.validation.token = b""
        self.probe(path, now, effects)
        effects.events.append(PathMoved(self._peer, path.id, path.uplink))
        self._outbound.drain(now, effects)

    def close(self, path_id: int, now: float, effects: Effects, *, tell: bool = True) -> None:
        """Stop using a path; what was in flight on it goes another way."""
        path = self.by_id.get(path_id)
        if path is None or path.life.state is State.CLOSED:
            return
        self.change(path, State.CLOSED, now, effects)
        others = self._outbound.usable_paths()
        if tell and others:
            self._outbound.send_frames(others[0], ControlPacket([PathClose(path_id)], asks=True), now, effects)
        self._outbound.drain(now, effects)

    def silence(self, path_id: int, now: float, effects: Effects) -> None:
        """What carries a path is known to be gone: what was in flight on it goes another way at once."""
        path = self.by_id.get(path_id)
        if path is not None and path.life.usable:
            self.change(path, State.SILENT, now, effects)
            self._outbound.drain(now, effects)

    def silence_all(self, now: float, effects: Effects) -> None:
        """There is no key to send with."""
        for path in self.by_id.values():
            if path.life.usable:
                self.change(path, State.SILENT, now, effects)

    # -- as the other end commands -----------------------------------------------------------------------------------

    def accept(self, path_id: int, arrival: Arrival, now: float) -> Path | None:
        """The first authentic datagram of a path that the other end opened; None when there are too many."""
        if sum(path.life.state is not State.CLOSED for path in self.by_id.values()) >= MAX_PATHS:
            return None
        path = self._make(path_id, arrival.door, arrival.source, now)
        path.uplink = self._shared.carriers.get(arrival.door, PLAIN).name
        self.place(path, arrival.door, arrival.source, now)
        return path

    # -- on which terms ----------------------------------------------------------------------------------------------

    def treat(self, terms: Mapping[int, Terms], otherwise: Terms = FREE) -> None:
        """
        Use paths on these terms from now on, those that will be opened too.

        :param terms: by path id.
        :param otherwise: of all that are not named.
        """
        self._terms, self._otherwise = dict(terms), otherwise
        for path in self.by_id.values():
            path.treat(self._terms.get(path.id, otherwise))

    def expect_terms(self) -> None:
        """The other end has terms, and tells them soon: what is not told yet is hardly used."""
        self.treat(self._terms, UNTOLD)

    # -- what both have in common ------------------------------------------------------------------------------------

    def chosen(self, path: Path) -> Shape | None:
        """What a path that this end has opened shall wear."""
        return self._shared.carriers.get(path.door, PLAIN).shape or self.shape

    def wear(self, path: Path, shape: Shape | None) -> None:
        """Dress what is sent by `path` from now on."""
        shape = shape if path.rank == DIRECT else None
        before = path.chosen
        if shape is before:
            return
        if shape is not None and before is not None and shape.name == before.name:
            path.wear(shape, path.spare)  # another connection, by the same way
        else:
            path.wear(shape, self._shared.entropy(1)[0] % (SPARE + 1) if shape is not None else 0)

    def draw_rhythm(self, path: Path) -> None:
        """When an idle path shows next that it is there: what is dressed is no clock, by which it would be known."""
        path.life.rhythm = 1.0 - self._shared.entropy(1)[0] / 1024 if path.shape is not None else 1.0

    def _make(self, path_id: int, door: int, remote: Endpoint, now: float) -> Path:
        path = self.by_id[path_id] = Path(path_id, door, remote, self._ceiling, now, self._shared.lateness)
        path.treat(self._terms.get(path_id, self._otherwise))
        return path

    def place(self, path: Path, door: int, remote: Endpoint, now: float) -> None:
        """A path is by that door, to that address, from now on."""
        carriers = self._shared.carriers
        was, carrier = carriers.get(path.door, PLAIN), carriers.get(door, PLAIN)
        alike = path.life.usable and (door == path.door or (carrier.name != "" and carrier == was))
        path.moved(door, remote, now, only_ports=alike and remote.host == path.remote.host)
        path.rank = carrier.rank
        if path.rank:
            path.mtu.trust()  # a stream carries whatever it is given

    def show_fresh(self, path: Path) -> None:
        """Show an id on `path` that was never shown, if one is in hand."""
        if self._connection_ids.in_hand:
            path.shown = self._connection_ids.in_hand.popleft()
        elif not path.shown:
            path.shown = next((p.shown for p in self.by_id.values() if p.shown), b"\0" * 20)

    def change(self, path: Path, state: State, now: float, effects: Effects, resent: int = 0) -> None:
        """
        Begin another part of a path's life; leaving the usable states sends its flights another way.

        :param resent: packets that were sent another way already.
        """
        was = path.life.state
        if was is state:
            return
        if path.life.usable and state in (State.SILENT, State.CLOSED):
            others = [other for other in self._outbound.usable_paths() if other is not path]
            resent += self._outbound.leave(path, others)
            path.pacer.relearn()
            for other in self.by_id.values() if not others else ():
                other.life.probe_at = now  # whatever there is, now
        if was is State.SILENT:
            path.forget_losses()  # what was lost in the silence says nothing about now
        if state is State.PROBING:
            path.life.falls = 0  # opened anew
        path.enter(state, now)
        effects.events.append(PathChanged(self._peer, path.id, path.uplink, was, state, resent))

    def probe(self, path: Path, now: float, effects: Effects) -> None:
        """Ask for a sign of life, and for a proof of the address while there is none."""
        frames: list[Frame] = [Ping()]
        if path.life.state is State.PROBING:
            frames.append(Challenge(path.validation.challenge(self._shared.entropy)))
        self._outbound.send_frames(path, ControlPacket(frames, asks=path.life.usable), now, effects)
