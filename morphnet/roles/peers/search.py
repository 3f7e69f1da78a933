"""The search for direct paths to one peer, and the choice among the ways that it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from morphnet.roles.peers.port_guess import PortGuess
from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.surroundings import Surroundings
from morphnet.roles.peers.tried import tried
from morphnet.traversal.checks import Checker, Pair
from morphnet.tunnel.carrier import DIRECT
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.wire.candidates import Candidate
from morphnet.wire.probes import ProbeKeys

SETTLE = 0.1  # seconds after the first way that was found, in which a better one may come
QUICKER = 0.7  # of its round trip: by so much another way has to be better than the path that works


class DirectSockets(Protocol):
    """Ours that direct paths may use."""

    @property
    def families(self) -> Mapping[int, bool]:
        """Number of each socket to search by, and whether it is IPv6."""
        ...

    def has(self, number: int) -> bool:
        """Whether that door is one of them, and open."""
        ...

    def is_leaving(self, number: int) -> bool:
        """Whether it was replaced, and is to be used no more than necessary."""
        ...


class DirectSearch:
    """With one peer; between `begin` and `end` there is a session with it."""

    def __init__(
        self, around: Surroundings, peer: str, sessions: Sessions, sockets: DirectSockets, port_guess: PortGuess
    ) -> None:
        self._around, self._peer, self._sessions, self._sockets = around, peer, sessions, sockets
        self._port_guess = port_guess
        self._session: Session | None = None
        self._checker: Checker | None = None
        self._choosing: IDelayedCall | None = None

    def begin(self, session: Session, keys: ProbeKeys) -> None:
        """There is a session, and nothing is looked for yet."""
        self._session, self._checker = session, self._sessions.begin_checks(self._peer, keys)

    def end(self) -> None:
        """It is over."""
        if self._checker is not None:
            self._sessions.end_checks(self._checker)
        self._session = self._checker = None

    def stop(self) -> None:
        """Enough."""
        self._port_guess.end()
        if self._choosing is not None and self._choosing.active():
            self._choosing.cancel()
        self.end()

    # -- looking -------------------------------------------------------------------------------------------------------

    def look(self, candidates: Sequence[Candidate]) -> None:
        """
        Look for direct paths, from the start.

        :param candidates: where the peer may be.
        """
        if self._checker is None:
            return
        self._use(candidates)
        self._checker.search(self._around.now())
        if not self.paths():
            self._port_guess.begin(self._checker, candidates)
        self._sessions.wake()

    def rest(self) -> str | None:
        """Look no more; answers with what was tried, in words: "" for nothing, None when nobody looked."""
        self._port_guess.end()
        if self._checker is None:
            return None
        what = tried(self._checker.pairs.values())
        self._checker.rest()
        return what

    def candidates_changed(self, candidates: Sequence[Candidate]) -> None:
        """The peer may be elsewhere too."""
        self._use(candidates)
        self._port_guess.renew()

    def sockets_changed(self, candidates: Sequence[Candidate]) -> None:
        """We have other sockets than before: paths by those that are gone are silent at once."""
        session, now, effects = self._session, self._around.now(), Effects()
        if session is None:
            return
        for path in list(session.paths.values()):
            if path.rank == DIRECT and not self._sockets.has(path.door):
                session.silence(path.id, now, effects)
        self._sessions.carry_out(session, effects)
        self.candidates_changed(candidates)

    def _use(self, candidates: Sequence[Candidate]) -> None:
        if self._checker is not None:
            self._checker.use(dict(self._sockets.families), candidates, self._around.now())
            self._sessions.wake()

    # -- choosing ------------------------------------------------------------------------------------------------------

    def paths(self) -> list[Path]:
        """Those in use that need no relay."""
        paths = self._session.paths.values() if self._session is not None else ()
        return [path for path in paths if path.rank == DIRECT and path.state is State.ACTIVE]

    def way_found(self) -> None:
        """A check was answered: the best way is taken after a moment, by the caller or by who has to move."""
        if self._choosing is None and (self._calls or self._must_move()):
            self._choosing = self._around.clock.callLater(SETTLE, self._choose)

    @property
    def _calls(self) -> bool:
        return self._around.ourselves.calls(self._peer)

    def _must_move(self) -> bool:
        """Whether a direct path goes by a socket that will be closed."""
        return any(self._sockets.is_leaving(path.door) for path in self.paths())

    def _choose(self) -> None:
        """One path for each uplink by which the peer was reached."""
        self._choosing = None
        session, checker, effects = self._session, self._checker, Effects()
        if session is None or checker is None:
            return
        for uplink, way in self._best_pairs(checker).items():
            self._take(session, uplink, way, effects)
        self._sessions.carry_out(session, effects)

    def _best_pairs(self, checker: Checker) -> dict[str, Pair]:
        best: dict[str, Pair] = {}
        for way in checker.proven():
            uplink = self._sessions.uplink_of(way.door)
            if uplink and (uplink not in best or checker.better(way, best[uplink])):
                best[uplink] = way
        return best

    def _take(self, session: Session, uplink: str, way: Pair, effects: Effects) -> None:
        now = self._around.now()
        known = next((path for path in session.paths.values() if path.uplink == uplink and path.rank == DIRECT), None)
        if known is not None and known.state is State.CLOSED:
            known = None
        must = known is not None and self._sockets.is_leaving(known.door)
        if not (self._calls or must):
            return
        if known is None:
            session.open_path(way.door, way.remote, uplink, now, effects)
        elif (known.door, known.remote) != (way.door, way.remote):
            assert way.rtt is not None  # or it would not be the best
            if must or not known.usable or way.rtt < QUICKER * (known.rtt.smoothed or 1.0):
                session.move_path(known.id, way.door, way.remote, now, effects)
