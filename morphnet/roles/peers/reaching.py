"""One peer reached by TCP where UDP does not pass: called, met half way, and its streams kept or closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from morphnet.net.ondevice import Source
from morphnet.net.peer_stream import PeerStream
from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.surroundings import Surroundings
from morphnet.tunnel.carrier import STREAM as STREAM_RANK
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import LINE, STREAM, Candidate

PATIENCE = 1.5  # seconds of a search by UDP alone, where UDP may pass
REST = 5.0  # seconds at least between the starts of two attempts: there may be one who ends every stream
MOST_CALLS = 6  # of one attempt
STAGGER = 0.2  # seconds between the starts of two of them
ENOUGH = 60.0  # seconds that a way by UDP must have worked before the stream is closed
PROVE_WITHIN = 2.0  # seconds that a stream has to show life when its path fell silent
MOST_HELD = 4  # of one peer at the end that was called, until the caller has ended all but one


class Reachable(Protocol):
    """A peer, as far as reaching it is concerned."""

    name: str
    caller: bool  # whether we call it, and choose the stream that is used
    session: Session | None

    def candidates(self) -> Sequence[Candidate]:
        """Where it may be."""
        ...

    def direct_paths(self) -> Sequence[Path]:
        """Those in use by UDP."""
        ...

    def streamed(self, way: str) -> None:
        """A path by TCP works, and no better one."""
        ...

    def cut(self) -> None:
        """No path by TCP works any more."""
        ...


class Way(NamedTuple):
    """One address of ours with one of the peer's."""

    source: Source
    port: int  # that we listen on there
    there: Endpoint


class Meeting(Protocol):
    """Two that call each other at once, as `net.meet_tcp.MeetTcp`."""

    def start(self, within: float) -> None:
        """Begin, and give up after so many seconds."""
        ...

    def stop(self) -> None:
        """Enough."""
        ...


class Caller(Protocol):
    """What opens streams, and makes doors of them: shared by all peers."""

    def begin(self) -> float | None:
        """A search begins: seconds to leave to UDP before an attempt; None when there shall be no streams."""
        ...

    def ways(self, candidates: Sequence[Candidate]) -> list[Way]:
        """Each address that we listen on with each of these, of one family."""
        ...

    def call(self, way: Way, peer: str) -> Deferred[None] | None:
        """Call it; fires when that has come to an end, of either kind. None when nobody may be called there now."""
        ...

    def meet(self, way: Way, peer: str, *, caller: bool) -> Meeting | None:
        """Meet it half way. None when nobody may be called there now."""
        ...

    def attach(self, stream: PeerStream) -> None:
        """It carries datagrams from now on."""
        ...

    def detach(self, stream: PeerStream) -> None:
        """It does no more."""
        ...

    def leave(self, reaching: Reaching) -> None:
        """That peer is nobody any more."""
        ...


