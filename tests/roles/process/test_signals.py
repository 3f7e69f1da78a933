"""Signals that stop a process in order."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.process.signals import has_terminal, heed_signals


class FakeReactor:
    """Notes that it was stopped."""

    def __init__(self) -> None:
        self.stopped, self.running = 0, True

    def callFromThread(self, what: Callable[[], None]) -> None:
        """Do it at once, in this thread."""
        what()

    def stop(self) -> None:
        """Count it; raises the second time, as a reactor does."""
        if not self.running:
            raise ReactorNotRunning
        self.running = False
        self.stopped += 1


class SignalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.terminal, self.reloads, self.handed = True, list[int](), list[int]()
        self.set: dict[int, Any] = {}
        self.before: dict[int, Any] = {}
        self.patch(signal, "signal", self.set.__setitem__)
        self.patch(signal, "getsignal", lambda number: self.before.get(number, signal.SIG_DFL))

    def heed(self) -> None:
        """:ivar terminal: whether there is one."""
        heed_signals(self.reactor, lambda: self.reloads.append(1), lambda: self.handed.append(1), lambda: self.terminal)

    def test_stop(self) -> None:
        """The terminal that is closed, and who tells us to, stop the reactor; once more is harmless."""
        self.heed()
        self.assertEqual(set(self.set), {signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2})
        self.terminal = False
        for stop in self.set.values():
            stop(0, None)
        self.assertEqual((self.reactor.stopped, self.reloads, self.handed), (1, [], [1]))

    def test_reload(self) -> None:
        """A SIGHUP while the terminal is there, or where there never was one, has settings read again."""
        for self.terminal in (True, False):
            self.heed()
            self.set[signal.SIGHUP](signal.SIGHUP, None)
        self.assertEqual((self.reactor.stopped, self.reloads), (0, [1, 1]))

    def test_terminal(self) -> None:
        """One that cannot be opened is none."""
        self.assertEqual([has_terminal(path) for path in ("/dev/null", "/nowhere")], [True, False])

    def test_ignored(self) -> None:
        """Who started us with SIGHUP ignored wants us to go on."""
        self.before[signal.SIGHUP] = signal.SIG_IGN
        self.heed()
        self.assertEqual(set(self.set), {signal.SIGTERM, signal.SIGUSR2})
