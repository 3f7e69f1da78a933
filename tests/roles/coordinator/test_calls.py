"""Browsers' calls that wait for a home."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred

from morphnet.roles.coordinator.calls import (
    ANSWER_WITHIN,
    BURST,
    HOME_BURST,
    LOOK_EVERY,
    MOST_OF_HOME,
    Absent,
    Calls,
    Elsewhere,
    TooMany,
)
from morphnet.wire.messages.home.calls import Call, Reply
from tests.rendezvous.home.case import HomeTestCase


class Others(Elsewhere):
    """Another coordinator."""

    def __init__(self) -> None:
        self.has, self.listens = "", True
        self.passed: list[tuple[str, str, Call]] = []

    async def find(self, home: str) -> str:
        return self.has

    async def pass_on(self, to: str, home: str, call: Call) -> bool:
        self.passed += [(to, home, call)] if self.listens else []
        return self.listens

    def replied(self, home: str, reply: Reply) -> bool:
        return reply.call == "theirs"


class ElsewhereTests(HomeTestCase):
    """Homes that are registered with another coordinator."""

    def setUp(self) -> None:
        super().setUp()
        self.others = Others()
        self.waiting = Calls(self.clock, os.urandom, self.registry, self.others)

    def ask(self) -> Deferred[str]:
        return Deferred.fromCoroutine(self.waiting.ask(self.key, "198.51.100.1", "body"))

    def test_passed_on(self) -> None:
        """It is told once, and its answer comes back."""
        self.others.has = "one"
        asked = self.ask()
        self.wait(3 * LOOK_EVERY)
        ((to, home, call),) = self.others.passed
        self.assertEqual((to, home, call.body), ("one", self.key, "body"))
        self.assertFalse(self.waiting.answered("another", Reply(call.call, "forged")))
        self.assertTrue(self.waiting.answered(home, Reply(call.call, "answer")))
        self.assertFalse(self.waiting.answered(home, Reply(call.call, "again")))
        self.assertEqual(self.successResultOf(asked), "answer")
        self.assertEqual((self.waiting.counts, self.waiting._waiting, self.waiting._of), ({"calls": 1}, {}, {}))

    def test_moves(self) -> None:
        """A home that goes from a coordinator that is dead to us, or to a third one, is told there."""
        self.others.has, self.others.listens = "dead", False
        asked = self.ask()
        self.wait(2 * LOOK_EVERY)
        self.assertNoResult(asked)
        self.others.has, self.others.listens = "third", True
        self.wait(2 * LOOK_EVERY)
        self.assertEqual([to for to, _, _ in self.others.passed], ["third"])
        self.others.has = ""
        self.register()
        self.wait(2 * LOOK_EVERY)
        (call,) = self.calls
        self.home.reply(call.call, "here")
        self.wait(0.1)
        self.assertEqual(self.successResultOf(asked), "here")

    def test_late(self) -> None:
        """Whoever has it, who does not answer is not waited for longer than else."""
        self.others.has = "one"
        asked = self.ask()
        self.wait(ANSWER_WITHIN + 0.1)
        self.failureResultOf(asked, Absent)
        self.assertEqual((self.waiting._waiting, self.clock.getDelayedCalls()), ({}, []))

    def test_theirs(self) -> None:
        """An answer to another one's call is that one's, and not late."""
        self.waiting._replied(self.key, Reply("theirs", "x"))
        self.waiting._replied(self.key, Reply("nobody's", "x"))
        self.assertEqual(self.waiting.counts, {"calls_late": 1})


class CallTests(HomeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.waiting = Calls(self.clock, os.urandom, self.registry)

    def ask(self, caller: str = "198.51.100.1", home: str = "") -> Deferred[str]:
        return Deferred.fromCoroutine(self.waiting.ask(home or self.key, caller, "body"))

    def test_answered(self) -> None:
        """Each call gets its own answer, and another home's counts for nothing."""
        self.register()
        first, second = self.ask(), self.ask()
        self.wait(0.1)
        for call, body in zip(self.calls, ("one", "two"), strict=True):
            self.waiting._replied("another home", Reply(call.call, "forged"))
            self.home.reply(call.call, body)
        self.wait(0.1)
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), ("one", "two"))
        self.assertEqual(self.waiting.counts, {"calls": 2, "calls_late": 2})
        self.assertEqual(self.calls[0].caller, "198.51.100.1")

    def test_absent(self) -> None:
        """A home that is not here, or says nothing, is told so, and nothing is left."""
        self.failureResultOf(self.ask(home="k" * 43), Absent)
        self.register()
        silent = self.ask()
        self.wait(ANSWER_WITHIN + 0.1)
        self.failureResultOf(silent, Absent)
        self.assertEqual(self.waiting._waiting, {})

    def test_login_is_never_put_off(self) -> None:
        """Somebody honest makes two calls for a login, and one for each change of the network: that is no flood."""
        self.register()
        for _ in range(10):
            for _ in range(3):
                asked = self.ask()
                self.wait(0.1)
                self.home.reply(self.calls[-1].call, "x")
                self.wait(0.1)
                self.successResultOf(asked)
            self.wait(3.0)

    def test_flood(self) -> None:
        """Who calls without end is told when to come again; others are not affected."""
        self.register()
        refused = 0
        for _ in range(BURST + 10):
            asked = self.ask("203.0.113.66", "k" * 43)
            trouble = self.failureResultOf(asked, TooMany, Absent).value
            refused += isinstance(trouble, TooMany)
        self.assertEqual(refused, 10)
        self.assertNoResult(self.ask("198.51.100.2"))

    def test_flood_of_many(self) -> None:
        """Many who call one home do not keep others from theirs, nor fill this process."""
        self.register()
        asked = [self.ask(f"198.51.{number}.1") for number in range(HOME_BURST + 20)]
        self.assertEqual(len(self.waiting._waiting), MOST_OF_HOME)
        for each in asked[MOST_OF_HOME:]:
            self.failureResultOf(each, TooMany)
