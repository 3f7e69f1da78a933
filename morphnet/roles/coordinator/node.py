"""The coordinator as `ops` sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from morphnet.config.home import CoordinatorConfig
from morphnet.errors import ConfigError
from morphnet.ops.verb import Verb
from morphnet.ops.verbs import of_a_coordinator
from morphnet.rendezvous.home.registry import Registry
from morphnet.roles.process.plain_node import PlainNode
from morphnet.roles.process.reloading import Reloading
from morphnet.status import MoveStatus


class CoordinatorNode(PlainNode[CoordinatorConfig]):
    """A running coordinator. `read_again` reads its certificate and its fallbacks; `move` sends homes elsewhere."""

    role = "coordinator"
    reloads = "Read certificate, fallbacks and settings again; tell what needs a restart."
    read = "certificate and fallbacks are read again"

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
        self.move: Callable[[str, str], Deferred[MoveStatus]] = _nobody

    def verbs(self) -> Sequence[Verb]:
        return (*super().verbs(), *of_a_coordinator(self))


def _nobody(home: str, to: str) -> Deferred[MoveStatus]:
    raise ConfigError("no home is registered here")
