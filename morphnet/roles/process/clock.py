"""The clock that a process lives by: one that no operator, no NTP and no other operating system can set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from morphnet.net.pump import since_boot


def live_by(reactor: Any, now: Callable[[], float] = since_boot) -> None:
    """
    Have the reactor's timers, and all that asks for its `seconds()`, live by `now`, and not by the wall clock.

    Set back by an hour, the wall clock would stop every timer for an hour; set forward, all would be due at once. What
    is of the world of people (certificates, leases, logs) asks `time.time` instead, by an argument called `wall`.

    :param reactor: a twisted.internet.base.ReactorBase; what it has to do already stays as far away as it was.
    :param now: seconds, never back. The machine's sleep counts, so that what is timed out is known after it.
    """
    before, reactor.seconds = reactor.seconds, now
    for call in reactor.getDelayedCalls():
        call.seconds = now  # of twisted.internet.base.DelayedCall: what `reset` and `delay` count from
        call.time, call.delayed_time = now() + call.getTime() - before(), 0
    reactor._pendingTimedCalls.sort(key=lambda call: call.time)  # a heap by time
