"""What is under way at a path, and who waits for its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.defer import Deferred

from morphnet.errors import BugError


class Look:
    """What somebody sees of a path; `stale` once something else was under way there."""

    stale = False


class Holding:
    """Paths at which one thing is under way that nobody may come between."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Deferred[None]]] = {}  # held path -> who waits for the end of it
        self._looks: dict[str, list[Look]] = {}  # path -> who looks just now

    def __contains__(self, path: object) -> bool:
        return path in self._waiting

    async def free(self, path: str) -> None:
        """Nothing is under way there when this returns."""
        while (waiting := self._waiting.get(path)) is not None:
            mine: Deferred[None] = Deferred()
            waiting.append(mine)
            await mine

    @contextmanager
    def look(self, path: str) -> Iterator[Look]:
        """Somebody asks what is there, and the answer may take a while."""
        look = Look()
        looks = self._looks.setdefault(path, [])
        looks.append(look)
        try:
            yield look
        finally:
            looks.remove(look)
            if not looks:
                del self._looks[path]

    @contextmanager
    def held(self, path: str) -> Iterator[None]:
        """
        Something is under way there.

        :raises BugError: something is already: look in the same step whether it is free.
        """
        if path in self._waiting:
            raise BugError("two things are under way at one upload")
        waiting = self._waiting[path] = []
        for look in self._looks.get(path, ()):
            look.stale = True
        try:
            yield
        finally:
            del self._waiting[path]
            for each in waiting:
                each.callback(None)
