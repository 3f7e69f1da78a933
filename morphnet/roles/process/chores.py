"""What a process does again and again, whatever becomes of a single time: Twisted's LoopingCall ends with an error."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure


class Chore:
    """
    Done at an interval until it is stopped; not again before it is over. What fails is told, once as long as it fails
    in the same way, and done again.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, seconds: float, what: Callable[[], object], *, now: bool = False) -> None:
        """:param now: also at once."""
        self._what, self._told = what, ""
        self._loop = LoopingCall(self._do)
        self._loop.clock = clock
        self._loop.start(seconds, now=now)

    def stop(self) -> None:
        """Not again; harmless a second time."""
        if self._loop.running:
            self._loop.stop()

    def _do(self) -> Deferred[None]:
        return maybeDeferred(self._what).addCallbacks(self._done, self._failed)

    def _done(self, _: object) -> None:
        self._told = ""

    def _failed(self, failure: Failure) -> None:
        if failure.getErrorMessage() != self._told:
            self._told = failure.getErrorMessage()
            self._log.failure("failed, and will be tried again", failure)
