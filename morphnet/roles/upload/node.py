"""The upload server as `ops` sees it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence

from morphnet import __version__
from morphnet.config.upload import UploadConfig
from morphnet.net.pump import since_boot
from morphnet.ops.eventlog import EventLog
from morphnet.ops.headline import with_headline
from morphnet.ops.history import History
from morphnet.ops.verb import Verb
from morphnet.roles.process.reloading import Reloading
from morphnet.status import Happening, NodeStatus, UploadStatus, by_kind


class UploadNode:
    """A running upload server."""

    role = "upload"

    def __init__(
        self,
        config: UploadConfig,
        counters: Callable[[], dict[str, int]],
        wall: Callable[[], float] = time.time,
        now: Callable[[], float] = since_boot,
        reloading: Reloading[UploadConfig] | None = None,
        uploads: Callable[[], tuple[UploadStatus, ...]] = tuple,
    ) -> None:
        self.config, self.name, self.state = config, config.name, "starting"
        self.history = History(wall, said=EventLog(now).say)
        self.serves: tuple[str, ...] = ()
        self.read_again: Callable[[], None] = lambda: None  # the secrets
        self._counters, self._wall, self._now, self._reloading = counters, wall, now, reloading
        self._started_at, self._uploads = now(), uploads
        self._component: str | None = None  # "" while it is let in, else why it is not; None: there is none

    def status(self) -> NodeStatus:
        """The whole server, now."""
        counters, levels = by_kind(self._counters())
        picture = NodeStatus(
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
            uploads=self._uploads(),
            sections=("uploads",),
            warnings=(f"no slots by XMPP: {self._component}",) if self._component else (),
        )
        return with_headline(picture)

    def component_is(self, why_not: str) -> None:
        """Whether the XMPP server lets us be its component: "", or why not."""
        before, self._component = self._component, why_not
        if before not in (None, why_not):
            kind = "component-lost" if why_not else "component-up"
            self.tell(kind, "", f"no slots by XMPP: {why_not}" if why_not else "the XMPP server lets the component in")

    def happenings(self, after: int) -> list[Happening]:
        """What happened since number `after`."""
        return self.history.after(after)

    def tell(self, kind: str, session: str, text: str) -> None:
        """Add one line to the history."""
        self.history.add(kind, session, text)

    def reload(self) -> str:
        """Read secrets and settings again."""
        self.read_again()
        settings = f"; {self._reloading.reload(self)}" if self._reloading is not None else ""
        return f"the secrets are read again{settings}"

    def reconfigure(self, config: UploadConfig, keys: Collection[str]) -> str:
        """Live by these settings: there are none that could be changed."""
        return ""

    def verbs(self) -> Sequence[Verb]:
        """What can be asked of it."""
        return (Verb("reload", "Read secrets and settings again; tell what needs a restart.", (), self.reload),)
