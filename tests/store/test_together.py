"""Calls to a database that wait at the same time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from threading import Event
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from morphnet.errors import BugError
from morphnet.store.together import MOST, SLICE, Daemon, Together

reactor: Any = _reactor


class TogetherTests(TestCase):
    def setUp(self) -> None:
        self.said: list[str] = []
        self.breaks, self.now = False, 0.0
        self.together = Together(reactor, "tests", self.transaction, lambda: self.now)
        self.go = Event()
        self.keep()
        self.addCleanup(lambda: self.together.close(lambda: None))
        self.addCleanup(self.go.set)

    def keep(self) -> None:
        """Its thread is busy until it may go on, so that the others come together."""
        begun = Event()
        self.go.clear()

        def wait() -> None:
            begun.set()
            self.go.wait()

        self.together.ask(wait)
        begun.wait()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.said.append("begin")
        yield
        if self.breaks:
            self.said.append("broken")
            raise sqlite3.OperationalError("full")
        self.said.append("commit")

    def work(self, what: str) -> str:
        self.said.append(what)
        if what == "x":
            raise ZeroDivisionError
        if what == "y":
            raise sqlite3.OperationalError("busy")
        return what.upper()

    async def asked(self, words: str) -> list[Any]:
        """Their answers, or the names of what they raised."""
        asked = [self.together.ask(partial(self.work, each)) for each in words]
        waiting: Deferred[Any] = DeferredList(asked, consumeErrors=True)
        self.go.set()
        return [value if good else type(value.value).__name__ for good, value in await waiting]

    async def test_one_transaction(self) -> None:
        """Those that wait are done in their order and in one; what one raises is its own affair."""
        self.assertEqual(await self.asked("axb"), ["A", "ZeroDivisionError", "B"])
        self.assertEqual(self.said, ["begin", "a", "x", "b", "commit"])

    async def test_many(self) -> None:
        """A transaction has no more than MOST of them."""
        self.assertEqual(len(await self.asked("a" * (2 * MOST + 1))), 2 * MOST + 1)
        self.assertEqual((self.said.count("begin"), self.said.count("a")), (2, 2 * MOST + 1))

    async def test_slices(self) -> None:
        """Those who are told something go on with their work: as many in a turn of the reactor as there is time for."""
        told, turns = list[int](), list[int]()

        def turn() -> None:
            turns.append(len(told))
            watch[0] = reactor.callLater(0, turn)

        def tell(_: object) -> None:
            told.append(len(told))
            self.now += SLICE * 0.4

        watch = [reactor.callLater(0, turn)]
        asked = [self.together.ask(partial(self.work, "a")).addCallback(tell) for _ in range(30)]
        waiting: Deferred[Any] = DeferredList(asked)
        self.go.set()
        await waiting
        watch[0].cancel()
        steps = [after - before for before, after in pairwise(turns)]
        self.assertEqual((max(steps), told), (3, list(range(30))))

    async def test_database_fails(self) -> None:
        """When the database fails within, or at the end, each is done by itself, and knows what became of it."""
        self.assertEqual(await self.asked("ayb"), ["A", "OperationalError", "B"])
        self.assertEqual(self.said, ["begin", "a", "y", "a", "y", "b"])
        self.said.clear()
        self.breaks = True
        self.keep()
        self.assertEqual(await self.asked("ab"), ["A", "B"])
        self.assertEqual(self.said, ["begin", "a", "b", "broken", "a", "b"])

    async def test_closed(self) -> None:
        """What was asked before is done before the end, and nothing after it."""
        asked = self.asked("ab")
        waiting = Deferred.fromCoroutine(asked)
        ending = self.together.close(lambda: self.said.append("last"))
        await ending
        self.assertEqual(await waiting, ["A", "B"])
        self.assertEqual(self.said[-1], "last")
        self.failureResultOf(self.together.ask(lambda: None), BugError)


class DaemonTests(TestCase):
    def test_waited_for(self) -> None:
        """A process that ends without closing anything does not wait for it."""
        self.assertTrue(Daemon(target=print).daemon)
