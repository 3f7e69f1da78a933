"""Things that are forgotten when nobody uses them, or when there are too many: first the one unused for longest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """
    :param most: that are kept.
    :param idle: seconds without use after which one is forgotten.
    :param forget: is handed each that is forgotten.
    """

    def __init__(self, most: int, idle: float, forget: Callable[[K, V], None]) -> None:
        self._most, self._idle, self._forget = most, idle, forget
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()  # with when it was used last; the oldest first

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[K]:
        return iter(list(self._kept))

    def get(self, key: K, now: float) -> V | None:
        """The one of that name, which is in use now."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept[key] = found[0], now
        self._kept.move_to_end(key)
        return found[0]

    def add(self, key: K, value: V, now: float) -> None:
        """A new one; the one unused for longest makes room."""
        while len(self._kept) >= self._most:
            self.drop(next(iter(self._kept)))
        self._kept[key] = value, now

    def drop(self, key: K) -> None:
        """Forget this one."""
        value, _ = self._kept.pop(key)
        self._forget(key, value)

    def sweep(self, now: float) -> None:
        """Forget those that were idle for too long."""
        while self._kept:
            key, (_, used_at) = next(iter(self._kept.items()))
            if now - used_at < self._idle:
                break
            self.drop(key)
