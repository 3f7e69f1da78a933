"""The store in SQLite keeps what every store promises, and keeps it on the disk."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from morphnet.errors import BugError, HostError
from morphnet.store.base import Store
from morphnet.store.ledger import Ledger
from morphnet.store.sqlite import SqliteStore
from tests.store import contract
from tests.store.contract import POOL4, POOL6


class SqliteStoreTests(contract.StoreContract):
    def make_store(self) -> Store:
        """See StoreContract."""
        return SqliteStore(Path(self.mktemp()) / "morphnet.db", reactor)  # type: ignore[arg-type]


class LifeTests(TestCase):
    def setUp(self) -> None:
        """A store that was not asked yet."""
        self.path = Path(self.mktemp()) / "morphnet.db"
        self.store = SqliteStore(self.path, reactor)  # type: ignore[arg-type]

    async def test_lazy(self) -> None:
        """Nothing is opened before the first call, and a store that was never asked closes."""
        self.assertFalse(self.path.exists())
        await self.store.close()
        self.assertFalse(self.path.exists())

    async def test_after_close(self) -> None:
        """What was asked before the end is done; what is asked after it is a bug."""
        granted = self.store.lease("a", POOL4, POOL6, bytes(16))
        await self.store.close()
        self.assertEqual((await granted).inner4, "10.73.0.2")
        await self.assertFailure(self.store.leases(), BugError)
        await self.store.close()

    async def test_two_processes(self) -> None:
        """What the command line writes meanwhile is seen, and the other way round."""
        await self.store.lease("a", POOL4, POOL6, b"a" * 16)
        other = Ledger(self.path)
        self.addCleanup(other.close)
        self.assertEqual(other.lease("b", POOL4, POOL6, b"b" * 16).inner4, "10.73.0.3")
        self.assertEqual((await self.store.lease("c", POOL4, POOL6, b"c" * 16)).inner4, "10.73.0.4")
        self.assertEqual(len(other.leases()), 3)
        await self.store.close()

    async def test_tried_again(self) -> None:
        """A database that cannot be opened is a sentence; when the way is free it opens."""
        self.path.parent.write_text("in the way")
        await self.assertFailure(self.store.leases(), HostError)
        self.path.parent.unlink()
        self.assertEqual(await self.store.leases(), [])
        await self.store.close()
