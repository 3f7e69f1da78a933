"""The upload server as `ops` sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from morphnet.config.upload import UploadConfig
from morphnet.net.pump import since_boot
from morphnet.roles.process.plain_node import PlainNode
from morphnet.roles.process.reloading import Reloading
from morphnet.status import NodeStatus, UploadStatus


class UploadNode(PlainNode[UploadConfig]):
    """A running upload server. `read_again` reads its secrets."""

    role = "upload"
    reloads = "Read secrets, certificate and settings again; tell what needs a restart."
    read = "the secrets are read again, and the certificate if there is one"

    def __init__(
        self,
        config: UploadConfig,
        counters: Callable[[], dict[str, int]],
        now: Callable[[], float] = since_boot,
        reloading: Reloading[UploadConfig] | None = None,
        uploads: Callable[[], tuple[UploadStatus, ...]] = tuple,
    ) -> None:
        super().__init__(config, counters, now=now, reloading=reloading)
        self._uploads = uploads
        self._redis: str | None = None  # the same of Redis, where several servers share one
        self._certificate = ""  # why the one that is there now is not shown
        self._component: str | None = None  # "" while it is let in, else why it is not; None: there is none

    def picture(self) -> NodeStatus:
        warnings: tuple[str, ...] = (f"no slots by XMPP: {self._component}",) if self._component else ()
        if self._redis:
            warnings += (f"Redis is away, uploads that began go on, others wait: {self._redis}",)
        if self._certificate:
            warnings += (f"the certificate from before is shown: {self._certificate}",)
        return replace(super().picture(), uploads=self._uploads(), sections=("uploads",), warnings=warnings)

    def redis_is(self, why_not: str) -> None:
        """Whether Redis is there: "", or why not."""
        before, self._redis = self._redis, why_not
        if bool(before) != bool(why_not):
            self.tell("redis-lost" if why_not else "redis-up", "", why_not or "Redis is there again")

    def certificate_is(self, why_not: str) -> None:
        """Whether what is in its files now is shown: "", or why not."""
        self._certificate = why_not
        self.tell("certificate", "", f"not read: {why_not}" if why_not else "it is read again")

    def component_is(self, why_not: str) -> None:
        """Whether the XMPP server lets us be its component: "", or why not."""
        before, self._component = self._component, why_not
        if before not in (None, why_not):
            kind = "component-lost" if why_not else "component-up"
            self.tell(kind, "", f"no slots by XMPP: {why_not}" if why_not else "the XMPP server lets the component in")
