"""Bodies in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.http import BodySlow
from morphnet.roles.upload import checking
from morphnet.roles.upload.checking import PATIENCE, Checking, Unfit
from morphnet.wire.messages.upload.slots import SlotRefused


class _Exchange:
    """A request with a short body."""

    def __init__(self, body: bytes = b"abcdef", length: int = 6) -> None:
        self.told: list[tuple[str, str]] = []
        self.length, self._body = length, body
        self._rest = Deferred[None]()

    def tell(self, name: str, value: str) -> None:
        self.told.append((name, value))

    async def body(self, take: Callable[[bytes], None]) -> None:
        take(self._body)
        if len(self._body) < self.length:
            await self._rest

    def give_up(self) -> None:
        self._rest.errback(BodySlow())


def _started(one: Coroutine[Any, Any, Any]) -> Deferred[Any]:
    return Deferred.fromCoroutine(one)


class CheckingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counts, self.now = Counter[str](), 1000.0
        self.checking = Checking(self.counts, lambda: self.now)
        self.exchange: Any = _Exchange()
        self.patch(checking, "MOST_KEPT", 11)

    async def keep(self, exchange: Any) -> None:
        """Have its body looked at."""
        with self.checking.in_memory(exchange) as kept:
            await kept.looked_at(lambda body: True)

    def test_room(self) -> None:
        """There is so much of it, for all together; what is over makes room, however it ended."""
        refused = self.assertRaises(SlotRefused, self.two)
        self.assertEqual((refused.status, self.exchange.told), (503, [("Retry-After", "10")]))
        self.assertEqual((self.checking.kept, self.counts["uploads_put_off"]), (0, 1))

    def two(self) -> None:
        """At the same time."""
        with self.checking.in_memory(self.exchange), self.checking.in_memory(self.exchange):
            self.fail("there was room")

    def test_slow(self) -> None:
        """What is not whole after a while makes room when another finds none, the slowest first, and only then."""
        slow, slower, third = _Exchange(b"abc", 5), _Exchange(b"a", 5), _Exchange(b"abc", 3)
        kept = [_started(self.keep(each)) for each in (slow, slower)]
        self.now += PATIENCE
        refused = self.failureResultOf(_started(self.keep(third)), SlotRefused).value
        self.assertEqual((refused.status, self.checking.kept), (503, 10))
        self.now += 1
        too_long = self.failureResultOf(_started(self.keep(_Exchange(length=12))), SlotRefused).value
        self.assertEqual((too_long.status, self.checking.kept), (503, 10))
        self.successResultOf(_started(self.keep(third)))
        put_off = self.failureResultOf(kept[1], SlotRefused).value
        self.assertEqual((put_off.status, slower.told, self.checking.kept), (503, [("Retry-After", "10")], 5))
        self.assertNoResult(kept[0])

    def test_looked_at(self) -> None:
        """What fits is handed over once it is all there; what does not is not."""
        taken = list[bytes | memoryview]()
        with self.checking.in_memory(self.exchange) as kept:
            body = self.successResultOf(_started(kept.looked_at(lambda body: True)))
            self.successResultOf(_started(body(taken.append)))
            self.assertEqual(taken, [b"abcdef"])
            self.failureResultOf(_started(kept.looked_at(lambda body: False)), Unfit)
