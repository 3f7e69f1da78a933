"""
The data plane of one process: every session, found by ClientID from outside and by inner address from inside.

Pure: the same calls with the same times give the same bytes. Every method that may send takes `effects` and fills it.

Source: docs/architecture, "A packet".
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Protocol

from morphnet.config.roles import Tuning
from morphnet.errors import BugError, MalformedFrame
from morphnet.tunnel.behind import Behind
from morphnet.tunnel.carrier import Carrier
from morphnet.tunnel.events import Counts, Effects, Overrun
from morphnet.tunnel.farewell import take_leave
from morphnet.tunnel.lateness import Lateness
from morphnet.tunnel.part import Part
from morphnet.tunnel.pathtable import Shared
from morphnet.tunnel.session import Session
from morphnet.tunnel.timers import due_at, excuse, tick
from morphnet.tunnel.totals import Totals
from morphnet.tunnel.trace import show, trace_line
from morphnet.tunnel.wardrobe import Wardrobe
from morphnet.wire.batch import Arrival, Departure, Train
from morphnet.wire.carried import CarriedRun
from morphnet.wire.core import CORE
from morphnet.wire.formats import LEAST, count_following, count_row
from morphnet.wire.header import ISSUED, LAST, SHORT_ID
from morphnet.wire.segments import Run, together

REST = 0.001  # seconds between two turns of a session's timer at least: whatever is wrong, it does not spin
DRAWS = 4  # for each new id, before it is no chance any more that all are taken
SHORT = 8  # datagrams of one run, with fewer of which others behind them are opened in the same call
IDS_PER_SESSION = 64  # issued ids that one session may hold; the oldest are taken back


class Extension(Protocol):
    """Who has datagrams of its own on the doors of the tunnel, by an id that they start with."""

    def due_at(self) -> float:
        """When `tick` wants to be called; infinity for never."""
        ...

    def tick(self, now: float, effects: Effects) -> None:
        """Do what is due."""
        ...

    def received(self, arrival: Arrival, datagram: bytes, now: float, effects: Effects) -> None:
        """A datagram that starts with its id."""
        ...


class Tunnel:
    """
    All sessions of one process: a server's with its clients, a client's with its server and with its peers.

    :param server: the part that this end plays in sessions that do not say otherwise.
    """

    leave: Callable[[Departure], bool] | None = None  # see Effects

    def __init__(self, *, server: bool, entropy: Callable[[int], bytes]) -> None:
        self.part = Part.SERVER if server else Part.CLIENT
        self.sessions: dict[str, Session] = {}  # by certificate name
        self.counts: Counts = Counts()
        self.ended: Callable[[Session], None] = lambda session: None  # told of each that is dropped, for any reason
        self._totals, self._ticket = Totals(), 0
        self.carriers: dict[int, Carrier] = {}  # what there is to know of doors; the others are plain
        self.lateness, self.wardrobe = Lateness(), Wardrobe()  # of this process; what datagrams may come dressed as
        self.carries = False  # whether somebody here takes carried datagrams
        self._entropy, self._shared = entropy, Shared(entropy, self.lateness, self.carriers)
        self.extensions: dict[bytes, Extension] = {}  # by the id that their datagrams start with
        self.default: Session | None = None  # where packets go whose destination is nobody's: a client's server
        self._shown: dict[bytes, tuple[Session, bytes]] = {}  # start of an issued id -> session, issued id
        self._issued, self._inner = dict[str, list[bytes]](), dict[bytes, Session]()  # the latter by inner address
        self.behind, self._timers = Behind[Session](), list[tuple[float, int, Session]]()  # networks, likewise

    # -- sessions ----------------------------------------------------------------------------------------------------

    def add_session(
        self,
        peer: str,
        name: bytes,
        tuning: Tuning,
        inner: Iterable[bytes] | None = None,
        *,
        part: Part | None = None,
    ) -> Session:
        """
        A new session, in place of any other with the same peer.

        :param inner: addresses (4 or 16 bytes) that packets for this peer carry, and that it alone may send from. None:
            it carries all that is nobody else's, and may send from anywhere.
        :param part: the one that this end plays; None for the tunnel's own.
        """
        self.drop_session(peer)
        session = Session(peer, name, tuning, part or self.part, self._shared)
        session.learn = partial(self.learn_ids, session)
        session.inbound.carries = self.carries
        self.sessions[peer] = session
        self._issued[peer] = []
        if inner is None:
            self.default = session
        else:
            session.inbound.sources = addresses = frozenset(inner)
            self._inner.update(dict.fromkeys(addresses, session))
        return session

    def drop_session(self, peer: str) -> bool:
        """Forget a session and all its ids; False when there is none."""
        session = self.sessions.pop(peer, None)
        if session is None:
            return False
        for issued in self._issued.pop(peer):
            self._shown.pop(issued[:SHORT_ID], None)
        self.default = None if self.default is session else self.default
        self._inner = {address: owner for address, owner in self._inner.items() if owner is not session}
        self.behind.forget(session)
        self._timers = [entry for entry in self._timers if entry[2] is not session]
        heapq.heapify(self._timers)
        self._totals.ended(session)
        self.ended(session)
        return True

    def totals(self) -> Counts:
        """What all sessions have counted since the start, those included that have ended; see `totals`."""
        return self._totals.of(self.sessions.values())

    def issue_ids(self, session: Session, count: int) -> list[bytes]:
        """
        Server: `count` new ids (20 bytes each) that name `session` on the wire; no two start alike.

        :raises BugError: the entropy repeats itself.
        """
        fresh = list[bytes]()
        for _ in range(DRAWS * count):
            issued = self._entropy(ISSUED)
            if issued[:SHORT_ID] not in self._shown:
                fresh += self.learn_ids(session, [issued])
                if len(fresh) == count:
                    return fresh
        raise BugError("entropy that repeats itself")

    def learn_ids(self, session: Session, ids: Iterable[bytes]) -> list[bytes]:
        """
        These ids name `session`; beyond IDS_PER_SESSION the oldest that no path shows are forgotten.

        :param ids: as the other end gave them, who may have seen those of others on the wire.
        :returns: all but those that start like an id of somebody else.
        """
        known, taken = self._issued[session.peer], list[bytes]()
        for issued in ids:
            entry = self._shown.get(issued[:SHORT_ID])
            if entry is None and issued[:SHORT_ID] not in self.extensions:
                known.append(issued)
                self._shown[issued[:SHORT_ID]] = session, issued
            elif entry is None or entry[0] is not session or entry[1] != issued:
                session.counts["ids_of_others"] += 1
                continue
            taken.append(issued)
        in_use = {path.shown for path in session.paths.values()}
        while len(known) > IDS_PER_SESSION:
            place = next((i for i, issued in enumerate(known) if issued not in in_use), 0)
            self._shown.pop(known.pop(place)[:SHORT_ID], None)
        return taken

    def add_extension(self, extension_id: bytes, extension: Extension) -> bool:
        """Datagrams that start with that id are the extension's; False when the id is somebody else's."""
        if extension_id in self.extensions or extension_id in self._shown:
            self.counts["ids_of_others"] += 1
            return False
        self.extensions[extension_id] = extension
        return True

    def drop_extension(self, extension_id: bytes, extension: Extension) -> None:
        """They are its no more, if they were."""
        if self.extensions.get(extension_id) is extension:
            del self.extensions[extension_id]

    # -- packets -----------------------------------------------------------------------------------------------------

    def from_tun(self, batch: Sequence[memoryview], now: float) -> Effects:
        """
        Packets from inside.

        :param batch: each with its virtio_net_hdr in front.
        """
        effects, touched = _effects(self.leave, batch), dict[str, Session]()
        for cut in CORE.gather(batch):
            if cut is None:
                self.counts["malformed"] += 1
                continue
            session = self._inner.get(cut[0]) or (self.behind.masks and self.behind.owner(cut[0])) or self.default
            if session is None:
                self.counts["no_session"] += 1
                continue
            touched[session.peer] = session
            session.outbound.offer(Run(*cut[1:]), now, effects)
        self._rearm(touched.values(), now)
        if any(session.trace for session in touched.values()):
            show(effects, self._shown, self.wardrobe)
        return effects

    def from_local(self, peer: str, batch: Sequence[CarriedRun], now: float) -> Effects:
        """What programs here want carried to the other end of the session with that peer."""
        effects, session = _effects(self.leave, batch), self.sessions.get(peer)
        if session is None:
            self.counts["no_session"] += sum(len(each.datagrams) for each in batch)
            return effects
        for run in chain.from_iterable(map(together, batch)):
            session.outbound.offer(Run.of(run), now, effects)
        self._rearm((session,), now)
        if session.trace:
            show(effects, self._shown, self.wardrobe)
        return effects

    def from_path(self, arrivals: Sequence[Arrival], now: float) -> Effects:
        """Datagrams from outside."""
        effects, touched = _effects(self.leave, arrivals), dict[str, Session]()
        for arrival in arrivals:
            if arrival.late:
                self.lateness.woke(arrival.late, now)
            self._walk(arrival, now, (effects, touched))
        self.wardrobe.forget()
        for session in list(touched.values()):
            session.inbound.flush(now, effects.delivers)
            self._after(session, now, effects)
        self._rearm(touched.values(), now)
        if any(session.trace for session in touched.values()):
            show(effects, self._shown, self.wardrobe)
        return effects

    def _walk(self, arrival: Arrival, now: float, out: tuple[Effects, dict[str, Session]]) -> None:
        total, at = len(arrival.data), 0
        while at < total:
            size = min(arrival.size - arrival.gap, total - at) if arrival.size else total
            at = self._train(arrival, at, size, now, out) + arrival.gap

    def _train(self, arrival: Arrival, at: int, size: int, now: float, out: tuple[Effects, dict[str, Session]]) -> int:
        """
        The datagram at offset `at`, and those behind it that carry it on: strangers and nonsense end here, counted and
        unanswered.

        :returns: the offset behind them.
        """
        end = at + size
        entry = self._shown.get(bytes(arrival.data[at : at + SHORT_ID])) if size >= LEAST else None
        if entry is None:
            return self._other(arrival, at, size, now, out)
        session, issued = entry
        format, ways = session.format, (issued, session.inward)
        try:
            header = format.unpack(arrival.data, at, size, *ways)
        except MalformedFrame:
            self.counts["malformed"] += 1
            return end
        step, gap = spacing = size + arrival.gap, arrival.gap
        count = count_following(format, arrival.data, at, spacing, header)
        few = count < SHORT and at + count * step < len(arrival.data)  # and others are behind them
        row = count_row(format, arrival.data, at, spacing, header) if few else 0
        count, mixed = (row, True) if row > count else (count, False)
        end = min(at + count * step - gap, len(arrival.data))
        if count > 1 and arrival.data[at + (count - 1) * step + format.flags_at] & LAST:
            header = header._replace(flags=header.flags | LAST)  # of a row nobody asks for it
        out[1][session.peer] = session
        if session.trace is not None:
            session.trace(trace_line("<", header, count, end - at - (count - 1) * gap))
        if not session.receive(header, Train(arrival, at, spacing, count, end, mixed), now, out[0]):
            for each in range(at, end, step):  # something is wrong with one of them: look at each on its own
                length = min(size, end - each)
                alone = format.unpack(arrival.data, each, length, *ways)
                session.receive(alone, Train(arrival, each, (length, 0), 1, each + length), now, out[0])
        return end

    def _other(self, arrival: Arrival, at: int, size: int, now: float, out: tuple[Effects, dict[str, Session]]) -> int:
        """What starts with no session's id: an extension's, or dressed as something; else it is a stranger's."""
        extension = self.extensions.get(bytes(arrival.data[at : at + SHORT_ID])) if self.extensions else None
        if extension is not None:
            extension.received(arrival, bytes(arrival.data[at : at + size]), now, out[0])
            return at + size
        worn = self.wardrobe.undress(arrival, at, self._shown)
        if worn is None:
            self.counts["stranger" if size >= LEAST else "malformed"] += 1
            return at + size
        self._walk(worn[0], now, out)
        return worn[1]

    def _after(self, session: Session, now: float, effects: Effects) -> None:
        if session.inbound.overrun and session.peer in self.sessions:
            effects.events.append(Overrun(session.peer, session.inbound.forged))
            self.drop_session(session.peer)
            return
        ids = session.connection_ids
        if ids.wanted and session.follows and session.outbound.usable_paths():
            ids.grant(self.issue_ids(session, ids.wanted), now, effects)

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """When `on_timer` wants to be called; None when nothing is due ever."""
        while self._timers and self._timers[0][2].due != self._timers[0][0]:
            heapq.heappop(self._timers)
        due = self._timers[0][0] if self._timers else float("inf")
        for extension in self.extensions.values():
            due = min(due, extension.due_at())
        return None if due == float("inf") else due

    def take_leave(self, now: float) -> Effects:
        """The end of this process: see `farewell`. Only `from_local` and `on_timer` may follow."""
        effects = Effects()
        for session in self.sessions.values():
            take_leave(session, now, effects)
        return effects

    def on_timer(self, now: float) -> Effects:
        """Do what is due."""
        effects, touched = Effects(), list[Session]()
        for extension in self.extensions.values():
            extension.tick(now, effects)
        while True:
            due = self.next_timer()
            if due is None or due > now:
                break
            session = heapq.heappop(self._timers)[2]
            session.due = float("inf")
            self.lateness.woke(now - due, now)
            excuse(session, now - due, now)
            tick(session, now, effects)
            touched.append(session)
        for session in touched:
            self._after(session, now, effects)
        self._rearm(touched, now, rest=REST)
        if any(session.trace for session in touched):
            show(effects, self._shown, self.wardrobe)
        return effects

    def poke(self, session: Session, now: float) -> None:
        """Something was changed from outside: look at its timers again."""
        self._rearm((session,), now)

    def _rearm(self, sessions: Iterable[Session], now: float, rest: float = 0.0) -> None:
        for session in sessions:
            if session.peer not in self.sessions:
                continue
            due = max(due_at(session, now), now + rest)
            if due != session.due:
                session.due = due
                self._ticket += 1
                heapq.heappush(self._timers, (due, self._ticket, session))
        if len(self._timers) > 64 + 8 * len(self.sessions):  # most are out of date: keep the ones that hold
            self._timers = [(each.due, place, each) for place, each in enumerate(self.sessions.values())]
            heapq.heapify(self._timers)


def _effects(leave: Callable[[Departure], bool] | None, batch: Sequence[object]) -> Effects:
    """What comes alone leaves at once; what is sent of several may be sent together."""
    return Effects(leave=leave if len(batch) == 1 else None)
