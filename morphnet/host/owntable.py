"""
A table of ours in nftables: made whole, taken away whole, and looked at whole.

What stands in it is for who has one: `nat` and `answers`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from morphnet.host import nft
from morphnet.host.kernel import Kernel
from morphnet.host.look import Look
from morphnet.host.plain import Plain


class OwnTable(Plain, ABC):
    """What such tables have in common, as changes of the journal; see `host.journal.Change`."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the table, its own for each TUN: two of us may live on one machine."""

    @abstractmethod
    def made(self) -> list[bytes]:
        """All its chains and rules, as messages to the kernel."""

    @property
    def place(self) -> Hashable:
        return self.name

    def apply(self, kernel: Kernel) -> None:
        kernel.nft(nft.transaction([*nft.table_anew(self.name), *self.made()]))

    def undo(self, kernel: Kernel) -> None:
        kernel.nft(nft.transaction([nft.delete_table(self.name)]))

    def stands(self, look: Look) -> bool:
        return look.nft_outline(self.name) == self.outline()

    def outline(self) -> tuple[nft.Part, ...]:
        """What the kernel tells of the table while nobody has touched it."""
        return nft.made_outline(self.made(), self.name)

    @property
    def label(self) -> str:
        return f"the nftables table {self.name}"
