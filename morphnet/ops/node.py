"""What a running process lets `ops` see and touch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from morphnet.status import Happening, NetcheckStatus, NodeStatus, Pong


class Node(Protocol):
    """
    A running process; `tap` makes one and hands it to the feed and the manhole.

    Everything that changes something answers with one sentence for the operator, and raises ConfigError with one
    sentence when it was asked for something that is not there. A session is named by the peer's certificate name;
    "" means every session.
    """

    @property
    def role(self) -> str:
        """As in NodeStatus."""
        ...

    def status(self) -> NodeStatus:
        """The whole node, now."""
        ...

    def happenings(self, after: int) -> list[Happening]:
        """What happened since number `after`, oldest first; 0 for all that is remembered."""
        ...

    def set_scheduler(self, name: str, session: str = "") -> str:
        """Spread packets over the paths in another way."""
        ...

    def cut_path(self, path: int, session: str = "") -> str:
        """Close a path as if its uplink had gone."""
        ...

    def restore_path(self, path: int, session: str = "") -> str:
        """Open again what `cut_path` closed."""
        ...

    def rekey(self, session: str = "") -> str:
        """Use new keys now."""
        ...

    def drop_session(self, session: str) -> str:
        """Forget a session; its client connects again."""
        ...

    def trace(self, session: str, seconds: float, sink: Callable[[str], None]) -> Callable[[], None]:
        """One line of text for each run of datagrams, for that many seconds; call what is returned to stop sooner."""
        ...

    def ping(self, peer: str, within: float) -> Deferred[Pong]:
        """Ask a peer by the way that traffic would take, and wait for its answer for so many seconds."""
        ...

    def netcheck(self) -> Deferred[NetcheckStatus]:
        """Ask the relays anew what stands between this machine and the others."""
        ...

    def drain(self, seconds: float) -> str:
        """Of a relay: ask every guest to use another one within so many seconds."""
        ...

    def reload(self) -> str:
        """Read again what may have changed on disk: revocations."""
        ...
