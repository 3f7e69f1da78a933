"""
When what is tried with a peer is given up, and when it is tried again: a handshake that has no answer, and the search
for a direct way that finds none. What is done then, `peering` says.

Source: figures C1 to C6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

Ended = Callable[[], None]  # called when the time has come


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, all in seconds."""

    greeting: float = 8.0  # for one handshake
    again: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # before the next one, after so many that failed
    search: float = 4.0  # for a direct way, then the relay it is
    retry: float = 60.0  # until the next search
    jitter: float = 0.2  # each wait is longer or shorter by at most this share


PATIENCE = Patience()


class Attempts:
    """Of one peer, one at a time: a new one, or a wait for it, takes the time of the last."""

    def __init__(self, clock: IReactorTime, chance: Callable[[], float], patience: Patience = PATIENCE) -> None:
        """:param chance: a fresh number in 0 .. 1 at each call, for the jitter of what is tried again."""
        self._clock, self._chance, self.patience = clock, chance, patience
        self._failures = 0  # handshakes in a row
        self._timer: IDelayedCall | None = None

    def forgive(self) -> None:
        """The handshakes that failed count no more."""
        self._failures = 0

    def begin_handshake(self, given_up: Ended) -> None:
        """One begins, and is given up when it is not complete in time."""
        self._wait(self.patience.greeting, given_up)

    def handshake_failed(self, again: Ended) -> float:
        """It is tried again, ever later; answers with seconds until then."""
        steps = self.patience.again
        seconds = self._jittered(steps[min(self._failures, len(steps) - 1)])
        self._failures += 1
        self._wait(seconds, again)
        return seconds

    def begin_search(self, given_up: Ended) -> None:
        """A direct way is looked for, and given up when none is found in time."""
        self._wait(self.patience.search, given_up)

    def search_given_up(self, again: Ended) -> float:
        """No direct way was found in time; answers with seconds until the next search."""
        seconds = self._jittered(self.patience.retry)
        self._wait(seconds, again)
        return seconds

    def quiet(self) -> None:
        """Nothing is waited for."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _wait(self, seconds: float, ended: Ended) -> None:
        self.quiet()
        self._timer = self._clock.callLater(seconds, ended)

    def _jittered(self, seconds: float) -> float:
        return seconds * (1.0 + self.patience.jitter * (2.0 * self._chance() - 1.0))