class Reaching:
    """What is done to reach one peer, and what has come of it. Of two peers the caller chooses the stream to use."""

    def __init__(self, around: Surroundings, peer: Reachable, sessions: Sessions, caller: Caller) -> None:
        self.peer = peer
        self.streams: dict[int, PeerStream] = {}  # by number, the oldest first
        self._around, self._sessions, self._caller = around, sessions, caller
        self._waiting: IDelayedCall | None = None  # for the next attempt
        self._timers: list[IDelayedCall] = []  # of calls to come
        self._calls: list[Deferred[None]] = []
        self._meetings: list[Meeting] = []
        self._closing: IDelayedCall | None = None
        self._begun_at = float("-inf")  # the last attempt

    # -- an attempt ----------------------------------------------------------------------------------------------------

    def search(self) -> None:
        """A direct way is looked for: after a while, or at once where UDP has never passed, by TCP too."""
        waits = self._waiting is not None and self._waiting.active()
        if self.streams or waits or self.peer.direct_paths():
            return
        patience = self._caller.begin()
        if patience is not None:
            rest = self._begun_at + REST - self._around.now()
            self._waiting = self._around.clock.callLater(max(patience, rest), self._try)

    def _try(self) -> None:
        peer = self.peer
        if self.streams or peer.session is None or peer.direct_paths():
            return
        self._give_up()  # what is left of the last attempt
        self._begun_at = self._around.now()
        candidates = peer.candidates()
        ways = self._caller.ways([each for each in candidates if each.kind == STREAM])[:MOST_CALLS]
        lines = {each.host for each in candidates if each.kind == LINE}
        for way in ways:
            if way.there.host in lines:
                meeting = self._caller.meet(way, peer.name, caller=peer.caller)
                self._meetings += [meeting] if meeting is not None else []
        later = self._around.clock.callLater
        self._timers = [later(STAGGER * turn, self._call, way) for turn, way in enumerate(ways)]

    def _call(self, way: Way) -> None:
        calling = self._caller.call(way, self.peer.name)
        if calling is not None:
            self._calls.append(calling)
            calling.addBoth(lambda _: self._calls.remove(calling))

    def _give_up(self) -> None:
        """End the attempt under way, and begin no other."""
        for timer in (self._waiting, *self._timers):
            if timer is not None and timer.active():
                timer.cancel()
        for call in list(self._calls):
            call.cancel()
        for meeting in self._meetings:
            meeting.stop()
        self._timers, self._meetings = [], []

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def opened(self, stream: PeerStream) -> None:
        """Both ends have shown who they are: it is a door."""
        peer, session = self.peer, self.peer.session
        if session is None:
            stream.end("no session with it")
            return
        self._give_up()
        if peer.caller and (self.streams or peer.direct_paths()):
            stream.end("there is a way already")
            return
        if len(self.streams) >= MOST_HELD:
            idle = (each for each in self.streams.values() if not each.received)
            next(idle, next(iter(self.streams.values()))).drop("made room")
        self.streams[stream.number] = stream
        self._caller.attach(stream)
        self._around.history.tell("stream-up", peer.name, f"{peer.name} is reached by {stream}")
        if peer.caller:
            effects = Effects()
            session.open_path(stream.number, Endpoint(peer.name, 0), str(stream), self._around.now(), effects)
            self._sessions.carry_out(session, effects)

    def lost(self, stream: PeerStream, reason: str) -> None:
        """It is gone: what was on its way goes another way at once."""
        if self.streams.pop(stream.number, None) is None:
            return
        peer, session = self.peer, self.peer.session
        self._caller.detach(stream)
        self._around.history.tell("stream-gone", peer.name, f"{stream} to {peer.name} is gone: {reason}")
        if session is not None:
            now, effects = self._around.now(), Effects()
            for path in list(session.paths.values()):
                if path.door == stream.number:
                    session.silence(path.id, now, effects)
                    if peer.caller:  # the next stream is another door
                        session.close_path(path.id, now, effects)
            self._sessions.carry_out(session, effects)
            self.search()

    def path_changed(self, path: Path, state: str) -> None:
        """A path by a stream began another part of its life, of the kind `state`."""
        stream = self.streams.get(path.door)
        if stream is not None and state == State.SILENT:  # find out now whether TCP lives, and not in half a minute
            stream.prove(PROVE_WITHIN)
        if not self.stand_in():
            self.peer.cut()

    def stand_in(self) -> bool:
        """If a stream works, the peer is reached by it; whether it is so."""
        paths = self.peer.session.paths.values() if self.peer.session is not None else ()
        works = next((path for path in paths if path.rank == STREAM_RANK and path.state is State.ACTIVE), None)
        if works is not None:
            self.peer.streamed(str(self.streams.get(works.door) or works.uplink))
        return works is not None

    # -- the end -------------------------------------------------------------------------------------------------------

    def direct(self) -> None:
        """UDP passes after all: if it goes on so, the stream is not needed. The caller closes it."""
        self._give_up()
        if self.peer.caller and self.streams:
            self._stay()
            self._closing = self._around.clock.callLater(ENOUGH, self._close_needless)

    def _close_needless(self) -> None:
        now, since = self._around.now(), [path.since for path in self.peer.direct_paths()]
        if since and now - min(since) >= ENOUGH - 1.0:
            for stream in list(self.streams.values()):
                stream.end("UDP passes")
        elif since:
            self._closing = self._around.clock.callLater(ENOUGH, self._close_needless)

    def _stay(self) -> None:
        """The stream is not to be closed after all."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._closing = None

    def forget(self) -> None:
        """There is no session with that peer any more."""
        self._give_up()
        self._stay()
        self._begun_at = float("-inf")
        streams, self.streams = self.streams, {}
        for stream in streams.values():
            self._caller.detach(stream)
            stream.end("no session any more")

    def stop(self) -> None:
        """Enough."""
        self.forget()
        self._caller.leave(self)
