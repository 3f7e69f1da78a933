"""
A slice of each turn of the loop: what of many connections that have much to move is done now, and what in a later turn.

The kernel names all connections that have something in one go. A thousand that bring 32 KiB each took a tenth of a
second, and more on a busy disk: timers, new callers and the answers of threads waited for that.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.interfaces import IReactorTime

SLICE = 0.004  # seconds
MOST = 64  # who waited, let in for one turn


class Slice:
    """
    Who comes when it is used up waits for a later turn, behind those who wait already.

    :param size: seconds.
    :param seconds: tells how long something takes.
    """

    def __init__(
        self, clock: IReactorTime, size: float = SLICE, seconds: Callable[[], float] = time.perf_counter
    ) -> None:
        self._clock, self._size, self._seconds = clock, size, seconds
        self._waiting = deque[Callable[[], None]]()
        self._first = deque[Callable[[], None]]()  # were let in, and came too late in that turn
        self._used, self._moves = 0.0, 0  # seconds, and how often, since the last turn that was counted
        self._next: Any = None  # the timer of the next one

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left of it in this turn."""
        return self._used >= self._size

    def is_open(self, *, let_in: bool) -> bool:
        """
        Whether somebody has it now.

        :param let_in: who has waited; nobody else overtakes those who wait.
        """
        return not self.is_over and (let_in or not (self._first or self._waiting))

    @contextmanager
    def used(self) -> Iterator[None]:
        """Something is done that counts."""
        begun = self._seconds()
        try:
            yield
        finally:
            self._used += self._seconds() - begun
            self._moves += 1
            if self.is_over:
                self._ask()

    def wait(self, go_on: Callable[[], None], *, again: bool = False) -> None:
        """
        Call that in a later turn, to let somebody in.

        :param again: who was let in already, and came when it was used up: it is before those who were not.
        """
        (self._first if again else self._waiting).append(go_on)
        self._ask()

    def _ask(self) -> None:
        if self._next is None:
            self._next = self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        """As many as fit into a slice, if each takes as long as those of the last one did."""
        each, self._next = self._used / max(self._moves, 1), None
        self._used, self._moves = 0.0, 0
        fit = MOST if each * MOST <= self._size else max(int(self._size / each), 1)
        for _ in range(min(fit, len(self._first) + len(self._waiting))):
            (self._first or self._waiting).popleft()()
        if self._first or self._waiting:
            self._ask()
