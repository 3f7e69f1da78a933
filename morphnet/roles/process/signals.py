"""Stopping in order, when somebody wants us to."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning


def heed_signals(reactor: Any) -> None:
    """
    Stop in order when the terminal is closed (SIGHUP), and when told to (SIGTERM) before the reactor runs, which heeds
    that from then on. Who started us with SIGHUP ignored (nohup) wants us to go on.
    """

    def stop() -> None:
        with suppress(ReactorNotRunning):  # it stops already
            reactor.stop()

    def told(number: int, frame: object) -> None:
        reactor.callFromThread(stop)

    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, told)
