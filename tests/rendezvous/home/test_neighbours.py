"""Two coordinators with what Redis does for them; a real one is in tests/roles/coordinator/test_sharing."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Away
from morphnet.rendezvous.home import neighbours as module
from morphnet.rendezvous.home.neighbours import BATCH, FOREIGN_FOR, MOST_FOREIGN, PARTS, Neighbours
from morphnet.rendezvous.home.shared import CHANNEL, EVERYBODY, Shared
from morphnet.wire.messages.home.calls import Call, Reply
from morphnet.wire.messages.home.neighbours import NEIGHBOURS, Moved, Passed

HOME, OTHER = "h" * 43, "o" * 43
CALL = Call("0" * 32, "192.0.2.1", "body")


class Leases:
    """What Redis has, and who hears which channel."""

    def __init__(self) -> None:
        self.leases: dict[str, str] = {}
        self.hearers: dict[str, Shared] = {}
        self.commands: list[tuple[object, ...]] = []
        self.away = False

    def subscribe(self, channels: Sequence[str]) -> Deferred[None]:
        return succeed(None)

    def close(self, reason: str) -> None:
        raise AssertionError(reason)

    def ask(self, *words: Any) -> Deferred[object]:
        """One command, as Redis would do it."""
        if self.away:
            return fail(Away("away"))
        self.commands.append(words)
        match words:
            case ["EVAL", module._HOLD, count, *rest]:
                keys, (name, _, *times) = rest[:count], rest[count:]
                return succeed([self._hold(key, name, at) for key, at in zip(keys, times, strict=True)])
            case ["EVAL", module._GIVE_UP, count, *rest]:
                for key, value in zip(rest[:count], rest[count:], strict=True):
                    if self.leases.get(key) == value:
                        del self.leases[key]
            case ["GET", "morphnet:homes:key"]:
                return succeed(b"key generation")
            case ["GET", key]:
                return succeed(self.leases[key].encode() if key in self.leases else None)
            case ["PUBLISH", channel, message]:
                if channel in self.hearers:
                    self.hearers[channel].heard(message)
                return succeed(int(channel in self.hearers))
        return succeed(None)

    def _hold(self, key: str, name: str, at: int) -> bytes:
        held, _, who = self.leases.get(key, "0 ").partition(" ")
        if who not in ("", name) and int(held) >= at:
            return b"-"
        self.leases[key] = f"{at} {name}"
        return b"" if who == name else who.encode()


class Homes:
    """A registry, as neighbours see it."""

    def __init__(self) -> None:
        self.here: dict[str, int] = {}
        self.told: list[tuple[str, Call]] = []

    def part(self, number: int, of: int) -> list[tuple[str, int]]:
        return list(self.here.items())[number::of]

    def registered_at(self, home: str) -> int:
        return self.here.get(home, 0)

    def leave(self, home: str, at: int) -> None:
        if self.here.get(home, at) < at:
            del self.here[home]

    def tell(self, home: str, call: Call) -> bool:
        self.told.append((home, call))
        return home in self.here


class NeighboursTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.redis = Clock(), Leases()
        self.ones: list[tuple[Neighbours, Homes, Shared]] = []
        for _ in range(2):
            shared, homes = Shared(os.urandom(8).hex(), b"key", os.urandom), Homes()
            one = Neighbours(self.clock, shared, cast(Any, homes))
            shared.opens = lambda generation, one=one: one.opened()  # type: ignore[misc]
            self.redis.hearers[CHANNEL + shared.name] = shared
            shared.opened(self.redis)
            self.ones.append((one, homes, shared))
        (self.here, self.homes, self.shared), (self.there, self.their_homes, _) = self.ones

    def come(self, number: int, home: str, at: int) -> None:
        """A home registers with that one."""
        self.ones[number][1].here[home] = at
        self.ones[number][0].came(home)
        self.clock.advance(0)

    def find(self, number: int, home: str = HOME) -> str:
        return str(self.result(self.ones[number][0].find(home)))

    def result(self, asked: Awaitable[Any]) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(cast(Any, asked)))

    def test_found(self) -> None:
        """Who has registered is found by both; who has gone by nobody, nor who was never here."""
        self.come(0, HOME, 5)
        self.assertEqual([self.find(0), self.find(1), self.find(1, OTHER)], [self.shared.name] * 2 + [""])
        del self.homes.here[HOME]
        self.here.gone(HOME, 5)
        self.clock.advance(0)
        self.assertEqual(self.find(1), "")

    def test_newest_wins(self) -> None:
        """Who has come to another is let go of at once; an old registration takes nothing back."""
        self.come(0, HOME, 5)
        self.come(1, HOME, 6)
        self.assertEqual((self.homes.here, self.their_homes.here), ({}, {HOME: 6}))
        self.here.gone(HOME, 5)
        self.come(0, HOME, 4)
        self.assertEqual((self.homes.here, self.find(0)), ({}, self.find(1)))
        self.assertNotEqual(self.find(0), self.shared.name)

    def test_missed(self) -> None:
        """Who did not hear that a home has gone finds out with its next refresh."""
        self.come(0, HOME, 5)
        self.redis.hearers.clear()
        self.come(1, HOME, 6)
        self.assertEqual(self.homes.here, {HOME: 5})
        for _ in range(PARTS):
            self.here.tick()
        self.assertEqual(self.homes.here, {})

    def test_refreshed(self) -> None:
        """In a minute each lease is refreshed once, hundreds in one command; when Redis is new, in a sixth of that."""
        self.homes.here = {f"{number:043}": 1 for number in range(PARTS * (BATCH + 1))}
        for seconds in (PARTS // 6, PARTS):
            self.redis.commands.clear()
            for _ in range(seconds):
                self.here.tick()
            counts = [each[2] for each in self.redis.commands]
            self.assertEqual((sum(cast(list[int], counts)), len(counts)), (len(self.homes.here), 2 * PARTS))

    def test_passed_on(self) -> None:
        """A call goes to the one that has the home, and the answer back, once, and only that home's."""
        self.come(1, HOME, 5)
        answers: list[tuple[str, Reply]] = []

        def answered(home: str, reply: Reply) -> bool:
            answers.append((home, reply))
            return True

        self.here.answered = answered
        self.assertTrue(self.result(self.here.pass_on(self.find(0), HOME, CALL)))
        self.assertEqual(self.their_homes.told, [(HOME, CALL)])
        self.assertFalse(self.there.replied(OTHER, Reply(CALL.call, "forged")))
        self.assertTrue(self.there.replied(HOME, Reply(CALL.call, "answer")))
        self.assertFalse(self.there.replied(HOME, Reply(CALL.call, "again")))
        self.assertEqual(answers, [(HOME, Reply(CALL.call, "answer"))])
        self.assertFalse(self.result(self.here.pass_on("0" * 16, HOME, CALL)))

    def test_forgotten(self) -> None:
        """All are told, who tells included."""
        forgotten: list[tuple[int, str]] = []
        for number, (one, _, shared) in enumerate(self.ones):
            one.forgotten = lambda home, number=number: forgotten.append((number, home))  # type: ignore[misc]
            self.redis.hearers[EVERYBODY] = shared
            self.result(self.here.forget(HOME))
        self.assertEqual(forgotten, [(0, HOME), (1, HOME)])

    def test_bounds(self) -> None:
        """Calls of others are remembered for half a minute, and so many of them; what makes no sense is counted."""
        self.homes.here[HOME] = 5
        for number in range(MOST_FOREIGN + 5):
            call = f"{number:032x}"
            self.shared.heard(NEIGHBOURS.encode(Passed(HOME, call, "192.0.2.1", "x", "0" * 16)))
        self.assertEqual(len(self.homes.told), MOST_FOREIGN)
        self.clock.advance(FOREIGN_FOR + 1)
        self.here.tick()
        self.assertEqual(self.here._foreign, {})
        for wrong in (b"", b"\xff", b"[]", NEIGHBOURS.encode(Moved(HOME, 1))[:-1]):
            self.shared.heard(wrong)
        self.assertEqual(self.here.counts["neighbours_malformed"], 4)

    def test_away(self) -> None:
        """Without Redis nobody is found, nothing breaks, and nothing piles up."""
        self.redis.away = True
        self.come(0, HOME, 5)
        self.assertEqual((self.find(0), self.result(self.here.pass_on("0" * 16, HOME, CALL))), ("", False))
        self.here.tick()
        self.shared.closed("it is away")
        self.here.tick()
        self.assertEqual((self.homes.here, self.clock.getDelayedCalls()), ({HOME: 5}, []))
