"""
What time does to a session: acknowledgements that are due, probes, heartbeats. Whether a path that does not answer is
dead, and when it is asked again, `liveness` says.

Source: docs/protocol section 7.
"""

from __future__ import annotations

from morphnet.tunnel.events import Effects, PathChanged
from morphnet.tunnel.outbound import ControlPacket
from morphnet.tunnel.part import Part
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.scheduler import judge_losses
from morphnet.tunnel.session import Session
from morphnet.tunnel.terms import SPARSE
from morphnet.wire.frames import Ping

JUDGE_EVERY = 0.25  # seconds between looks at what each path loses, under traffic
LOOK_EVERY = 1.0  # seconds between two looks at a session at least, while something is in flight
REST_EVERY = 5.0  # and while nothing is
STANDBY_BEAT = 1.0  # seconds between pings of a path on stand-by that nobody uses
LINGER = 3.0  # seconds that a better path must have worked before a worse one is left in peace
NUDGED_EVERY = 0.05  # between two looks at a path that was asked and has not answered
LATE = 0.005  # seconds by which a timer may be late before we count as having slept


def tick(session: Session, now: float, effects: Effects) -> None:
    """Do all that is due by `now`."""
    if session.inbound.keys.due <= now or session.outbound.keys.due <= now:
        session.age_keys(now, effects)
    for path in list(session.paths.values()):
        if path.life.state is State.CLOSED:
            continue
        ack_at = path.received.debt.due
        if ack_at is not None and ack_at <= now:
            session.outbound.send_frames(path, ControlPacket([path.received.make_ack(now)]), now, effects)
        if path.life.usable:
            _watch(session, path, now, effects)
        elif path.life.probe_at <= now:
            _seek(session, path, now, effects)
    session.inbound.flush(now, effects.delivers)
    session.inbound.reorder.expire(now, effects)
    if now - session.judged_at >= JUDGE_EVERY:
        _judge(session, now, effects)
    session.outbound.drain(now, effects)


def excuse(session: Session, late: float, now: float) -> None:
    """We slept `late` seconds through a timer (a busy or a stopped process): no path was silent meanwhile."""
    for path in session.paths.values():
        unanswered_at = path.delivery.unanswered_at
        if late > LATE and unanswered_at is not None:
            path.delivery.unanswered_at = min(now, unanswered_at + late)
        if late > LATE:  # what says that something has arrived may wait to be read
            path.delivery.overdue_at = max(path.delivery.overdue_at, now + LATE)


def _watch(session: Session, path: Path, now: float, effects: Effects) -> None:
    """A path in use: is it still there, and does it carry more?"""
    life = path.life
    if life.silent_at(path.delivery.unanswered_at, path.rank, len(session.paths) == 1) <= now:
        session.table.change(path, State.SILENT, now, effects)
        session.table.probe(path, now, effects)
        life.fell_silent(now)
        return
    path.delivery.expire(now)
    if path.rank and dormant(session, path, now):
        return
    unanswered_at = path.delivery.unanswered_at
    if unanswered_at is not None and life.nudged_at != unanswered_at and life.nudge_at(unanswered_at) <= now:
        life.nudged_at = unanswered_at
        session.outbound.send_frames(path, ControlPacket([Ping()], asks=True), now, effects)
    elif _beat_at(session, path) <= now:  # computed just as in `due_at`: no turn without work
        session.outbound.send_frames(
            path, ControlPacket([Ping(), *session.roaming.observed(path)], asks=True), now, effects
        )
        session.table.draw_rhythm(path)
    size = path.mtu.due(now) if not path.terms.metered or _carries(session, path) else 0
    if size:
        path.mtu.sent(path.delivery.number, size, path.rtt.smoothed or 0.1, now)
        if path.mtu.probing == path.delivery.number:
            session.outbound.send_frames(path, ControlPacket([Ping()], size=size), now, effects)


