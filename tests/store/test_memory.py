"""The store in memory keeps what every store promises."""

from __future__ import annotations

from morphnet.store.base import Store
from morphnet.store.memory import MemoryStore
from tests.store import contract


class MemoryStoreTests(contract.StoreContract):
    def make_store(self) -> Store:
        return MemoryStore()
