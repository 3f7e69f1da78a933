"""What most changes of a machine are like, see `host.journal.Change`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Self


class Plain:
    """Gone with a boot, nothing but itself, and undone without knowing how things were before."""

    __slots__ = ()

    lasting: ClassVar[bool] = False

    @property
    def place(self) -> Hashable:
        return self

    def prepared(self, kernel: object) -> Self:
        return self