def _beat_at(session: Session, path: Path) -> float:
    """When an idle path shows that it is there. Of two peers one is enough to keep both NATs awake: the caller."""
    beat = max(SPARSE, session.heartbeat) if path.terms.metered else session.heartbeat
    if path.life.state is State.STANDBY and not path.terms.metered:  # nothing else may tell that it has become sound
        return path.delivery.asked_at + min(STANDBY_BEAT, beat) * path.life.rhythm
    if session.part is Part.CALLED:
        return max(path.delivery.asked_at, path.received.heard_at) + beat * path.life.rhythm
    return path.delivery.asked_at + beat * path.life.rhythm


def _carries(session: Session, path: Path) -> bool:
    """Whether traffic goes by it now: only then a metered one is asked how large a datagram it takes."""
    return path in session.outbound.usable_paths()


def dormant(session: Session, path: Path, now: float) -> bool:
    """Whether a path of a better rank does all the work: this one costs its carrier nothing then, but stays ready."""
    if not path.rank:
        return False
    return any(
        other.place < path.place and other.life.state is State.ACTIVE and now - other.life.since > LINGER
        for other in session.paths.values()
    )


def _seek(session: Session, path: Path, now: float, effects: Effects) -> None:
    """A path that does not answer: ask again, ever less often, for as long as it exists."""
    if session.follows and path.life.forgotten(path.received.heard_at, now):
        session.table.change(path, State.CLOSED, now, effects)
        return
    flows = any(other.life.usable and other.delivery.unanswered_at is not None for other in session.paths.values())
    if not session.follows and path.life.renews(now):
        path.begin_flow()
    session.table.probe(path, now, effects)
    path.life.probed_again(path.delivery.number - 1, path.delivery.acked, now, flows=flows)
    costly = path.terms.metered and path.life.state is State.SILENT and not path.life.proofs
    if costly and session.outbound.usable_paths():  # it is not needed now
        path.life.probe_at = max(path.life.probe_at, now + SPARSE)


def _judge(session: Session, now: float, effects: Effects) -> None:
    session.judged_at = now
    for path in session.paths.values():
        path.delivery.recent_bytes *= 0.95
    for path in judge_losses(list(session.paths.values()), now):
        was, resent = State.STANDBY if path.life.state is State.ACTIVE else State.ACTIVE, 0
        if path.mtu.crippled and path.life.state is State.STANDBY:  # what is on it is lost
            others = [other for other in session.outbound.usable_paths() if other is not path]
            resent = session.outbound.leave(path, others)
        effects.events.append(PathChanged(session.peer, path.id, path.uplink, was, path.life.state, resent))
    session.connection_ids.tend(now, effects)


def due_at(session: Session, now: float) -> float:
    """When `tick` has something to do."""
    due, resting = min(session.inbound.reorder.due_at(), session.outbound.room_at(now)), True
    due = min(due, session.inbound.keys.due, session.outbound.keys.due)
    alone = len(session.paths) == 1
    for path in session.paths.values():
        life, unanswered_at, ack_at = path.life, path.delivery.unanswered_at, path.received.debt.due
        if life.state is State.CLOSED:
            resting = resting and unanswered_at is None
            continue
        if ack_at is not None and ack_at < due:
            due = ack_at
        if not life.usable:
            resting = resting and unanswered_at is None
            due = min(due, life.probe_at)
            continue
        if path.rank and dormant(session, path, now):
            if unanswered_at is not None:
                resting, due = False, min(due, life.silent_at(unanswered_at, path.rank, alone))
            continue
        due = min(due, _beat_at(session, path))
        if not path.terms.metered or _carries(session, path):
            due = min(due, path.mtu.due_at())
        if unanswered_at is not None:
            resting = False
            if path.delivery.overdue_at < due:  # no call of `min`: this is for each batch
                due = path.delivery.overdue_at
            if life.nudged_at != unanswered_at:
                due = min(due, life.nudge_at(unanswered_at))
            else:
                due = min(due, life.silent_at(unanswered_at, path.rank, alone), now + NUDGED_EVERY)
    return min(due, session.judged_at + (REST_EVERY if resting else LOOK_EVERY))
