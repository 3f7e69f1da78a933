"""The store in SQLite keeps what every store promises, and keeps it on the disk."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import TestCase

from morphnet.errors import BugError
from morphnet.store.base import CertificateRecord, Store
from morphnet.store.ledger import Ledger
from morphnet.store.sqlite import SqliteStore
from tests.store import contract
from tests.store.contract import POOL4, POOL6


class SqliteStoreTests(contract.StoreContract):
    def make_store(self) -> Store:
        """One in a new file."""
        return SqliteStore(Ledger(Path(self.mktemp()) / "morphnet.db"), reactor)  # type: ignore[arg-type]


_OTHER = """
import sys
from pathlib import Path
from morphnet.store.base import CertificateRecord
from morphnet.store.ledger import Ledger
for order in sys.stdin:
    verb, _, name = order.strip().partition(":")
    ledger = Ledger(Path(sys.argv[1]))
    if verb == "add":
        ledger.add_certificate(CertificateRecord(name, name, "client", 1 << 32))
    elif verb == "revoke":
        ledger.revoke(name, 5)
    elif verb == "lease":
        ledger.lease(name, "10.73.0.0/24", "", name.encode().ljust(16))
    told = [each.name for each in ledger.certificates()] + [each.inner4 for each in ledger.leases()]
    ledger.close()
    print(*told, flush=True)
"""
_ORDERS = ("certificates", "add", "revoke", "second", "other add", "other revoke", "other look")


class _Other:
    """What `morphnet` does meanwhile, in a process of its own, which opens and closes the database for each order."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", _OTHER, str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, order: str = "look") -> list[str]:
        """Names with a certificate and leased addresses, afterwards."""
        assert self._process.stdin is not None and self._process.stdout is not None  # pipes were asked for
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().split()

    def end(self) -> None:
        """It has nothing more to do."""
        self._process.communicate(timeout=60)


def _open_files(path: Path) -> Counter[str]:
    """How often this process has which file of a database open."""
    found = Counter[str]()
    for each in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{each}")
        except FileNotFoundError:  # of the listing itself
            continue
        if name.startswith(str(path)):
            found[name] += 1
    return found


class LifeTests(TestCase):
    def setUp(self) -> None:
        """A store that was not asked yet."""
        self.path = Path(self.mktemp()).absolute() / "morphnet.db"
        self.store = SqliteStore(Ledger(self.path), reactor)  # type: ignore[arg-type]
        self.addCleanup(self.store.close)

    async def test_never_asked(self) -> None:
        """A store that was never asked closes its ledger."""
        await self.store.close()
        Ledger(self.path).close()

    async def test_after_close(self) -> None:
        """What was asked before the end is done; what is asked after it is a bug."""
        granted = self.store.lease("a", POOL4, POOL6, bytes(16))
        await self.store.close()
        self.assertEqual((await granted).inner4, "10.73.0.2")
        await self.assertFailure(self.store.leases(), BugError)
        await self.store.close()

    def _other(self) -> _Other:
        other = _Other(self.path)
        self.addCleanup(other.end)
        return other

    async def test_two_processes(self) -> None:
        """What the command line writes meanwhile is seen, and the other way round."""
        other = self._other()
        await self.store.lease("a", POOL4, POOL6, b"a" * 16)
        self.assertEqual(other("lease:b"), ["10.73.0.2", "10.73.0.3"])
        self.assertEqual((await self.store.lease("c", POOL4, POOL6, b"c" * 16)).inner4, "10.73.0.4")
        self.assertEqual(other("lease:d")[-1], "10.73.0.5")
        self.assertEqual(len(await self.store.leases()), 4)
        await self.store.close()

    async def test_copied(self) -> None:
        """A moment after the last answer the file alone is whole, while the store goes on."""
        await gatherResults([self.store.lease(f"n{n}", POOL4, POOL6, str(n).encode().ljust(16)) for n in range(20)])
        assert self.store._pool is not None  # it was asked
        await deferToThreadPool(reactor, self.store._pool, lambda: None)  # type: ignore[arg-type]  # what it had to do is done
        copy = Path(f"{self.path}.copy")
        shutil.copy(self.path, copy)
        ledger = Ledger(copy)
        self.assertEqual(len(ledger.leases()), 20)
        ledger.close()

    async def test_any_order(self) -> None:
        """
        Read, issue, revoke and try to open it a second time, here and by another process that opens and closes the
        database each time, in every order: nothing that either wrote is lost, and this process never writes into files
        that were removed.
        """
        other, names, revoked = self._other(), list[str](), set[str]()
        for number, order in enumerate(itertools.permutations(_ORDERS, 3)):
            for step in order:
                name = f"n{number}.{step}".replace(" ", "-")
                oldest = next((each for each in names if each not in revoked), "")
                if step.endswith("add"):
                    names.append(name)
                elif step.endswith("revoke") and oldest:
                    revoked.add(oldest)
                match step:
                    case "add":
                        await self.store.add_certificate(CertificateRecord(name, name, "client", 1 << 32))
                    case "second":
                        self.assertRaises(BugError, Ledger, self.path)
                    case "revoke":
                        await self.store.revoke(oldest, 5)
                    case "other add" | "other revoke" | "other look":
                        told = other(f"{step.removeprefix('other ')}:{name if step.endswith('add') else oldest}")
                        self.assertEqual(told, names, order)
                records = await self.store.certificates()
                self.assertEqual([each.name for each in records], names, order)
                self.assertEqual({each.name for each in records if each.revoked_at}, revoked, order)
                opened = _open_files(self.path)
                self.assertEqual([each for each in opened if each.endswith("(deleted)")], [], order)
                self.assertEqual(opened[str(self.path)], 1, order)
        await self.store.close()
        self.assertEqual(_open_files(self.path), {})
        self.assertEqual(other(), names)
