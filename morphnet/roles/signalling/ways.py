"""Several ways to one end, the best first: each begins when those before it have had their time, or have failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

HEAD_START = 3.0  # seconds that a way has before the next one begins

T = TypeVar("T")


def first_of(clock: IReactorTime, ways: Sequence[Callable[[], Deferred[T]]]) -> Deferred[T]:
    """
    What the first way that succeeds brings; the others are cancelled. As the first way fails when all have failed.

    :param ways: each begins one; it may be cancelled.
    """
    return _Race(clock, ways).result if len(ways) > 1 else ways[0]()


class _Race(Generic[T]):
    def __init__(self, clock: IReactorTime, ways: Sequence[Callable[[], Deferred[T]]]) -> None:
        self._clock, self._waiting = clock, list(ways)
        self._under_way: list[Deferred[T]] = []
        self._timer: IDelayedCall | None = None
        self._trouble: Failure | None = None
        self.result: Deferred[T] = Deferred(lambda _: self._stop())
        self._next()

    def _next(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if not self._waiting:
            return
        way = self._waiting.pop(0)()
        self._under_way.append(way)
        if self._waiting:
            self._timer = self._clock.callLater(HEAD_START, self._next)
        way.addCallbacks(self._won, self._failed, callbackArgs=(way,), errbackArgs=(way,))

    def _won(self, found: T, way: Deferred[T]) -> None:
        self._under_way.remove(way)
        self._stop()
        self.result.callback(found)

    def _failed(self, failure: Failure, way: Deferred[T]) -> None:
        if way not in self._under_way:
            return  # it was cancelled
        self._under_way.remove(way)
        self._trouble = self._trouble or failure
        if self._waiting:
            self._next()
        elif not self._under_way and not self.result.called:
            self.result.errback(self._trouble)

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._waiting.clear()
        under_way, self._under_way = self._under_way, []
        for way in under_way:
            way.cancel()
