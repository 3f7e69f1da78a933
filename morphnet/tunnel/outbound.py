"""
The sending half of a session: from runs to sealed datagrams on paths.

The walk of a packet, which is that of this file:

1. It comes as a run of slices (`offer`). If others of its lane wait already, it waits behind them: 4.
2. The scheduler says by which paths it may go, the pacer of each how much of it (`_dispatch`).
3. Its slices get numbers, are sealed and leave (`emit`). They are remembered until they are acknowledged.
4. What finds no room waits in `egress`, until an Ack or time brings some (`drain`).
5. What was lost, or was in flight on a path that is gone, goes again by another one (`send_again`).

Source: docs/protocol sections 2, 4 and 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from morphnet.config.roles import Tuning
from morphnet.errors import MalformedFrame
from morphnet.tunnel.choice import paths_in_use
from morphnet.tunnel.egress import INTERVAL, QUANTUM, Egress, Piece
from morphnet.tunnel.events import Counts, Effects
from morphnet.tunnel.flight import Flight
from morphnet.tunnel.fragments import cut_fragments
from morphnet.tunnel.keyring import SendKeys
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.patience import Patience
from morphnet.tunnel.recovery import REPAIRS
from morphnet.tunnel.repair import Repair, lost_by_chance
from morphnet.tunnel.scheduler import Scheduler, make_scheduler
from morphnet.wire.batch import MAX_BATCH, MAX_SEGMENTS, Endpoint
from morphnet.wire.compress import NAMES, compress
from morphnet.wire.formats import FORMATS
from morphnet.wire.frames import Frame, encode_frames, type_of
from morphnet.wire.header import FRAGMENT, LANES, ORDERED, PLAIN, Header
from morphnet.wire.seal import seal, seal_run
from morphnet.wire.segments import Run
from morphnet.wire.shapes.masking import MOST_PADDING

HOLD = 15.0  # seconds that packets wait for a path when there is none at all
STALL = 0.1  # seconds without any room, in which QUANTUM could have gone: no packet gets too old by it
SAMPLE_EVERY = 0.04  # seconds between the copies that show whether a path on stand-by has become sound
OF_RTT = 0.3  # of the RTT that may wait of one lane: one TCP flow that is slowed down then leaves the path full
OF_RTT_LONG = 1.0  # and beside others, who make it longer faster than TCP can grow; and where a repair lets a burst go
QUEUE_SHARE = 0.4  # of `queue_ms`: the standing queue that CoDel lets be
LEEWAY = 1.25  # times what must wait before a worse path is used: that much may
QUEUE_BURST = 4.0  # times `queue_ms`: how long a packet of a burst may wait at all


class ControlPacket(NamedTuple):
    """Frames that go out as one datagram."""

    frames: Sequence[Frame]
    asks: bool = False  # an Ack is expected, and its absence means something
    size: int = 0  # pad the datagram to this many bytes
    to: Aside | None = None  # not to the path's own address


class Aside(NamedTuple):
    """An address besides a path's own, and the issued id that was shown from there."""

    door: int
    remote: Endpoint
    shown: bytes  # 20 bytes
    allowance: int | None = None  # bytes that may go there, with what they wear; None: the path's own says


