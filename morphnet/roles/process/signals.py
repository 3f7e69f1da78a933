"""Stopping in order, for good or for the next of us, and reading settings again, when somebody wants us to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning

_TERMINAL = "/dev/tty"  # ours, while there is one


def has_terminal(path: str = _TERMINAL) -> bool:
    """Whether this process has a terminal: one that was closed is none."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def heed_signals(
    reactor: Any,
    reload: Callable[[], object],
    hand_over: Callable[[], object],
    terminal: Callable[[], bool] = has_terminal,
) -> None:
    """
    Stop in order when told to (SIGTERM) before the reactor runs, which heeds that from then on, and when the terminal
    is closed. That comes as a SIGHUP, and so does the wish of an operator that we read our settings again: it is the
    terminal if there was one when we started, and there is none any more. Who started us with SIGHUP ignored (nohup)
    wants us to go on.

    Whoever starts the next of us as soon as we have ended says so (SIGUSR2, `RestartKillSignal` in our units). A
    version that does not know that signal is ended by it as by a kill, which leaves as much to the next one.

    :param reload: reads the settings again.
    :param hand_over: notes that the next of us starts at once; we stop after it.
    :param terminal: whether there is one.
    """

    def stop() -> None:
        with suppress(ReactorNotRunning):  # it stops already
            reactor.stop()

    def told(number: int, frame: object) -> None:
        reactor.callFromThread(stop)

    def relieved(number: int, frame: object) -> None:
        reactor.callFromThread(hand_over)
        reactor.callFromThread(stop)

    def hung_up(number: int, frame: object) -> None:
        reactor.callFromThread(stop if had and not terminal() else reload)

    had = terminal()
    for number, what in ((signal.SIGHUP, hung_up), (signal.SIGTERM, told), (signal.SIGUSR2, relieved)):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, what)
