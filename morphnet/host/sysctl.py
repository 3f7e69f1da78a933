"""A sysctl as a change that can be undone."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from morphnet.host.kernel import Kernel
from morphnet.host.look import Look


@dataclass(frozen=True, slots=True)
class Sysctl:
    """One sysctl, named by its path under /proc/sys."""

    kind: ClassVar[str] = "sysctl"
    lasting: ClassVar[bool] = False
    name: str
    value: str
    before: str | None = field(default=None, compare=False)

    @property
    def place(self) -> Hashable:
        return self.name

    def prepared(self, kernel: Kernel) -> Self:
        return replace(self, before=kernel.sysctl(self.name))

    def apply(self, kernel: Kernel) -> None:
        if kernel.sysctl(self.name) != self.value:
            kernel.set_sysctl(self.name, self.value)

    def undo(self, kernel: Kernel) -> None:
        if self.before not in (None, self.value) and kernel.sysctl(self.name) == self.value:
            kernel.set_sysctl(self.name, str(self.before))

    def stands(self, look: Look) -> bool:
        return look.sysctl(self.name) in (None, self.value)

    @property
    def label(self) -> str:
        return f"the sysctl {self.name}"
