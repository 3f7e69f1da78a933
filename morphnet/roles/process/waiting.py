"""Waiting for something that nobody tells of."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

LOOK_EVERY = 0.002  # seconds


def until(
    holds: Callable[[], bool], within: float, clock: IReactorTime, now: Callable[[], float]
) -> Deferred[float | None]:
    """
    Look again and again.

    :param within: seconds.
    :returns: seconds until it held; None when it did not.
    """
    begun = now()
    answer: Deferred[float | None] = Deferred(lambda _: loop.stop())

    def look() -> None:
        took = now() - begun
        held = holds()
        if held or took >= within:
            loop.stop()
            answer.callback(took if held else None)

    loop = LoopingCall(look)
    loop.clock = clock
    loop.start(LOOK_EVERY, now=False).addErrback(answer.errback)
    return answer
