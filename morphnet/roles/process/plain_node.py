"""A node that carries no packets: what status, history and reload are to the roles without a tunnel."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from morphnet import __version__
from morphnet.net.pump import since_boot
from morphnet.ops.eventlog import EventLog
from morphnet.ops.headline import with_headline
from morphnet.ops.history import History
from morphnet.ops.verb import Verb
from morphnet.roles.process.reloading import Reloading
from morphnet.status import Happening, NodeStatus, by_kind


class Named(Protocol):
    """Settings of any role."""

    @property
    def name(self) -> str:
        """What `morphnet status` calls it."""
        ...


Config = TypeVar("Config", bound=Named)


class PlainNode(Generic[Config]):
    """
    A running process of such a role.

    :param counters: by name, of all that it has.
    :param wall: Unix seconds, and `now`: seconds that never go back.
    """

    role: ClassVar[str]
    reloads: ClassVar[str]  # what the verb `reload` does, for its help
    read: ClassVar[str]  # what has been done besides reading the settings, for who asked

    def __init__(
        self,
        config: Config,
        counters: Callable[[], dict[str, int]],
        wall: Callable[[], float] = time.time,
        now: Callable[[], float] = since_boot,
        reloading: Reloading[Config] | None = None,
    ) -> None:
        self.config, self.name, self.state = config, config.name, "starting"
        self.history = History(wall, said=EventLog(now).say)
        self.serves: tuple[str, ...] = ()
        self.read_again: Callable[[], None] = lambda: None  # what is in files beside the settings
        self._counters, self._wall, self._now, self._reloading = counters, wall, now, reloading
        self._started_at = now()

    def status(self) -> NodeStatus:
        """All of it, now."""
        return with_headline(self.picture())

    def picture(self) -> NodeStatus:
        """The same without a headline."""
        counters, levels = by_kind(self._counters())
        return NodeStatus(
            role=self.role,
            name=self.name,
            version=__version__,
            pid=os.getpid(),
            started_at=self._wall() - (self._now() - self._started_at),
            core="",
            offloads=(),
            listening=self.serves,
            state=self.state,
            sessions=(),
            counters=counters,
            levels=levels,
        )

    def happenings(self, after: int) -> list[Happening]:
        """What happened since number `after`."""
        return self.history.after(after)

    def tell(self, kind: str, session: str, text: str) -> None:
        """Add one line to the history."""
        self.history.add(kind, session, text)

    def reload(self) -> str:
        """Read settings again, and what is beside them."""
        self.read_again()
        return self.read + (f"; {self._reloading.reload(self)}" if self._reloading is not None else "")

    def reconfigure(self, config: Config, keys: Collection[str]) -> str:
        """Live by these settings: there are none that could be changed."""
        return ""

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it."""
        return (Verb("reload", self.reloads, (), self.reload),)
