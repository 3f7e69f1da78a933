"""Redis, as a coordinator has it."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Away
from morphnet.rendezvous.home.shared import Shared


class Redis:
    """Knows one key, once it was told."""

    def __init__(self) -> None:
        self.key: object = None
        self.closed = ""
        self.broken = False

    def subscribe(self, channels: Sequence[str]) -> Deferred[None]:
        return fail(Away("broken")) if self.broken else succeed(None)

    def ask(self, *words: object) -> Deferred[object]:
        if words[0] == "SETNX":
            self.key = self.key or words[2]
        return succeed(self.key)

    def close(self, reason: str) -> None:
        self.closed = reason


class SharedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.redis, self.opened, self.closed = Redis(), list[str](), list[str]()
        self.drawn = 0
        self.shared = self.make("one", b"key")

    def draw(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count, "big")

    def make(self, name: str, key: bytes) -> Shared:
        shared = Shared(name, key, self.draw)
        shared.opens = lambda generation: self.opened.append(f"{name} {generation}")
        shared.closes = self.closed.append
        return shared

    def test_comes_and_goes(self) -> None:
        """It is asked while it is there; else each question is refused at once, with the reason."""
        self.failureResultOf(self.shared.ask("GET", "x"), Away)
        self.shared.opened(self.redis)
        self.assertEqual((self.opened, self.shared.here), ([f"one {1:016x}"], True))
        self.assertEqual(self.successResultOf(self.shared.ask("GET", "x")), f"key {1:016x}".encode())
        self.shared.closed("it broke")
        self.assertEqual(str(self.failureResultOf(self.shared.ask("GET", "x"), Away).value), "it broke")
        self.assertEqual((self.closed, self.shared.here), (["it broke"], False))

    def test_empty_again(self) -> None:
        """A Redis that has forgotten all is another one, also for who was the first at both."""
        self.shared.opened(self.redis)
        self.shared.closed("it broke")
        self.shared.opened(self.redis)
        self.redis.key = None
        self.shared.opened(self.redis)
        self.assertEqual([each == self.opened[0] for each in self.opened], [True, True, False])

    def test_another_key(self) -> None:
        """Who has another key than the others is no coordinator of theirs: it is told what to do."""
        self.shared.opened(self.redis)
        other = self.make("two", b"another key")
        other.opened(self.redis)
        self.assertEqual((self.opened, other.here), ([f"one {1:016x}"], False))
        self.assertIn("copy coordinator.key", self.closed[0])

    def test_breaks(self) -> None:
        """A connection that breaks before it is of use is closed, so that there is another one."""
        self.redis.broken = True
        self.shared.opened(self.redis)
        self.assertEqual((self.redis.closed, self.opened), ("broken", []))
