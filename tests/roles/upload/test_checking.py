"""Bodies in memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload import checking
from morphnet.roles.upload.checking import Checking, Unfit
from morphnet.wire.messages.upload.slots import SlotRefused


class _Exchange:
    """A request with a short body."""

    length = 6

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def tell(self, name: str, value: str) -> None:
        self.told.append((name, value))

    async def short_body(self) -> bytes:
        return b"abcdef"


class CheckingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counts = Counter[str]()
        self.checking = Checking(self.counts)
        self.exchange: Any = _Exchange()

    def test_room(self) -> None:
        """There is so much of it, for all together; what is over makes room, however it ended."""
        self.patch(checking, "MOST_KEPT", 11)
        refused = self.assertRaises(SlotRefused, self.two)
        self.assertEqual((refused.status, self.exchange.told), (503, [("Retry-After", "10")]))
        self.assertEqual((self.checking.kept, self.counts["uploads_put_off"]), (0, 1))

    def two(self) -> None:
        """At the same time."""
        with self.checking.in_memory(self.exchange), self.checking.in_memory(self.exchange):
            self.fail("there was room")

    def test_looked_at(self) -> None:
        """What fits is handed over once it is all there; what does not is not."""
        taken = list[bytes | memoryview]()
        looking = Deferred.fromCoroutine(self.checking.looked_at(self.exchange, lambda body: True))
        body = self.successResultOf(looking)
        self.successResultOf(Deferred.fromCoroutine(body(taken.append)))
        self.assertEqual(taken, [b"abcdef"])
        wrong = Deferred.fromCoroutine(self.checking.looked_at(self.exchange, lambda body: False))
        self.failureResultOf(wrong, Unfit)
