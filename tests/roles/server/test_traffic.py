"""What each user has carried is written once, whatever becomes of its session, of the disk or of the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.errors import HostError
from morphnet.roles.server.traffic import Traffic
from morphnet.store.base import Accounts, Standing
from morphnet.store.memory import MemoryStore
from morphnet.tunnel.tunnel import Tunnel

T = TypeVar("T")


class FullStore(MemoryStore):
    """Its disk may be full, or slow."""

    full = False
    slow: list[Callable[[], None]] | None = None

    def account(self, work: Callable[[Accounts], T]) -> Deferred[T]:
        if self.full:
            return fail(HostError("the database: disk is full"))
        if self.slow is not None:
            answer: Deferred[T] = Deferred()
            self.slow.append(lambda: answer.callback(work(self.accounts)))
            return answer
        return super().account(work)


class TrafficTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = FullStore()
        self.begun, self.month = 0, "2026-11"
        self.tunnel = Tunnel(server=True, entropy=bytes)
        self.traffic = self.make()

    def make(self) -> Traffic:
        """Of a new process."""
        made = Traffic(
            self.tunnel, self.store, lambda: self.month, self.store.accounts.standing(self.month), report=True
        )
        self.tunnel.ended = made.ended
        return made

    def begin(self) -> None:
        """A session of the laptop, in place of the one there may be."""
        self.begun += 1
        self.tunnel.add_session("laptop", self.begun.to_bytes(16, "big"), Tuning(), [])

    def carry(self, sent: int, received: int) -> None:
        """So much more."""
        session = self.tunnel.sessions["laptop"]
        session.outbound.payload += sent
        session.inbound.payload += received

    def standing(self) -> Standing:
        return self.store.accounts.standing(self.month)

    def written(self) -> tuple[int, int] | None:
        """What the store has of it, after another write."""
        self.traffic.write()
        return self.standing().amounts.get("laptop")

    def test_full_disk(self) -> None:
        """What cannot be written is owed until it can; nobody else is the worse for it."""
        self.begin()
        self.store.full = True
        for turn in range(1, 4):
            self.carry(10, 1)
            self.assertIsNone(self.written())
            self.assertEqual(self.traffic.used("laptop"), 11 * turn)
        self.store.full = False
        self.carry(1, 0)
        self.assertEqual((self.written(), self.written()), ((31, 3), (31, 3)))
        self.assertEqual(self.traffic.used("laptop"), 34)

    def test_mistake(self) -> None:
        """Nor does a mistake of ours lose anything, or end the writing."""
        self.begin()
        self.carry(10, 1)
        add, self.store.accounts.add = self.store.accounts.add, None  # type: ignore[assignment, method-assign]
        self.assertIsNone(self.written())
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.store.accounts.add = add  # type: ignore[method-assign]
        self.assertEqual(self.written(), (10, 1))

    def test_slow_disk(self) -> None:
        """What comes while a write is under way goes with the next one; the quota knows all of it meanwhile."""
        self.begin()
        self.store.slow = []
        self.carry(10, 1)
        writes = [self.traffic.write()]
        self.carry(5, 0)
        writes.append(self.traffic.write())
        self.assertEqual((len(self.store.slow), self.traffic.used("laptop")), (1, 16))
        self.store.slow.pop()()
        self.assertEqual((self.standing().amounts["laptop"], self.traffic.used("laptop")), ((10, 1), 16))
        self.store.slow.pop()()
        self.assertEqual((self.standing().amounts["laptop"], self.traffic.used("laptop")), ((15, 1), 16))
        for each in writes:
            self.successResultOf(each)

    def test_going_on(self) -> None:
        """Each write adds what came since the one before."""
        self.begin()
        self.assertIsNone(self.written())
        self.carry(10, 1)
        self.assertEqual(self.written(), (10, 1))
        self.carry(5, 0)
        self.assertEqual((self.written(), self.written()), ((15, 1), (15, 1)))

    def test_ended(self) -> None:
        """What a session carried between the last write and its end is written with the next."""
        for end in (self.begin, lambda: self.tunnel.drop_session("laptop")):
            self.begin()
            before = self.written() or (0, 0)
            self.carry(100, 10)
            end()
            self.assertEqual(self.written(), (before[0] + 100, before[1] + 10))
        self.begin()
        self.carry(1, 1)
        self.assertEqual(self.written(), (201, 21))

    def test_next_process(self) -> None:
        """It knows what was used before it."""
        self.begin()
        self.carry(10, 1)
        self.traffic.write()
        self.tunnel = Tunnel(server=True, entropy=bytes)
        self.traffic = self.make()
        self.assertEqual(self.traffic.used("laptop"), 11)

    def test_months(self) -> None:
        """With the month everybody begins anew, also who carries nothing; a clock that steps back changes nothing."""
        self.begin()
        self.carry(10, 1)
        self.traffic.write()
        self.month = "2026-12"
        self.assertEqual(self.traffic.used("laptop"), 0)
        self.carry(2, 2)
        self.assertEqual(self.written(), (2, 2))
        for earlier in ("2026-11", "1970-01"):
            self.month = earlier
            self.assertEqual((self.traffic.used("laptop"), self.traffic.ahead()), (4, "2026-12"))
        self.carry(1, 1)
        self.assertEqual(self.written(), (3, 3))
        told = [tuple(each) for each in self.store.accounts.months()]
        self.assertEqual(told, [("laptop", "2026-12", 3, 3), ("laptop", "2026-11", 10, 1)])

    def test_folded(self) -> None:
        """When the operator has put a later month right, the next write counts for this one, with what was folded."""
        self.begin()
        self.carry(10, 1)
        self.month = "2099-01"
        self.traffic.write()
        self.month = "2026-11"
        self.store.accounts.fold(self.month)
        self.carry(1, 0)
        self.assertEqual(self.written(), (11, 1))
        self.assertEqual((self.traffic.used("laptop"), self.traffic.ahead()), (12, ""))
