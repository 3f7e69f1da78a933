"""
What a server says while the link is up, as it is heeded here: the last word counts, after a while if need be.

What changes with it is changed on this machine, and written down there: so no server has that done all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Word = TypeVar("Word")

LEAST = 1.0  # seconds from one change to the next


class LastWord(Generic[Word]):
    """
    :param now: seconds.
    :param later: calls after so many seconds.
    :param heed: lives by it; answers with whether anything is other than before.
    """

    def __init__(
        self,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
        heed: Callable[[Word], bool],
    ) -> None:
        self._now, self._later, self._heed = now, later, heed
        self._said: Word | None = None  # and not heeded yet
        self._heeded_at = float("-inf")
        self._is_due = False  # something will be heeded, and soon

    def withdraw(self) -> None:
        """What is not heeded yet counts no more."""
        self._said = None

    def say(self, said: Word) -> None:
        """The server says so."""
        self._said = said
        wait = self._heeded_at + LEAST - self._now()
        if wait <= 0:
            self._look()
        elif not self._is_due:
            self._is_due = True
            self._later(wait, self._look)

    def _look(self) -> None:
        self._is_due = False
        said, self._said = self._said, None
        if said is not None:
            before, self._heeded_at = self._heeded_at, self._now()
            if not self._heed(said):
                self._heeded_at = before
