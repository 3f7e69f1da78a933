"""The home as `ops` sees it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence

from morphnet import __version__
from morphnet.config.home import HomeConfig
from morphnet.net.pump import since_boot
from morphnet.ops.eventlog import EventLog
from morphnet.ops.headline import with_headline
from morphnet.ops.history import History
from morphnet.ops.verb import Verb
from morphnet.roles.process.reloading import Reloading
from morphnet.status import Happening, NodeStatus, by_kind


class HomeNode:
    """A running home."""

    role = "home"

    def __init__(
        self,
        config: HomeConfig,
        counters: Callable[[], dict[str, int]],
        wall: Callable[[], float] = time.time,
        reloading: Reloading[HomeConfig] | None = None,
    ) -> None:
        self.config, self.name, self.state = config, config.name, "starting"
        self.history = History(wall, said=EventLog(since_boot).say)
        self.serves: tuple[str, ...] = ()
        self.look: Callable[[], None] = lambda: None  # whether we are still registered
        self._counters, self._wall, self._reloading = counters, wall, reloading
        self._started_at = since_boot()

    def status(self) -> NodeStatus:
        """The whole home, now."""
        counters, levels = by_kind(self._counters())
        picture = NodeStatus(
            role=self.role,
            name=self.name,
            version=__version__,
            pid=os.getpid(),
            started_at=self._wall() - (since_boot() - self._started_at),
            core="",
            offloads=(),
            listening=self.serves,
            state=self.state,
            sessions=(),
            counters=counters,
            levels=levels,
        )
        return with_headline(picture)

    def happenings(self, after: int) -> list[Happening]:
        """What happened since number `after`."""
        return self.history.after(after)

    def tell(self, kind: str, session: str, text: str) -> None:
        """Add one line to the history."""
        self.history.add(kind, session, text)

    def registered(self, state: str) -> None:
        """What we are to the coordinator."""
        self.state = "serving" if state == "registered" else state
        self.tell("coordinator", "", state)

    def reload(self) -> str:
        """Look whether we are still registered, and read the settings again."""
        self.look()
        return self._reloading.reload(self) if self._reloading is not None else "looking whether we are registered"

    def reconfigure(self, config: HomeConfig, keys: Collection[str]) -> str:
        """Live by these settings: there are none that could be changed."""
        return ""

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it."""
        return (Verb("reload", "Look whether we are registered; tell what settings need a restart.", (), self.reload),)
