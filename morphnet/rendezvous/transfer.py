"""
Who writes to which upload: one at a time, and the latest one.

A phone that changes its network leaves a connection behind that looks alive for minutes. So a new request for the same
upload ends the one before; what that one has written stays, and it writes nothing more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable


class Turn:
    """
    The right of one request to write to one upload.

    :param last: has it write what has come for it by now.
    """

    def __init__(
        self, ended: Callable[[], None], left: Callable[[Turn], None], last: Callable[[], None] = lambda: None
    ) -> None:
        self.current = True  # it may write
        self._ended, self._left, self._last = ended, left, last

    def end(self) -> None:
        """Somebody else goes on: from here on nothing is written by this one."""
        if self.current:
            self._last()
            self.current = False
            self._ended()

    def leave(self) -> None:
        """The request has written what it will."""
        self.current = False
        self._left(self)


_MOST = 10_000  # uploads of which it is remembered who came last


class Turns:
    """The turn of each upload that is written to now."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._came = 0  # requests
        self._latest = OrderedDict[str, int]()  # path -> the last request that took or ended its turn
        self.taken_over = 0  # requests that another one has ended

    def come(self) -> int:
        """A request has come: its place among all of them, for `take`."""
        self._came += 1
        return self._came

    def take(
        self, path: str, ended: Callable[[], None], place: int | None = None, last: Callable[[], None] = lambda: None
    ) -> Turn:
        """
        Write to this upload from now on, unless a later request did, or has ended all that came before it.

        :param ended: called when another request takes over, at most once: hang up.
        :param place: what `come` has said; None: it has come just now.
        :param last: called before that: write what has come by now, it would have to be sent again.
        """
        place = self._came if place is None else place
        if place < self._latest.get(path, 0):
            late = Turn(ended, lambda turn: None)
            late.end()
            self.taken_over += 1
            return late
        self._remember(path, place)
        before = self._turns.get(path)

        def left(turn: Turn) -> None:
            if self._turns.get(path) is turn:
                del self._turns[path]

        turn = Turn(ended, left, last)
        self._turns[path] = turn
        if before is not None:
            self.taken_over += 1
            before.end()
        return turn

    def end(self, path: str, place: int | None = None) -> None:
        """
        Nobody writes to this one any more who has come before.

        :param place: before whom: what `come` has said; None: before now.
        """
        self._remember(path, self._came if place is None else place)
        if (turn := self._turns.pop(path, None)) is not None:
            self.taken_over += 1
            turn.end()

    def _remember(self, path: str, place: int) -> None:
        self._latest[path] = max(place, self._latest.get(path, 0))
        self._latest.move_to_end(path)
        if len(self._latest) > _MOST:
            self._latest.popitem(last=False)

    def __contains__(self, path: object) -> bool:
        return path in self._turns

    def __len__(self) -> int:
        return len(self._turns)
