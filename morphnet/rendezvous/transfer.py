"""
Who writes to which upload: one at a time, and the latest one.

A phone that changes its network leaves a connection behind that looks alive for minutes. So a new request for the same
upload ends the one before; what that one has written stays, and it writes nothing more.
"""

from __future__ import annotations

from collections.abc import Callable


class Turn:
    """The right of one request to write to one upload."""

    def __init__(self, ended: Callable[[], None], left: Callable[[Turn], None]) -> None:
        self.current = True  # it may write
        self._ended, self._left = ended, left

    def end(self) -> None:
        """Somebody else goes on: from here on nothing is written by this one."""
        if self.current:
            self.current = False
            self._ended()

    def leave(self) -> None:
        """The request has written what it will."""
        self.current = False
        self._left(self)


class Turns:
    """The turn of each upload that is written to now."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self.taken_over = 0  # requests that another one has ended

    def take(self, path: str, ended: Callable[[], None]) -> Turn:
        """
        Write to this upload from now on.

        :param ended: called when another request takes over, at most once: hang up.
        """
        before = self._turns.get(path)

        def left(turn: Turn) -> None:
            if self._turns.get(path) is turn:
                del self._turns[path]

        turn = Turn(ended, left)
        self._turns[path] = turn
        if before is not None:
            self.taken_over += 1
            before.end()
        return turn

    def end(self, path: str) -> None:
        """Nobody writes to this one from now on."""
        if (turn := self._turns.pop(path, None)) is not None:
            self.taken_over += 1
            turn.end()

    def __contains__(self, path: object) -> bool:
        return path in self._turns

    def __len__(self) -> int:
        return len(self._turns)
