"""What is done in which turn of the loop, with a clock of the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.slices import MOST, SLICE, Slice


class Loop:
    """What is to be called later is called in the next turn."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callLater(self, delay: float, call: Callable[[], None]) -> Any:
        assert not delay
        self.calls.append(call)
        return call

    def turn(self) -> None:
        """One of them."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class SliceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop, self.now = Loop(), 0.0
        self.slice = Slice(cast(Any, self.loop), seconds=lambda: self.now)
        self.done: list[str] = []

    def move(self, name: str, part: float, *, again: bool = False) -> None:
        """Something that takes so much of a slice, in this turn or a later one; it waits as a connection does."""
        if not self.slice.is_open(let_in=again):
            self.slice.wait(lambda: self.move(name, part, again=True), again=again)
        else:
            self.moved(name, part)

    def moved(self, name: str, part: float) -> None:
        with self.slice.used():
            self.now += part * SLICE
            self.done.append(name)

    def turn(self) -> str:
        """Who had this turn."""
        self.done.clear()
        self.loop.turn()
        return "".join(self.done)

    def test_over(self) -> None:
        """Those that fit have this turn, the others the next ones, in the order in which they came."""
        for name in "abcdefgh":
            self.move(name, 0.4)
        self.assertEqual("".join(self.done), "abc")
        self.assertEqual([self.turn() for _ in range(4)], ["de", "fg", "h", ""])

    def test_behind(self) -> None:
        """Who comes while others wait, and there is nothing left, is behind them; who has a turn does not lose it."""
        for name in "abcd":
            self.move(name, 1.0)
        self.assertEqual(self.turn(), "b")
        self.move("e", 1.0)
        self.assertEqual([self.turn() for _ in range(4)], ["c", "d", "e", ""])

    def test_newcomers(self) -> None:
        """Nobody overtakes those who wait, though there is something left in the turn."""
        for name in "abcd":
            self.move(name, 0.7)
        self.assertEqual("".join(self.done), "ab")
        self.assertEqual(self.turn(), "c")
        self.move("e", 0.0)  # 0.3 are left
        self.assertEqual([self.turn() for _ in range(3)], ["d", "e", ""])

    def test_slow(self) -> None:
        """Where each takes longer than a slice, there is one in a turn."""
        for name in "abc":
            self.move(name, 20.0)
        self.assertEqual([self.turn() for _ in range(3)], ["b", "c", ""])

    def test_too_late(self) -> None:
        """Who was let in, and finds nothing left as another took longer, is before those who were not, in order."""
        self.moved("a", 1.0)
        for name, part in (("b", 0.0), ("c", 0.0), ("d", 3.0), ("e", 0.4), ("f", 0.4), ("g", 0.4)):
            self.move(name, part)
        self.assertEqual([self.turn() for _ in range(2)], ["b", "cd"])  # by what `b` took all were let in
        self.move("h", 0.0)
        self.assertEqual([self.turn() for _ in range(4)], ["e", "fg", "h", ""])

    def test_quick(self) -> None:
        """However little each takes, MOST that have waited are let in for one turn; nobody asks for turns at rest."""
        self.moved("a", 1.0)
        for _ in range(1 + 2 * MOST):
            self.move("b", 0.0)
        self.assertEqual(len(self.turn()), 1)  # the first of them is measured by what was before
        self.assertEqual([len(self.turn()) for _ in range(3)], [MOST, MOST, 0])
        self.assertEqual(self.loop.calls, [])
