"""The coordinator as `ops` sees it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from morphnet import __version__
from morphnet.config.home import CoordinatorConfig
from morphnet.net.pump import since_boot
from morphnet.ops.eventlog import EventLog
from morphnet.ops.headline import with_headline
from morphnet.ops.history import History
from morphnet.ops.verb import Verb
from morphnet.rendezvous.home.registry import Registry
from morphnet.roles.process.reloading import Reloading
from morphnet.status import Happening, NodeStatus, by_kind


class CoordinatorNode:
    """A running coordinator."""

    role = "coordinator"

    def __init__(
        self,
        config: CoordinatorConfig,
        registry: Registry,
        counters: Callable[[], dict[str, int]],
        wall: Callable[[], float] = time.time,
        reloading: Reloading[CoordinatorConfig] | None = None,
    ) -> None:
        """:param counters: of the doors."""
        self.config, self.name, self.state = config, config.name, "starting"
        self.history = History(wall, said=EventLog(since_boot).say)
        self.serves: tuple[str, ...] = ()
        self.read_again: Callable[[], None] = lambda: None  # the certificate
        self._registry, self._counters, self._wall, self._reloading = registry, counters, wall, reloading
        self._started_at = since_boot()

    def status(self) -> NodeStatus:
        """The whole coordinator, now."""
        counts = Counter({**self._counters(), **self._registry.counts})
        counts["homes"] += len(self._registry)
        counters, levels = by_kind(counts)
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

    def reload(self) -> str:
        """Read certificate and settings again."""
        self.read_again()
        settings = f"; {self._reloading.reload(self)}" if self._reloading is not None else ""
        return f"the certificate is read again{settings}"

    def reconfigure(self, config: CoordinatorConfig, keys: Collection[str]) -> str:
        """Live by these settings: there are none that could be changed."""
        return ""

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it."""
        return (Verb("reload", "Read certificate and settings again; tell what needs a restart.", (), self.reload),)
