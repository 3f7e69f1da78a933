"""What each client has sent and received, written to the store from time to time."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import HostError
from morphnet.store.base import Store
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel

Bytes = tuple[int, int]  # sent and received


class Traffic:
    """What cannot be written stays owed, also of sessions that have ended."""

    _log = Logger()

    def __init__(self, tunnel: Tunnel, store: Store) -> None:
        self._tunnel, self._store = tunnel, store
        self._counted: dict[str, Bytes] = {}  # of each session that lives: noted already
        self._owed: dict[str, Bytes] = {}  # noted, to be written, by name
        self._trouble = ""  # why nothing can be written
        tunnel.ended = self._ended

    def write(self) -> list[Deferred[None]]:
        """Write what has come since the last time."""
        for session in self._tunnel.sessions.values():
            self._note(session)
        owed, self._owed = self._owed, {}
        return [self._write(name, traffic) for name, traffic in owed.items() if any(traffic)]

    def _write(self, name: str, traffic: Bytes) -> Deferred[None]:
        """What cannot be written now (a full disk) is owed on, and told of once."""

        def written(_: None) -> None:
            self._trouble = ""

        def failed(failure: Failure) -> None:
            failure.trap(HostError)
            sent, received = self._owed.get(name, (0, 0))
            self._owed[name] = sent + traffic[0], received + traffic[1]
            if self._trouble != str(failure.value):
                self._trouble = str(failure.value)
                self._log.error("traffic is not written now: {trouble}", trouble=self._trouble)

        return self._store.add_traffic(name, *traffic).addCallbacks(written, failed)

    def _note(self, session: Session) -> None:
        """What a session has carried since the last time."""
        name, paths = session.peer, session.paths.values()
        total = sum(path.delivery.sent_bytes for path in paths), sum(path.received.bytes for path in paths)
        before, self._counted[name] = self._counted.get(name, (0, 0)), total
        sent, received = self._owed.get(name, (0, 0))
        self._owed[name] = sent + total[0] - before[0], received + total[1] - before[1]

    def _ended(self, session: Session) -> None:
        self._note(session)
        self._counted.pop(session.peer, None)
