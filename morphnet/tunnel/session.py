"""
A session: one peer, named and keyed, over any number of paths.

Source: docs/protocol sections 5 to 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from morphnet.config.roles import Tuning
from morphnet.errors import MalformedFrame
from morphnet.tunnel.connection_ids import ConnectionIds
from morphnet.tunnel.events import Counts, Effects, Forgotten, Reached, Rekeyed
from morphnet.tunnel.inbound import Inbound
from morphnet.tunnel.outbound import Outbound
from morphnet.tunnel.part import Part
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.pathtable import PathTable, Shared
from morphnet.tunnel.roaming import Roaming
from morphnet.tunnel.scheduler import first_shows, make_scheduler
from morphnet.wire.batch import Arrival, Endpoint, Train
from morphnet.wire.formats import FORMATS
from morphnet.wire.frames import (
    MAX_IDS,
    Ack,
    Challenge,
    Frame,
    NewIds,
    PathClose,
    Ping,
    Reach,
    Response,
    Seen,
    WantIds,
    decode_frames,
)
from morphnet.wire.header import CARRIED, CONTROL, HANDSHAKE, HEARTBEAT, IP, TO_CLIENT, TO_SERVER, Header
from morphnet.wire.shapes.shape import Shape


class Session:
    """What both ends keep of one another: a name, keys, the two halves that send and receive, and paths."""

    def __init__(self, peer: str, name: bytes, tuning: Tuning, part: Part, shared: Shared) -> None:
        self.peer, self.name = peer, name  # certificate name; 16 bytes, the same for ever, never on the wire
        self.tuning, self.format = tuning, FORMATS[tuning.framing]
        self.part, self.follows = part, part.follows
        self.inward = TO_SERVER if self.follows else TO_CLIENT  # the direction of what comes in
        self.learn: Callable[[Iterable[bytes]], list[bytes]] = list  # names us by ids: those that are nobody else's
        self.counts = Counts()
        self.outbound = Outbound(tuning, TO_CLIENT if self.follows else TO_SERVER, self.counts)
        self.paths = self.outbound.paths
        self.inbound = Inbound(peer, tuning, self.counts, self.paths)
        self.connection_ids = ConnectionIds(self.outbound, server=self.follows)
        self.table = PathTable(peer, self.outbound, self.connection_ids, shared)
        self.roaming = Roaming(peer, part, self.outbound, self.table, shared.entropy)
        self.trace: Callable[[str], None] | None = None
        self.heartbeat = tuning.heartbeat_s * (1.5 if self.follows else 1.0)  # seconds
        self.heard_at = self.judged_at = float("-inf")
        self.due = 0.0  # when `tick` wants to be called; kept by the tunnel
        self._anew = False  # the client's server is another process, without our counting
        self._speak(tuning.framing)

    def use_format(self, name: str) -> None:
        """Speak that format from now on."""
        if self.format is not FORMATS[name]:
            self._speak(name)

    def _speak(self, name: str) -> None:
        format = FORMATS[name]
        self.format = self.outbound.format = self.inbound.format = format
        self.table.raise_ceiling(self.tuning.mtu + format.overhead)

    # -- keys --------------------------------------------------------------------------------------------------------

    def install(self, to_server: bytes, to_client: bytes, epoch: int, now: float) -> None:
        """
        Take the keys of a new control handshake into use: both ends accept them, the client begins to send with them.

        :param to_server: first secret of that direction, 32 bytes; likewise `to_client`.
        :param epoch: the number of the first epoch under them.
        """
        if self.follows:
            self.inbound.keys.install(to_server, epoch, now)
            self.outbound.keys.offer(to_client, epoch, now)
            if not self.paths:
                self.outbound.keys.peer_uses(epoch, now)
        else:
            self.inbound.keys.install(to_client, epoch, now)
            self.outbound.keys.install(to_server, epoch, now)
            if self._anew:  # a number says which one it is by its low bits only: a new peer must see them all
                self._anew = False
                for path in self.paths.values():
                    path.count_anew()

    def age_keys(self, now: float, effects: Effects) -> None:
        """Forget keys that are too old; without any the session rests until there are new ones."""
        self.inbound.keys.age(now)
        if self.outbound.keys.age(now):
            self.table.silence_all(now, effects)
            effects.events.append(Forgotten(self.peer))

    def rekey(self, now: float) -> None:
        """Turn the sending ratchet now."""
        self.outbound.keys.turn(now)

    def peer_restarted(self, effects: Effects) -> None:
        """
        The server is a new process: it counts from the start and knows none of our ids; what it had not acknowledged,
        it may never have had. What it sent and we held back, nobody will send again: that is delivered.
        """
        self.inbound.restart(effects)
        self._anew = True
        self.connection_ids.in_hand.clear()
        for path in self.paths.values():
            self.outbound.send_again(path.take_flights(), path)
            path.peer_restarted()

    def add_ids(self, ids: Iterable[bytes]) -> None:
        """Client: ids (20 bytes each) that it may show, known at once; paths that have none begin to show one."""
        self.connection_ids.in_hand.extend(self.learn(ids))
        for path in self.paths.values():
            if not path.shown and path.life.state is not State.CLOSED:
                self.table.show_fresh(path)

    def greet(self, now: float, effects: Effects) -> None:
        """Client: there are new keys; let the server hear them on every path at once."""
        for path in self.paths.values():
            if path.life.state is not State.CLOSED:
                self.table.probe(path, now, effects)
        self.outbound.drain(now, effects)

    # -- paths, as the end that opens them commands -----------------------------------------------------------------

    def open_path(self, door: int, remote: Endpoint, uplink: str, now: float, effects: Effects) -> Path:
        """A new uplink is there: start to prove the way over it. A closed path of the same uplink is used again."""
        return self.table.open(door, remote, uplink, now, effects)

    def move_path(self, path_id: int, door: int, remote: Endpoint, now: float, effects: Effects) -> None:
        """This end's address on a path has changed."""
        self.table.move(path_id, door, remote, now, effects)

    def close_path(self, path_id: int, now: float, effects: Effects, *, tell: bool = True) -> None:
        """Stop using a path, and tell the other end so; what was in flight on it goes another way."""
        self.table.close(path_id, now, effects, tell=tell)

    def silence(self, path_id: int, now: float, effects: Effects) -> None:
        """What carries a path is known to be gone: what was in flight on it goes another way at once."""
        self.table.silence(path_id, now, effects)

    # -- how it sends ------------------------------------------------------------------------------------------------

    def wear(self, shape: Shape | None, now: float, effects: Effects) -> None:
        """Client: dress what goes over uplinks from now on, and let the server see it, who then does the same."""
        self.table.shape = shape
        for path in self.paths.values():
            was = path.shape
            self.table.wear(path, self.table.chosen(path))
            if path.shape is not was and path.life.state is not State.CLOSED:
                self.table.probe(path, now, effects)

    def be_patient(self, peer: float) -> None:
        """The peer waits `peer` seconds for data of TCP that was lost, and sends again what it lost; 0: neither."""
        ours = self.tuning.repair_ms / 1000
        self.outbound.patience.tcp, self.inbound.patience.tcp = (peer, ours) if peer and ours else (0.0, 0.0)

    def set_scheduler(self, name: str) -> None:
        """
        Spread what this end sends in another way from now on.

        :raises KeyError: no such scheduler.
        """
        self.outbound.scheduler = make_scheduler(name, self.outbound.patience)

    # -- receiving ---------------------------------------------------------------------------------------------------

    def receive(self, header: Header, train: Train, now: float, effects: Effects) -> bool:
        """
        Datagrams whose ClientID is ours.

        :param header: of the first.
        :returns: False when one of several is not acceptable: nothing was done then, and each must come on its own.
        """
        path = self.paths.get(header.path)
        found = self.inbound.open(self.inbound.whole(header, path), path, train, now)
        if found is None:
            return train.count == 1
        header, opened = found
        path = path or self._accept(header.path, train.arrival, now)
        if path is None:
            return True
        if self.inbound.keys.confirm(header.epoch, now):
            effects.events.append(Rekeyed(self.peer, header.epoch))
            self.outbound.keys.peer_uses(header.epoch, now)
        self._locate(path, header, train, now, effects)
        path.received.seen.add_run(header.number, train.count)
        at = now - train.arrival.late
        path.received.came(header.number + train.count - 1, train.count, train.bytes, header.sent_at, at)
        self.heard_at = now
        if header.type == IP or (header.type == CARRIED and self.inbound.carries):
            self.inbound.take(header, opened, now, effects)
            path.received.debt.owe(train.count, path.rtt.smoothed, at)
        elif header.type in (HEARTBEAT, HANDSHAKE, CONTROL) and isinstance(opened, list):
            self._hear(path, opened[0], train.arrival, now, effects)
        else:
            self.counts["unexpected"] += 1
        if not path.validation.validated and not path.validation.token:
            self.table.probe(path, now, effects)
        return True

    def _locate(self, path: Path, header: Header, train: Train, now: float, effects: Effects) -> None:
        """What the address that authentic datagrams came from says about the path."""
        arrival = train.arrival
        if self.follows and header.number > path.received.seen.highest:
            if arrival.shape is not None:
                arrival.shape.proved()
            self.table.wear(path, arrival.shape)  # as the other end does: it knows what passes
        if arrival.source != path.remote or arrival.door != path.door:
            self.counts["elsewhere"] += 1
            self.roaming.from_elsewhere(path, header, train, now, effects)
        else:
            if not path.validation.validated:
                path.validation.heard(train.came)
            if self.follows and header.number > path.received.seen.highest:
                path.shown = header.issued
        if self.follows and path.life.state is State.CLOSED:
            self.table.change(path, State.PROBING, now, effects)

    def _accept(self, path_id: int, arrival: Arrival, now: float) -> Path | None:
        """An authentic datagram of a path that was never seen: that is for the end that opens paths, up to a bound."""
        path = self.table.accept(path_id, arrival, now) if self.follows else None
        if path is None:
            self.counts["unexpected"] += 1
        return path

    def _hear(self, path: Path, plaintext: bytes, arrival: Arrival, now: float, effects: Effects) -> None:
        if path.life.state is State.CLOSED:  # client: the server does not know yet; an answer would keep it going
            return
        for frame in self._frames(plaintext):
            match frame:
                case Ping():
                    path.received.debt.owe(1, path.rtt.smoothed, now)
                    path.received.debt.due = now
                case Ack():
                    self._acknowledged(frame, arrival.late, now, effects)
                case Challenge():
                    self.roaming.challenged(path, frame, self.counts, now, effects)
                case Response():
                    self.roaming.answered(path, frame, arrival, now, effects)
                case NewIds() if not self.follows:
                    self.add_ids(frame.ids)
                case WantIds() if self.follows:
                    self.connection_ids.wanted = min(MAX_IDS, self.connection_ids.wanted + frame.count)
                case PathClose() if self.follows:
                    self.table.close(frame.path, now, effects, tell=False)
                case Seen() if not self.follows:
                    path.seen_as = Endpoint(frame.host, frame.port)
                case Reach() if self.part.of_peers:
                    effects.events.append(Reached(self.peer, frame.candidates))
                case _:
                    self.counts["unexpected"] += 1

    def _frames(self, plaintext: bytes) -> list[Frame]:
        try:
            return decode_frames(plaintext)
        except MalformedFrame:
            self.counts["malformed"] += 1
            return []

    def _acknowledged(self, ack: Ack, late: float, now: float, effects: Effects) -> None:
        path = self.paths.get(ack.path)
        if path is None or path.life.state is State.CLOSED:
            return
        probe = path.mtu.probing
        revived = path.proves_life(ack) and (path.life.rested(now) or not self.outbound.usable_paths())
        news = path.acknowledge(ack, now, late)
        if probe >= 0 and any(first <= probe <= last for first, last in ack.ranges):
            path.mtu.acknowledged(probe, now)
        if revived:
            state = State.STANDBY if first_shows(path, self.paths.values()) else State.ACTIVE
            self.table.change(path, state, now, effects)
        if news or revived:
            self.outbound.keys.heard(now)
            self.outbound.drain(now, effects)
