"""A client's settings read again while it runs: some of them apply at once, the others with the next start."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from morphnet.config.changes import changed, with_these
from morphnet.config.roles import ClientConfig

LIVE = frozenset({"routes", "local", "strict", "dns", "dns_split", "mss_clamp", "tuning.scheduler"})


class Reloaded(Protocol):
    """Who lives by them."""

    def reconfigure(self, config: ClientConfig, keys: Collection[str]) -> None:
        """These settings are others now."""
        ...


class Reloading:
    """
    :param config: what the process runs with.
    :param read: reads them again, and raises ConfigError for a mistake: then all stays as it is.
    """

    def __init__(self, config: ClientConfig, read: Callable[[], ClientConfig]) -> None:
        self._config, self._read = config, read

    def reload(self, who: Reloaded) -> str:
        """
        Read them now; answers with what came of it, in one sentence.

        :raises MorphnetError: there is a mistake in them, or the machine refuses.
        """
        fresh = self._read()
        keys = list(changed(self._config, fresh))
        live, rest = [key for key in keys if key in LIVE], [key for key in keys if key not in LIVE]
        if live:
            self._config = with_these(self._config, fresh, live)
            who.reconfigure(self._config, live)
        words = [f"{', '.join(live)}: applied"] if live else []
        words += [f"{', '.join(rest)}: restart the process to apply"] if rest else []
        return "; ".join(words) or "no setting has changed"
