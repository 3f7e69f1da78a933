"""
Calls to a database by one thread of its own: those that wait there at the same time are one transaction.

A disk that is busy takes 10 ms and more to say that something is on it. With one transaction for each call, a thousand
callers waited for each other; with one for all that have come meanwhile, they wait for the disk twice at most.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from threading import Lock, Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from morphnet.errors import BugError

MOST = 256  # calls of one transaction
SLICE = 0.003  # seconds of a turn of the reactor in which answers are told: who has asked goes on with its work then
_T = TypeVar("_T")
_Work = Callable[[], Any]


class Daemon(Thread):
    """Ends with the process: one whose start fails ends without closing anything, and must not wait for it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, daemon=True, **named)


class Together:
    """
    Its thread begins with the first call, and does all of them in the order in which they came.

    What a call raises is its own affair, and it leaves nothing behind then (a savepoint is its own affair too), unless
    it is the database's: then all of that transaction are done again, one by one.

    :param reactor: answers are given in its thread, in their order, and as many in one turn as SLICE has room for.
    :param transaction: what all are done in; a commit that fails raises sqlite3.Error.
    :param seconds: tells how long something takes.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        name: str,
        transaction: Callable[[], AbstractContextManager[None]],
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._reactor, self._name, self._transaction = reactor, name, transaction
        self._pool: ThreadPool | None = None
        self._lock = Lock()  # of the two below
        self._waiting: list[tuple[_Work, Deferred[Any]]] = []
        self._busy = False  # the thread looks for more before it rests
        self._closed = False
        self._seconds, self._telling = seconds, False
        self._answers = deque[tuple[Deferred[Any], Any]]()  # that are there, and nobody has been told

    def ask(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Do that; what it answers is so for good."""
        if self._closed:
            return fail(BugError("the store was closed"))
        if self._pool is None:
            self._pool = ThreadPool(1, 1, self._name)
            self._pool.threadFactory = Daemon
            self._pool.start()
        answer: Deferred[_T] = Deferred()
        with self._lock:
            self._waiting.append((work, answer))
            rests, self._busy = not self._busy, True
        if rests:
            self._pool.callInThread(self._run)
        return answer

    def _run(self) -> None:
        while True:
            with self._lock:
                calls, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                if not calls:
                    self._busy = False
                    return
            answers = [answer for _, answer in calls]
            outcomes = self._done([work for work, _ in calls])
            self._reactor.callFromThread(self._answered, list(zip(answers, outcomes, strict=True)))

    def _done(self, works: Sequence[_Work]) -> list[Any]:
        if len(works) > 1:
            try:
                with self._transaction():
                    return [_outcome(work, alone=False) for work in works]
            except sqlite3.Error:
                pass  # nothing of it is there
        return [_outcome(work, alone=True) for work in works]

    def _answered(self, answers: Iterable[tuple[Deferred[Any], Any]]) -> None:
        self._answers.extend(answers)
        if not self._telling:
            self._tell()

    def _tell(self) -> None:
        ends = self._seconds() + SLICE
        self._telling = True
        while self._answers:
            answer, outcome = self._answers.popleft()
            answer.callback(outcome)  # a Failure goes to the errbacks
            if self._seconds() >= ends and self._answers:
                self._reactor.callFromThread(self._tell)  # in the next turn
                return
        self._telling = False

    async def _close(self, pool: ThreadPool, last: Callable[[], None]) -> None:
        try:
            await deferToThreadPool(self._reactor, pool, last)
        finally:
            while self._answers:
                self._tell()
            pool.stop()  # its queue is empty: this joins at once

    def close(self, last: Callable[[], None]) -> Deferred[None]:
        """:param last: what is done after all else."""
        self._closed, pool, self._pool = True, self._pool, None
        return execute(last) if pool is None else Deferred.fromCoroutine(self._close(pool, last))


def _outcome(work: _Work, *, alone: bool) -> Any:
    """What it answers, or its Failure."""
    try:
        return work()
    except sqlite3.Error:
        if not alone:
            raise
        return Failure()
    except Exception:  # whoever has asked is told
        return Failure()
