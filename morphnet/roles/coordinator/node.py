"""The coordinator as `ops` sees it."""

from __future__ import annotations

from collections.abc import Callable

from morphnet.config.home import CoordinatorConfig
from morphnet.rendezvous.home.registry import Registry
from morphnet.roles.process.plain_node import PlainNode
from morphnet.roles.process.reloading import Reloading


class CoordinatorNode(PlainNode[CoordinatorConfig]):
    """A running coordinator. `read_again` reads its certificate."""

    role = "coordinator"
    reloads = "Read certificate and settings again; tell what needs a restart."
    read = "the certificate is read again"

    def __init__(
        self,
        config: CoordinatorConfig,
        registry: Registry,
        counters: Callable[[], dict[str, int]],
        reloading: Reloading[CoordinatorConfig] | None = None,
    ) -> None:
        """:param counters: of the doors."""

        def counted() -> dict[str, int]:
            counts = {**counters(), **registry.counts}
            counts["homes"] = len(registry)
            return counts

        super().__init__(config, counted, reloading=reloading)
