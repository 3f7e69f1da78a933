"""The database file: its mode, its versions, what survives, and a long walk beside the plain store."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, ConfigError, HostError
from morphnet.store.base import CertificateRecord, Lease, PhoneRecord, PoolExhausted
from morphnet.store.ledger import Ledger
from morphnet.store.memory import MemoryStore
from tests.store.contract import NOW, POOL4, POOL6, a_record, session_of

_T = TypeVar("_T")

_WRITER = """
import sys
from pathlib import Path
from morphnet.store.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(1000):
    print(ledger.lease(f"n{number}", "10.0.0.0/16", "", number.to_bytes(16, "big")).inner4, flush=True)
"""

_LOOK = """
import sys
from pathlib import Path
from morphnet.store.ledger import Ledger
Ledger(Path(sys.argv[1])).close()
"""


class LedgerTests(SynchronousTestCase):
    def setUp(self) -> None:
        """The loosest umask, which must not matter."""
        self.addCleanup(os.umask, os.umask(0))
        self.path = Path(self.mktemp()) / "state" / "morphnet.db"

    def _open(self) -> Ledger:
        ledger = Ledger(self.path)
        self.addCleanup(ledger.close)
        return ledger

    def test_modes(self) -> None:
        """Database, journal and directory are for their owner alone, while they are in use."""
        self._open().lease("a", POOL4, POOL6, bytes(16))
        modes = {each.name: each.stat().st_mode & 0o777 for each in self.path.parent.iterdir()}
        self.assertIn("morphnet.db-wal", modes)
        self.assertEqual(set(modes.values()), {0o600})
        self.assertEqual(self.path.parent.stat().st_mode & 0o777, 0o700)

    def test_settings(self) -> None:
        """Written ahead, and synchronous to the disk."""
        sql = self._open()._sql
        self.assertEqual(sql.execute("PRAGMA journal_mode").fetchone(), ("wal",))
        self.assertEqual(sql.execute("PRAGMA synchronous").fetchone(), (2,))

    def test_reopened(self) -> None:
        """What was written is there for the next process."""
        first = self._open()
        lease = first.lease("a", POOL4, POOL6, bytes(16))
        first.add_certificate(a_record("1"))
        first.close()
        again = self._open()
        self.assertEqual((again.leases(), again.certificates()), ([lease], [a_record("1")]))

    def test_killed(self) -> None:
        """Every lease that was told before a kill -9 is there after it."""
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(self.path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None  # a pipe was asked for
        told = [writer.stdout.readline().strip() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.read().split("\n")[:-1]
        writer.stdout.close()
        writer.wait()
        held = [each.inner4 for each in self._open().leases()]
        self.assertEqual(held[: len(told)], told)
        self.assertLessEqual(len(held) - len(told), 1)  # one may have been written and not told

    def test_once_in_a_process(self) -> None:
        """A second opening in one process is a bug, by whatever way it is named, until the first is closed."""
        first = self._open()
        link = self.path.with_name("link.db")
        link.symlink_to(self.path.name)
        for path in (self.path, self.path.parent / ".." / "state" / "morphnet.db", link):
            self.assertRaises(BugError, Ledger, path)
        first.close()
        self._open().leases()

    def test_locks_kept(self) -> None:
        """Who tried to open it a second time has not taken our locks away: another process does not end our log."""
        first = self._open()
        first.add_certificate(a_record("1"))
        self.assertRaises(BugError, Ledger, self.path)
        subprocess.run([sys.executable, "-c", _LOOK, str(self.path)], check=True)
        self.assertTrue(self.path.with_name("morphnet.db-wal").exists())
        first.add_certificate(a_record("2"))
        self.assertEqual(len(first.certificates()), 2)

    def test_copied(self) -> None:
        """The file alone, copied while it is open, holds all that was written before it was settled."""
        ledger = self._open()
        lease = ledger.lease("a", POOL4, POOL6, bytes(16))
        ledger.add_certificate(a_record("1"))
        ledger.settle()
        copy = self.path.with_name("copy.db")
        shutil.copy(self.path, copy)
        ledger.add_certificate(a_record("2"))
        image = self.path.with_name("image.db")
        image.write_bytes(ledger.image())
        for path, serials in ((copy, ["1"]), (image, ["1", "2"])):
            again = Ledger.of_network(path)
            self.addCleanup(again.close)
            self.assertEqual((again.leases(), [each.serial for each in again.certificates()]), ([lease], serials))

    def test_lost(self) -> None:
        """A database that is gone, of no bytes, or without a record is refused, now and at the next start."""
        self.assertIn("not there", str(self.assertRaises(ConfigError, Ledger.of_network, self.path)))
        self.assertFalse(self.path.exists())
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(b"")
        for _ in range(2):
            self.assertIn("morphnet restore", str(self.assertRaises(ConfigError, Ledger.of_network, self.path)))
        ledger = self._open()
        ledger.add_certificate(a_record("1"))
        ledger.close()
        Ledger.of_network(self.path).close()

    def test_damaged(self) -> None:
        """Cut anywhere, or overwritten by zeros or by rubbish: every record is there, or it is one sentence."""
        ledger = self._open()
        for number in range(200):
            ledger.add_certificate(a_record(str(number), f"n{number}"))
        ledger.close()
        whole, refused = self.path.read_bytes(), 0
        spoilt = [whole[:cut] for cut in range(0, len(whole), 1111)]
        for at in range(0, len(whole), 1500):
            spoilt += [whole[:at] + stuff + whole[at + len(stuff) :] for stuff in (bytes(700), b"rubbish!" * 90)]
        for content in spoilt:
            self.path.write_bytes(content)
            try:
                again = Ledger.of_network(self.path)
            except (HostError, ConfigError) as trouble:
                refused += 1
                self.assertIn("morphnet restore", str(trouble))
                self.assertNotIn("\n", str(trouble))
            else:
                self.assertEqual(len(again.certificates()), 200)
                again.close()
        self.assertGreater(refused, len(spoilt) // 2)

    def test_full_disk(self) -> None:
        """What does not fit is one sentence and leaves nothing; what is there can be read, and room is used again."""
        ledger = self._open()
        ledger.add_certificate(a_record("1"))
        (pages,) = ledger._sql.execute("PRAGMA page_count").fetchone()
        ledger._sql.execute(f"PRAGMA max_page_count = {pages}")
        long = a_record("2", "n" * 60000)
        self.assertIn("disk is full", str(self.assertRaises(HostError, ledger.add_certificate, long)))
        self.assertEqual(ledger.certificates(), [a_record("1")])
        many = {f"user {number}": (1, 1) for number in range(1000)}
        with self.assertRaises(HostError) as caught:  # SQLite ends the transaction itself, in the middle
            ledger.account(lambda accounts: accounts.add("2026-11", many, report=True))
        self.assertIn("disk is full", str(caught.exception))
        ledger._sql.execute("PRAGMA max_page_count = 10000")
        ledger.add_certificate(long)
        self.assertEqual((len(ledger.certificates()), ledger.traffic()), (2, {}))

    def test_later_version(self) -> None:
        """A database of a later version is not touched."""
        self._open().close()
        with sqlite3.connect(self.path) as sql:
            sql.execute("PRAGMA user_version = 999")
        sql.close()
        self.assertRaises(ConfigError, Ledger, self.path)

    def test_no_database(self) -> None:
        """A file that is none, or that cannot be made, is one sentence."""
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(b"not a database at all" * 100)
        self.assertIn("morphnet.db", str(self.assertRaises(HostError, Ledger, self.path)))
        self.assertRaises(HostError, Ledger, self.path / "below a file")

    def test_approvals(self) -> None:
        """Networks that are approved, each for one client, are there after a start, and each once."""
        with closing(Ledger(self.path)) as ledger:
            asked = (("laptop", "192.168.7.0/24"), ("desk", "192.168.7.0/24"), ("laptop", "fd07::/64"))
            self.assertEqual([ledger.approve(*each) for each in (*asked, asked[0])], [True, True, True, False])
        with closing(Ledger(self.path)) as ledger:
            self.assertEqual(ledger.approved(), sorted(asked))
            self.assertEqual([ledger.disapprove(*asked[0]) for _ in range(2)], [True, False])
            self.assertEqual(ledger.approved(), sorted(asked[1:]))
            ledger.release("laptop")  # who gets the name later has nothing behind it
            self.assertEqual(ledger.approved(), [asked[1]])

    def test_phones(self) -> None:
        """A phone is there after a start, with the keys that it was given last, until it is removed."""
        first, second = (PhoneRecord("phone", f"key {number}", "shared", NOW + number) for number in (1, 2))
        tablet = PhoneRecord("tablet", "another", "shared", NOW)
        with closing(Ledger(self.path)) as ledger:
            for each in (tablet, first, second):
                ledger.add_phone(each)
        with closing(Ledger(self.path)) as ledger:
            self.assertEqual(ledger.phones(), [second, tablet])
            self.assertNotIn("shared", repr(ledger.phones()))
            self.assertEqual([ledger.remove_phone("phone") for _ in range(2)], [True, False])
            self.assertEqual(ledger.phones(), [tablet])

    def test_collision_is_impossible(self) -> None:
        """The table itself refuses one address for two names."""
        ledger = self._open()
        ledger.lease("a", POOL4, POOL6, bytes(16))
        again = "INSERT INTO lease (name, inner4, inner6, session) VALUES ('b', '10.73.0.2', NULL, zeroblob(16) || 'x')"
        self.assertRaises(sqlite3.IntegrityError, ledger._sql.execute, again)

    def test_half_a_change(self) -> None:
        """A change that fails in the middle leaves nothing, and the database goes on."""
        ledger = self._open()
        self.assertRaises(PoolExhausted, ledger.lease, "a", "10.0.0.0/24", "fd00::/128", bytes(16))
        self.assertEqual(ledger.leases(), [])
        ledger.add_certificate(a_record("1"))
        self.assertRaises(HostError, ledger.add_certificate, a_record("1"))
        self.assertEqual(ledger.certificates(), [a_record("1")])


_NAMES = st.sampled_from("abcdef")
_POOLS4 = st.sampled_from(["", "10.73.0.0/29", "10.73.0.4/30", "10.74.0.0/29"])
_POOLS6 = st.sampled_from(["", "fd73::/125", "fd74::/64"])


class _Walk(RuleBasedStateMachine):
    """Both stores are told the same, in any order, and must say the same."""

    path: Path  # of a database that does not exist yet

    def __init__(self) -> None:
        super().__init__()
        for each in self.path.parent.glob(f"{self.path.name}*"):
            each.unlink()
        self.ledger, self.plain = Ledger(self.path), MemoryStore()
        self.serial = 0

    @rule(name=_NAMES, pool4=_POOLS4, pool6=_POOLS6)
    def lease(self, name: str, pool4: str, pool6: str) -> None:
        expected = _outcome(self.plain.lease(name, pool4, pool6, session_of(name)))
        try:
            found: Lease | None = self.ledger.lease(name, pool4, pool6, session_of(name))
        except PoolExhausted:
            found = None
        assert found == expected

    @rule(name=_NAMES)
    def release(self, name: str) -> None:
        self.plain.release(name)
        self.ledger.release(name)

    @rule(name=_NAMES, kind=st.sampled_from(["client", "invite"]), ends=st.integers(NOW - 2, NOW + 2))
    def certify(self, name: str, kind: str, ends: int) -> None:
        self.serial += 1
        record = CertificateRecord(str(self.serial), name, kind, ends)
        self.plain.add_certificate(record)
        self.ledger.add_certificate(record)

    @rule(name=_NAMES)
    def revoke(self, name: str) -> None:
        assert self.ledger.revoke(name, NOW) == _outcome(self.plain.revoke(name, NOW))

    @rule(number=st.integers(1, 20))
    def use(self, number: int) -> None:
        assert self.ledger.use_invite(str(number), NOW) == _outcome(self.plain.use_invite(str(number), NOW))

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = Ledger(self.path)

    @invariant()
    def same(self) -> None:
        leases = self.ledger.leases()
        plain = _outcome(self.plain.leases())
        assert sorted(leases, key=_by_name) == sorted(plain, key=_by_name)
        for column in ([each.inner4 for each in leases], [each.inner6 for each in leases]):
            given = [each for each in column if each]
            assert len(given) == len(set(given))
        assert self.ledger.certificates() == _outcome(self.plain.certificates())

    def teardown(self) -> None:
        self.ledger.close()


def _by_name(lease: Lease) -> str:
    return lease.name


def _outcome(fired: Deferred[_T]) -> _T:
    """What a Deferred that has fired already brought; None instead of PoolExhausted."""
    brought: list[_T] = []
    fired.addErrback(lambda failure: failure.trap(PoolExhausted) and None)
    fired.addCallback(brought.append)
    return brought[0]


class WalkTests(SynchronousTestCase):
    def test_same_as_memory(self) -> None:
        """Whatever happens, restarts included: both stores say the same, and no address is given twice."""
        directory = Path(self.mktemp())
        directory.mkdir()

        class Walk(_Walk):
            path = directory / "morphnet.db"

        run_state_machine_as_test(Walk, settings=settings(max_examples=20, stateful_step_count=20, deadline=None))
