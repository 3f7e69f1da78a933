"""The paths of one peer's session that lead through relays."""

from __future__ import annotations

from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.surroundings import Line, RelaysOfPeers, Surroundings
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import State
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Endpoint

MOST_RELAY_PATHS = 2


class RelayPaths:
    """With one peer: through each of the nearest relays where both are."""

    def __init__(self, around: Surroundings, peer: str, sessions: Sessions, relays: RelaysOfPeers) -> None:
        self._around, self._peer, self._sessions, self._relays = around, peer, sessions, relays

    def keep(self, session: Session) -> None:
        """The caller opens those that there are not yet; one that is silent is tried again now."""
        if not self._around.ourselves.calls(self._peer):
            return
        effects, now = Effects(), self._around.now()
        doors = {path.door for path in session.paths.values()}
        for relay in self._relays.having(self._peer)[:MOST_RELAY_PATHS]:
            if relay.number not in doors:
                session.open_path(relay.number, Endpoint(self._peer, 0), f"relay {relay.host}", now, effects)
            else:
                for path in session.paths.values():
                    if path.door == relay.number and path.state in (State.SILENT, State.PROBING):
                        path.life.probe_at = now
        self._sessions.carry_out(session, effects)

    def lost(self, session: Session, relay: Line) -> None:
        """That relay is gone, for us or for the peer: do not wait to find out."""
        effects = Effects()
        for path in list(session.paths.values()):
            if path.door == relay.number:
                session.silence(path.id, self._around.now(), effects)
        self._sessions.carry_out(session, effects)