class Outbound:
    """Seals what one session sends and decides by which path it goes."""

    def __init__(self, tuning: Tuning, direction: int, counts: Counts) -> None:
        self.keys = SendKeys(tuning.rekey_seconds, tuning.rekey_packets)
        self.patience = Patience(tuning.reorder_ms / 1000)  # the peer's
        self.repair = Repair(self.patience)
        self.scheduler: Scheduler = make_scheduler(tuning.scheduler, self.patience)
        wait = tuning.queue_ms / 1000
        self.egress = Egress(wait * QUEUE_SHARE, wait * QUEUE_BURST, tuning.resend_bytes)
        self._moved_at = 0.0  # when there was room for what waits, the last time; long ago if a path has lost it
        self.paths: dict[int, Path] = {}
        self._best = -1  # path that was the first to be offered something, the last time
        self.compression = NAMES[tuning.compression]
        self._resend_bytes = tuning.resend_bytes if tuning.resend else 0
        self._direction = direction
        self.format = FORMATS[tuning.framing]
        self._sequences: dict[int, int] = {}  # lane -> next sequence
        self._counts = counts
        self.payload = 0  # bytes of packets that have left, each once however often it was sent

    # -- 1. a packet comes from inside --------------------------------------------------------------------------------

    def offer(self, run: Run, now: float, effects: Effects) -> None:
        """Send `run`, or let it wait for room."""
        done = 0 if self.egress.waits(run.lane) else self._dispatch(Piece(run, 0, run.count), now, effects)
        if done < run.count:
            if not self.egress:
                self._moved_at = now
            self.egress.put(run, done, now)

    # -- 2. which path takes it ---------------------------------------------------------------------------------------

    def usable_paths(self) -> list[Path]:
        """The paths that traffic may use now: active ones, else those on stand-by."""
        if not self.keys.live:
            return []
        return paths_in_use(self.paths.values(), copies=self.scheduler.copies)

    def _dispatch(self, piece: Piece, now: float, effects: Effects) -> int:
        """Send its slices as far as there is room: the first one that was not sent."""
        run, reached, end = piece.run, piece.start, piece.end
        paths = self.usable_paths()
        if not paths:
            return reached
        order = self.scheduler.order(paths, run, self.egress.bytes + (end - reached) * run.stride, now)
        self._best = order[0].id
        if self.scheduler.copies:
            reached, order = self._give_copies(order, run, reached, end, now, effects), []
        stride = self.format.overhead + run.stride
        for place, path in enumerate(order):
            count = path.pacer.takes(end - reached, stride, now, best=not place)
            if count:
                first = path.delivery.number
                self.emit(path, run, reached, count, now, effects)
                if piece.again:
                    _mark_again(path, first, piece)
                if piece.twice:
                    self._copy(path, run, reached, count, now, effects)
                reached += count
            if reached == end:
                break
        if order:
            self._sample_standby(run, end - 1, order[0].terms.level, now, effects)
        if not piece.again:
            sent = reached - piece.start
            self.payload += run.payload if sent == run.count else run.payload_of(piece.start, sent) if sent else 0
        return reached

    def _give_copies(self, paths: Sequence[Path], run: Run, start: int, end: int, now: float, effects: Effects) -> int:
        """By every path; one that has no room for all of it carries what it can. What only one carried is marked."""
        first, stride = [path.delivery.number for path in paths], self.format.overhead + run.bytes_of(1)
        counts = [path.pacer.takes(end - start, stride, now, best=True) for path in paths]
        for path, count in zip(paths, counts, strict=True):
            if count:
                self.emit(path, run, start, count, now, effects)
        best = max(counts)
        if counts.count(best) == 1:
            farthest = counts.index(best)
            _mark_alone(paths[farthest], first[farthest])
        return start + best

    def _sample_standby(self, run: Run, index: int, level: int, now: float, effects: Effects) -> None:
        """
        A copy of a slice that was sent, by each path on stand-by: cheap, and it measures real loss.

        :param level: of what carries the traffic: who is of a higher one waits for that to fail.
        """
        if run.sequence is None:
            return
        for path in self.paths.values():
            if path.life.state is not State.STANDBY or now - path.delivery.asked_at <= SAMPLE_EVERY:
                continue
            if path.terms.metered or path.terms.level > level:
                continue
            if path.pacer.room(now) > 0:
                self._copy(path, run, index, 1, now, effects)

    def _copy(self, path: Path, run: Run, start: int, count: int, now: float, effects: Effects) -> None:
        """Send what has just left once more; nobody misses that."""
        first = path.delivery.number
        self.emit(path, run, start, count, now, effects)
        _mark_again(path, first, Piece(run, start, start + count, now, REPAIRS))

    # -- 3. it is sealed, and leaves ----------------------------------------------------------------------------------

    def emit(self, path: Path, run: Run, start: int, count: int, now: float, effects: Effects) -> None:
        """Seal `count` slices of `run` for `path`."""
        if run.sequence is None:
            following = self._sequences.get(run.lane, 0)
            run.sequence = following - start
            self._sequences[run.lane] = following + run.count - start
        stride = self.format.overhead + run.bytes_of(1)
        if self.compression != PLAIN or stride > path.mtu.proven:
            for index in range(start, start + count):
                self._emit_alone(path, run, index, now, effects)
            return
        most = min(MAX_SEGMENTS, MAX_BATCH // (stride + path.overhead))
        flags = run.flags | (ORDERED if self.scheduler.ordered else 0)
        while count:
            batch = min(count, most)
            key = self.keys.take(batch, now)
            of = run.sequence + start, flags, start, run.lane % LANES
            header = self._slice_header(path, run.kind, now, of)
            coat = path.coat() if batch > 1 else None
            out = seal_run(self.format, key, header, run, (start, batch), coat)
            total = len(out) - (0 if coat is None else batch * coat.longer)
            effects.send(path.leaving(out, stride, coat))
            self._remember(path.sent(batch, stride, total, now, asks=True), run, start)
            start, count = start + batch, count - batch

    def _emit_alone(self, path: Path, run: Run, index: int, now: float, effects: Effects) -> None:
        """One slice in a datagram of its own: compressed, or in pieces because the path is narrow."""
        assert run.sequence is not None
        method, plaintext = compress(run.plaintext(index), self.compression)
        flags = run.slice_flags(index) | (ORDERED if self.scheduler.ordered else 0)
        room = path.mtu.proven - self.format.overhead
        try:
            pieces = [plaintext] if len(plaintext) <= room else cut_fragments(plaintext, room)
        except MalformedFrame:
            self._counts["too_large"] += 1
            return
        flags |= FRAGMENT if len(pieces) > 1 else 0
        for piece in pieces:
            key = self.keys.take(1, now)
            header = self.header(path, run.kind, now)._replace(
                sequence=run.sequence + index, compression=method, flags=flags, place=index, lane=run.lane % LANES
            )
            out = seal(self.format, key, header, piece)
            effects.send(path.leaving(out, len(out)))
            self._remember(path.sent(1, len(out), len(out), now, asks=True), run, index)
        self._counts["fragmented"] += len(pieces) > 1

    def header(self, path: Path, kind: int, now: float) -> Header:
        """The header of the next datagram on `path`; the key must have been taken before."""
        return self._slice_header(path, kind, now, (0, 0, 0, 0))

    def _slice_header(self, path: Path, kind: int, now: float, of: tuple[int, int, int, int]) -> Header:
        """
        The same for a slice.

        :param of: its sequence, flags, place and lane.
        """
        sent_at, epoch = round(now * 1_000_000) & 0xFFFFFFFF, self.keys.epoch
        sequence, flags, place, lane = of
        words = path.shown, kind, sequence, PLAIN, path.id, epoch, flags, sent_at, place, lane
        return Header(*words, self._direction, path.delivery.number)

    def _remember(self, flight: Flight | None, run: Run, start: int) -> None:
        """Keep what was sent until it is acknowledged, as far as the bound allows."""
        kept = 0
        for path in self.paths.values():
            kept += path.delivery.in_flight
        if flight is not None and kept <= self._resend_bytes:
            flight.run, flight.start = run, start

    # -- 4. or it waits for room --------------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether something waits for room."""
        return bool(self.egress)

    def room_at(self, now: float) -> float:
        """When there may be room for what waits: a path that has some was not good enough, unless it is the best."""
        due = float("inf")
        if not self.egress:
            return due
        least = self.egress.least()
        count, size = least.end - least.start, self.format.overhead + least.run.bytes_of(1)
        for path in self.paths.values():
            if path.life.usable:
                at = path.pacer.room_at(count, size, now)
                due = at if at < due and (at > now or path.id == self._best) else due
        return due

    def drain(self, now: float, effects: Effects) -> None:
        """There may be room again: for what was lost with a path, and for what waits."""
        paths = self.usable_paths()
        if not paths:
            self.egress.expire(now - HOLD)
            return
        for path in self.paths.values():
            if path.delivery.recovery.spilt:
                lost = self.repair.wanted(path, paths, now, ordered=self.scheduler.ordered)
                self._queue_again(lost, path, twice=lost_by_chance(path))
        if not self.egress or not any(path.pacer.room(now) > 0 for path in paths):
            return  # what is too old is dropped when there is room, not while the path may be about to fall silent
        waited, rate = now - self._moved_at, max([path.pacer.window.rate(now) for path in paths])
        if (waited > STALL and (not rate or waited * rate > QUANTUM)) or any(path.mtu.shrinks(now) for path in paths):
            self.egress.renew(now)
        self._moved_at = now
        blocked: set[int] = set()
        self.egress.late = paths[0].lateness.pause
        self._give_leeway(paths, now)
        self.egress.searching = any(path.pacer.window.searching for path in paths)
        for piece in self.egress.take(now, blocked=blocked):
            reached = self._dispatch(piece, now, effects)
            if reached < piece.end:
                self.egress.put_back(piece, reached, blocked)
                if not any(path.pacer.room(now) > 0 for path in paths):
                    return

    def _give_leeway(self, paths: Sequence[Path], now: float) -> None:
        """How long a lane's own packets may keep it waiting: others do not wait for them."""
        rtt = max([path.rtt.smoothed or 0.0 for path in paths])
        long = self.repair.lately(rtt, now) or any(path.pacer.window.others.seen(now) for path in paths)
        self.egress.interval = max(INTERVAL, rtt)
        self.egress.leeway = max(LEEWAY * self.scheduler.later, (OF_RTT_LONG if long else OF_RTT) * rtt)

    # -- 5. what was lost goes again ----------------------------------------------------------------------------------

    def leave(self, path: Path, others: Sequence[Path]) -> int:
        """What is in flight on `path` goes by `others`, as far as they have no copy: the number of packets."""
        flights = path.take_flights()
        if self.scheduler.copies and others:
            flights = [flight for flight in flights if flight.alone]
            for other in others:
                _mark_alone(other, 0)  # its copies were on `path`
        return self.send_again(flights, path)

    def send_again(self, flights: Sequence[Flight], path: Path) -> int:
        """Queue what was in flight on `path` for another one: the number of packets."""
        packets = self._queue_again(flights, path)
        if packets:
            self._moved_at = float("-inf")
        return packets

    def _queue_again(self, flights: Sequence[Flight], path: Path, *, twice: bool = False) -> int:
        packets = 0
        for flight in flights:
            run, missing, at = flight.run, flight.missing, flight.start
            if run is None:
                continue
            while missing:
                skip = (missing & -missing).bit_length() - 1
                missing >>= skip
                length = (~missing & (missing + 1)).bit_length() - 1
                self.egress.put_again(Piece(run, at + skip, at + skip + length, flight.born, flight.again + 1, twice))
                missing >>= length
                at += skip + length
                packets += length
        path.delivery.resent_packets += packets
        self._counts["resent"] += packets
        return packets

    # -- what the two ends tell each other ----------------------------------------------------------------------------

    def send_frames(self, path: Path, packet: ControlPacket, now: float, effects: Effects) -> int:
        """
        Send frames by `path`.

        :returns: bytes sent; 0 without a key, or when the address has not proved itself and may not be sent that much.
        """
        overhead = self.format.overhead
        plaintext = encode_frames(packet.frames, max(0, packet.size - overhead))
        size = len(plaintext) + overhead
        if (packet.to is None and not path.validation.allows(size + path.overhead)) or not self.keys.live:
            return 0
        key = self.keys.take(1, now)
        to = packet.to or Aside(path.door, path.remote, path.shown)
        header = self.header(path, type_of(packet.frames), now)._replace(issued=to.shown)
        out = seal(self.format, key, header, plaintext)
        departure = path.dressed((to.door, to.remote), out, size, MOST_PADDING, to.allowance)
        effects.send(departure)
        path.sent(1, size, size, now, asks=packet.asks)
        return len(departure.data)


def _mark_again(path: Path, first: int, piece: Piece) -> None:
    """What `path` was just given, from packet `first` on, is of a piece that was sent before."""
    for flight in reversed(path.delivery.flights):
        if flight.first < first:
            break
        flight.born, flight.again = piece.lost_at, piece.again


def _mark_alone(path: Path, first: int) -> None:
    """What is in flight on `path`, from packet `first` on, has no copy on another one."""
    for flight in reversed(path.delivery.flights):
        if flight.first < first:
            break
        flight.alone = True
