"""Lets this machine know its peers by name, a moment after they have come or gone."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from morphnet.errors import HostError

GATHER = 0.3  # seconds in which more may come or go: one write for all of them, none for one that is back at once

Names = dict[str, tuple[str, ...]]  # inner addresses by the name of a peer


class PeerNames:
    """:param write: see `Host.name_peers`."""

    _log = Logger()

    def __init__(self, write: Callable[[Names], None], clock: IReactorTime) -> None:
        self._write, self._clock = write, clock
        self._names: Names = {}
        self._written: Names | None = None
        self._timer: IDelayedCall | None = None
        self._closed = False

    def are(self, names: Names) -> None:
        """These are the peers now."""
        self._names = names
        if self._timer is None and not self._closed:
            self._timer = self._clock.callLater(GATHER, self._settle)

    def close(self) -> None:
        """Write no more: the host has taken back what was written, or will."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        self._timer = None
        if self._names == self._written:
            return
        try:
            self._write(self._names)
            self._written = self._names
        except HostError as problem:
            self._written = None
            self._log.warn("peers are not known by name: {problem}", problem=str(problem))
