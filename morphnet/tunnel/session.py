"""
A session: one peer, named and keyed, over any number of paths.

Source: docs/protocol sections 5 to 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from morphnet.config.roles import Tuning
from morphnet.errors import MalformedFrame
from morphnet.tunnel.candidate import Candidates
from morphnet.tunnel.carrier import PLAIN, Carrier
from morphnet.tunnel.events import Counts, Effects, Forgotten, PathChanged, PathMoved, Reached, Rekeyed
from morphnet.tunnel.inbound import Inbound
from morphnet.tunnel.lateness import Lateness
from morphnet.tunnel.outbound import Aside, Letter, Outbound
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.scheduler import first_shows, make_scheduler
from morphnet.tunnel.spares import Spares
from morphnet.wire.batch import Arrival, Endpoint, Train
from morphnet.wire.frames import CONTROL, HANDSHAKE, HEARTBEAT, IP, TO_CLIENT, TO_SERVER, Prefix
from morphnet.wire.framing import FRAMINGS
from morphnet.wire.notes import (
    MAX_IDS,
    TOKEN,
    Ack,
    Challenge,
    NewIds,
    Note,
    PathClose,
    Ping,
    Reach,
    Response,
    Seen,
    WantIds,
    decode_notes,
)

MAX_PATHS = 16  # that are not closed, per session
FAREWELL = 3.0  # seconds in which what comes by the way that we left does not lead us back to it


class Session:
    """What both ends keep of one another. The client (of two peers, the caller) opens paths; the server follows."""

    def __init__(
        self, peer: str, name: bytes, tuning: Tuning, *, server: bool, entropy: Callable[[int], bytes], own: Lateness
    ) -> None:
        self.peer, self.name = peer, name  # certificate name; 16 bytes, the same for ever, never on the wire
        self.inward = TO_SERVER if server else TO_CLIENT  # the direction of what comes in
        self.carriers: Mapping[int, Carrier] = {}  # doors that are not plain
        self.learn: Callable[[Iterable[bytes]], list[bytes]] = list  # names us by ids: those that are nobody else's
        self.equals = False  # a peer: either end may find itself behind another address
        self.tuning, self.framing = tuning, FRAMINGS[tuning.framing]
        self.server, self.counts = server, Counts()
        self.outbound = Outbound(tuning, TO_CLIENT if server else TO_SERVER, self.counts)
        self.paths = self.outbound.paths
        self.inbound = Inbound(tuning, self.counts, self.paths)
        self.spares = Spares(self.outbound, server=server)
        self.trace: Callable[[str], None] | None = None
        self.heartbeat = tuning.heartbeat_s * (1.5 if server else 1.0)  # seconds
        self.heard_at = self.judged_at = float("-inf")
        self.due = 0.0  # when `tick` wants to be called; kept by the tunnel
        self._entropy, self._own, self._candidates = entropy, own, Candidates(entropy)
        self._ceiling, self._anew = 0, False  # anew: the client's server is another process, without our counting
        self.use_framing(tuning.framing)

    def use_framing(self, name: str) -> None:
        """Speak that framing from now on."""
        framing = FRAMINGS[name]
        if self.framing is not framing or not self._ceiling:
            self.framing = self.outbound.framing = self.inbound.framing = framing
            self._ceiling = self.tuning.mtu + framing.overhead
            for path in self.paths.values():
                path.mtu.restart(self._ceiling)

    # -- keys --------------------------------------------------------------------------------------------------------

    def install(self, to_server: bytes, to_client: bytes, epoch: int, now: float) -> None:
        """
        Take the keys of a new control handshake into use: both ends accept them, the client begins to send with them.

        :param to_server: first secret of that direction, 32 bytes; likewise `to_client`.
        :param epoch: the number of the first epoch under them.
        """
        if self.server:
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
            for path in self.paths.values():
                if path.life.usable:
                    self.change(path, State.SILENT, now, effects)
            effects.events.append(Forgotten(self.peer))

    def rekey(self, now: float) -> None:
        """Turn the sending ratchet now."""
        self.outbound.keys.turn(now)

    def peer_restarted(self, effects: Effects) -> None:
        """
        The server is a new process: it counts from the start and knows none of our ids; what it had not acknowledged,
        it may never have had. What it sent and we held back, nobody will send again: that is delivered.
        """
        self.inbound.restart(effects.delivers)
        self._anew = True
        self.spares.in_hand.clear()
        for path in self.paths.values():
            self.outbound.send_again(path.take_flights(), path)
            path.peer_restarted()

    def add_spares(self, ids: Iterable[bytes]) -> None:
        """Client: ids (20 bytes each) that it may show, known at once; paths that have none begin to show one."""
        self.spares.in_hand.extend(self.learn(ids))
        for path in self.paths.values():
            if not path.shown and path.life.state is not State.CLOSED:
                self.show_fresh(path)

    def greet(self, now: float, effects: Effects) -> None:
        """Client: there are new keys; let the server hear them on every path at once."""
        for path in self.paths.values():
            if path.life.state is not State.CLOSED:
                self.probe(path, now, effects)
        self.outbound.drain(now, effects)

    # -- paths, as the client commands them --------------------------------------------------------------------------

    def open_path(self, door: int, remote: Endpoint, uplink: str, now: float, effects: Effects) -> Path:
        """A new uplink is there: start to prove the way over it. A closed path of the same uplink is used again."""
        old = [path for path in self.paths.values() if path.life.state is State.CLOSED]
        path = next((path for path in old if path.uplink == uplink), None)
        if path is None:
            free = next((i for i in range(256) if i not in self.paths), None)
            if free is None:
                path = min(old, key=lambda path: path.life.since)
            else:
                path = self.paths[free] = Path(free, door, remote, self._ceiling, now, self._own)
        self._move(path, door, remote, now)
        path.uplink = uplink
        path.validation.validated = True  # the client chose the address itself
        self.change(path, State.PROBING, now, effects)
        self.show_fresh(path)
        self.probe(path, now, effects)
        return path

    def move_path(self, path_id: int, door: int, remote: Endpoint, now: float, effects: Effects) -> None:
        """This end's address on a path has changed: show another id, prove the new way, send again what hung."""
        path = self.paths[path_id]
        path.left = path.door, path.remote
        self._move(path, door, remote, now)
        self.show_fresh(path)
        self.outbound.send_again(path.take_flights(), path)
        path.validation.token = b""
        self.probe(path, now, effects)
        effects.events.append(PathMoved(self.peer, path.id, path.uplink))
        self.outbound.drain(now, effects)

    def _move(self, path: Path, door: int, remote: Endpoint, now: float) -> None:
        was, carrier = self.carriers.get(path.door, PLAIN), self.carriers.get(door, PLAIN)
        alike = path.life.usable and (door == path.door or (carrier is not PLAIN and carrier == was))
        path.moved(door, remote, now, only_ports=alike and remote.host == path.remote.host)
        path.rank = carrier.rank
        if path.rank:
            path.mtu.trust()  # a stream carries whatever it is given

    def close_path(self, path_id: int, now: float, effects: Effects, *, tell: bool = True) -> None:
        """Stop using a path; what was in flight on it goes another way."""
        path = self.paths.get(path_id)
        if path is None or path.life.state is State.CLOSED:
            return
        self.change(path, State.CLOSED, now, effects)
        others = self.outbound.candidates()
        if tell and others:
            self.outbound.say(others[0], Letter([PathClose(path_id)], asks=True), now, effects)
        self.outbound.drain(now, effects)

    def silence(self, path_id: int, now: float, effects: Effects) -> None:
        """What carries a path is known to be gone: what was in flight on it goes another way at once."""
        path = self.paths.get(path_id)
        if path is not None and path.life.usable:
            self.change(path, State.SILENT, now, effects)
            self.outbound.drain(now, effects)

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

    def show_fresh(self, path: Path) -> None:
        """Show an id on `path` that was never shown, if one is in hand."""
        if self.spares.in_hand:
            path.shown = self.spares.in_hand.popleft()
        elif not path.shown:
            path.shown = next((p.shown for p in self.paths.values() if p.shown), b"\0" * 20)

    # -- receiving ---------------------------------------------------------------------------------------------------

    def receive(self, prefix: Prefix, train: Train, now: float, effects: Effects) -> bool:
        """
        Datagrams whose ClientID is ours.

        :param prefix: of the first.
        :returns: False when one of several is not acceptable: nothing was done then, and each must come on its own.
        """
        path = self.paths.get(prefix.path)
        found = self.inbound.open(self.inbound.whole(prefix, path), path, train, now)
        if found is None:
            return train.count == 1
        prefix, opened = found
        path = path or self._accept_path(prefix.path, train.arrival, now)
        if path is None:
            return True
        if self.inbound.keys.confirm(prefix.epoch, now):
            effects.events.append(Rekeyed(self.peer, prefix.epoch))
            self.outbound.keys.peer_uses(prefix.epoch, now)
        self._locate(path, prefix, train, now, effects)
        path.received.seen.add_run(prefix.number, train.count)
        at = now - train.arrival.late
        path.received.came(prefix.number + train.count - 1, train.count, train.end - train.at, prefix.sent_at, at)
        self.heard_at = now
        if prefix.type == IP:
            self.inbound.take(prefix, opened, now, effects.delivers)
            path.received.debt.owe(train.count, path.rtt.smoothed, at)
        elif prefix.type in (HEARTBEAT, HANDSHAKE, CONTROL) and isinstance(opened, list):
            self._hear(path, opened[0], train.arrival, now, effects)
        else:
            self.counts["unexpected"] += 1
        if not path.validation.validated and not path.validation.token:
            self.probe(path, now, effects)
        return True

    def _locate(self, path: Path, prefix: Prefix, train: Train, now: float, effects: Effects) -> None:
        """What the address that authentic datagrams came from says about the path."""
        arrival = train.arrival
        if arrival.source != path.remote or arrival.door != path.door:
            self._from_elsewhere(path, prefix, train, now, effects)
        else:
            if not path.validation.validated:
                path.validation.heard(train.end - train.at)
            if self.server and prefix.number > path.received.seen.highest:
                path.shown = prefix.issued
        if self.server and path.life.state is State.CLOSED:
            self.change(path, State.PROBING, now, effects)

    def _accept_path(self, path_id: int, arrival: Arrival, now: float) -> Path | None:
        """Server: the first authentic datagram of a path that the client opened."""
        alive = sum(path.life.state is not State.CLOSED for path in self.paths.values())
        if not self.server or alive >= MAX_PATHS:
            self.counts["unexpected"] += 1
            return None
        path = self.paths[path_id] = Path(path_id, arrival.door, arrival.source, self._ceiling, now, self._own)
        path.uplink = self.carriers.get(arrival.door, PLAIN).name
        self._move(path, arrival.door, arrival.source, now)
        return path

    def _from_elsewhere(self, path: Path, prefix: Prefix, train: Train, now: float, effects: Effects) -> None:
        """
        An authentic datagram came from another address than the path's: challenge that address, move nothing yet.

        Source: RFC 9000 sections 8.2 and 9.3.
        """
        self.counts["elsewhere"] += 1
        left = path.left == (train.arrival.door, train.arrival.source) and now - path.moved_at < FAREWELL
        if left or not (self.server or self.equals):
            return
        candidate = self._candidates.heard(prefix, train, newest=prefix.number > path.received.seen.highest)
        if candidate is not None and candidate.due(self.framing.overhead + TOKEN + 1, now):
            candidate.challenged_at = now
            letter = Letter([Challenge(candidate.token)], to=Aside(*candidate.way, candidate.shown))
            candidate.allowance -= self.outbound.say(path, letter, now, effects)

    def _hear(self, path: Path, plaintext: bytes, arrival: Arrival, now: float, effects: Effects) -> None:
        if path.life.state is State.CLOSED:  # client: the server does not know yet; an answer would keep it going
            return
        for note in self._notes(plaintext):
            match note:
                case Ping():
                    path.received.debt.owe(1, path.rtt.smoothed, now)
                    path.received.debt.due = now
                case Ack():
                    self._acknowledged(note, arrival.late, now, effects)
                case Challenge():
                    self._challenged(path, note, now, effects)
                case Response():
                    self._answered(path, note, arrival, now, effects)
                case NewIds() if not self.server:
                    self.add_spares(note.ids)
                case WantIds() if self.server:
                    self.spares.wanted = min(MAX_IDS, self.spares.wanted + note.count)
                case PathClose() if self.server:
                    self.close_path(note.path, now, effects, tell=False)
                case Seen() if not self.server:
                    path.seen_as = Endpoint(note.host, note.port)
                case Reach() if self.equals:
                    effects.events.append(Reached(self.peer, note.places))
                case _:
                    self.counts["unexpected"] += 1

    def observed(self, path: Path) -> list[Note]:
        """Server: what the client cannot know, the address by which it is seen on this path."""
        return [Seen(path.remote.host, path.remote.port)] if self.server and path.remote.port else []

    def change(self, path: Path, state: State, now: float, effects: Effects, resent: int = 0) -> None:
        """Begin another part of a path's life; leaving the usable states sends its flights another way."""
        was = path.life.state
        if was is state:
            return
        if path.life.usable and state in (State.SILENT, State.CLOSED):
            others = [other for other in self.outbound.candidates() if other is not path]
            resent += self.outbound.leave(path, others)
            path.pacer.relearn()
            for other in self.paths.values() if not others else ():
                other.life.probe_at = now  # whatever there is, now
        if was is State.SILENT:
            path.loss.clear()  # what was lost in the silence says nothing about now
        if state is State.PROBING:
            path.life.falls = 0  # opened anew
        path.enter(state, now)
        effects.events.append(PathChanged(self.peer, path.id, path.uplink, was, state, resent))

    def probe(self, path: Path, now: float, effects: Effects) -> None:
        """Ask for a sign of life, and for a proof of the address while there is none."""
        notes: list[Note] = [Ping()]
        if path.life.state is State.PROBING:
            notes.append(Challenge(path.validation.challenge(self._entropy)))
        self.outbound.say(path, Letter(notes, asks=path.life.usable), now, effects)

    def _notes(self, plaintext: bytes) -> list[Note]:
        try:
            return decode_notes(plaintext)
        except MalformedFrame:
            self.counts["malformed"] += 1
            return []

    def _acknowledged(self, ack: Ack, late: float, now: float, effects: Effects) -> None:
        path = self.paths.get(ack.path)
        if path is None or path.life.state is State.CLOSED:
            return
        probe = path.mtu.probing
        revived = path.proves_life(ack) and (path.life.rested(now) or not self.outbound.candidates())
        news = path.acknowledge(ack, now, late)
        if probe >= 0 and any(first <= probe <= last for first, last in ack.ranges):
            path.mtu.acknowledged(probe, now)
        if revived:
            self.change(path, State.STANDBY if first_shows(path, self.paths.values()) else State.ACTIVE, now, effects)
        if news or revived:
            self.outbound.keys.heard(now)
            self.outbound.drain(now, effects)

    def _challenged(self, path: Path, note: Challenge, now: float, effects: Effects) -> None:
        """The peer is not sure where we are: prove it. If we did not move, a NAT moved us: show another id."""
        settled = now - max(path.life.since, path.moved_at) > 0.5
        if not self.server and path.life.state is State.ACTIVE and settled and path.validation.answered != note.token:
            path.validation.answered = note.token
            self.show_fresh(path)
            self.counts["rebound"] += 1
        self.outbound.say(path, Letter([Response(note.token), *self.observed(path)]), now, effects)

    def _answered(self, path: Path, note: Response, arrival: Arrival, now: float, effects: Effects) -> None:
        """A token came back: the address it came from is proved."""
        candidate = self._candidates.proved(path.id, note.token, arrival)
        if candidate is not None:
            self._move(path, *candidate.way, now)
            path.validation.validated = True
            if self.server:
                path.shown = candidate.shown
            resent = self.outbound.send_again(path.take_flights(), path)
            effects.events.append(PathMoved(self.peer, path.id, path.uplink))
            self.change(path, State.ACTIVE, now, effects, resent)
            self.outbound.say(path, Letter(self.observed(path)), now, effects)
        elif note.token == path.validation.token and (arrival.door, arrival.source) == (path.door, path.remote):
            path.validation.validated = True
            if not path.life.usable:
                resent = self.outbound.send_again(path.take_flights(), path)
                self.change(path, State.ACTIVE, now, effects, resent)
        self.outbound.drain(now, effects)
