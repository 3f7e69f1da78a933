"""Settings read again while a process runs: some of them apply at once, the others with the next start."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar

from morphnet.config.changes import changed, with_these
from morphnet.config.whole import check_whole

Config = TypeVar("Config")
Told = TypeVar("Told", contravariant=True)


class Reloaded(Protocol[Told]):
    """Who lives by them."""

    def reconfigure(self, config: Told, keys: Collection[str]) -> str:
        """These settings are others now; answers with what is to be known about that, "" for nothing."""
        ...


class Reloading(Generic[Config]):
    """
    :param config: what the process runs with.
    :param read: reads them again, and raises ConfigError for a mistake: then all stays as it is.
    :param live: the settings that apply at once.
    """

    def __init__(self, config: Config, read: Callable[[], Config], live: Collection[str] = ()) -> None:
        self._config, self._read, self._live = config, read, live

    def reload(self, who: Reloaded[Config]) -> str:
        """
        Read them now; answers with what came of it, in one sentence.

        :raises MorphnetError: there is a mistake in them, or the machine refuses.
        """
        fresh = self._read()
        keys = list(changed(self._config, fresh))
        live, rest = [key for key in keys if key in self._live], [key for key in keys if key not in self._live]
        mixed = with_these(self._config, fresh, live)
        if check_whole(mixed) is not None:  # what can be applied needs what cannot
            live, rest = [], keys
        words = []
        if live:
            self._config = mixed
            known = who.reconfigure(self._config, live)
            words.append(f"{', '.join(live)}: applied" + (f" ({known})" if known else ""))
        words += [f"{', '.join(rest)}: restart the process to apply"] if rest else []
        return "; ".join(words) or "no setting has changed"
