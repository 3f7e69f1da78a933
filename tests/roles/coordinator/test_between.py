"""Links through the coordinator: who gets one, and what none of them may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame, Refused
from morphnet.roles.coordinator.between import GO, GOOD_FOR, MOST_CALLS, MOST_OF_HOME, MOST_WAITING, WAIT, Between

CALL, RATE = "0" * 32, 1000.0


class End:
    """A socket, as far as it is used."""

    def __init__(self, between: Between) -> None:
        self.between = cast(Any, between)
        self.texts: list[bytes] = []
        self.content: list[bytes] = []
        self.over, self.stopped, self.rested = "", False, 0.0
        self.reads = self.takes = True
        self.drained: Callable[[], None] = lambda: None
        self.between.connected(self)

    def say(self, call: str) -> None:
        self.between.text(self, call.encode())

    def send_text(self, text: bytes) -> None:
        self.texts.append(text)

    def send_binary(self, content: bytes) -> bool:
        self.content += [content] if self.takes else []
        return self.takes

    def stop_reading(self) -> None:
        self.stopped = True

    def read_on(self) -> None:
        self.stopped = False

    def pause_reading(self, seconds: float) -> None:
        self.rested = seconds

    def drop(self, reason: str) -> None:
        self.over = self.over or reason
        self.between.ended(self, reason, Failure(ConnectionError()))

    end = drop


class BetweenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.between = Between(self.clock, 2, RATE)

    def pair(self, call: str = CALL, home: str = "home") -> tuple[End, End]:
        self.between.made(call, home)
        one, other = End(self.between), End(self.between)
        one.say(call)
        other.say(call)
        return one, other

    def binary(self, end: End, content: bytes) -> None:
        self.between.binary(cast(Any, end), content)

    def test_passes_on(self) -> None:
        """What one says the other hears, as it was; when one goes, so does the other, and nothing is left."""
        one, other = self.pair()
        self.assertEqual((one.texts, other.texts, len(self.between)), ([GO], [GO], 1))
        self.binary(one, b"up")
        self.binary(other, b"down")
        self.assertEqual((one.content, other.content), ([b"down"], [b"up"]))
        one.drop("it has left")
        self.assertEqual((other.over, len(self.between)), ("the other end is gone", 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_only_calls(self) -> None:
        """Only a call that was just made opens one, and once: nobody can use it for something else."""
        self.assertRaises(Refused, End(self.between).say, CALL)
        one, _ = self.pair()
        self.assertRaises(Refused, End(self.between).say, CALL)
        self.assertRaises(MalformedFrame, one.say, CALL)
        self.between.made("1" * 32, "home")
        self.clock.advance(GOOD_FOR + 1)
        self.assertRaises(Refused, End(self.between).say, "1" * 32)
        stranger = End(self.between)
        self.assertRaises(MalformedFrame, self.binary, stranger, b"x")

    def test_nobody_comes(self) -> None:
        """Who waits in vain, or says nothing, is hung up on."""
        self.between.made(CALL, "home")
        one, silent = End(self.between), End(self.between)
        one.say(CALL)
        self.clock.advance(WAIT)
        self.assertEqual((one.over, silent.over), ("nobody came",) * 2)
        self.assertEqual((self.between._waiting, self.between._first), ({}, {}))

    def test_says_it_twice(self) -> None:
        """Who waits and then says more than is asked is dropped, and stands in nobody's way: no pair has a dead end."""
        for call in (f"{number:032x}" for number in range(3)):
            self.between.made(call, "home")
            one, other = End(self.between), End(self.between)
            one.say(call)
            self.assertRaises(MalformedFrame, one.say, "x")
            one.drop("it says what nobody asked for")
            self.assertEqual(self.between._first, {})
            other.say(call)
            self.assertEqual((other.texts, len(self.between)), ([], 0))
            other.drop("it has left")
        self.assertEqual((self.between._first, self.between._pairs, self.between._waiting), ({}, {}, {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.between.may_come())

    def test_bounds(self) -> None:
        """So many pairs, ends that wait, and calls that are remembered; not one more."""
        for number in range(2):
            self.pair(f"{number:032x}")
        self.assertFalse(self.between.may_come())
        self.between.made(CALL, "home")
        first, second = End(self.between), End(self.between)
        first.say(CALL)
        self.assertRaises(Refused, second.say, CALL)
        self.assertEqual((first.over, len(self.between)), ("too many", 2))
        other = Between(self.clock, 2, RATE)
        ends = [End(other) for _ in range(MOST_WAITING)]
        self.assertFalse(other.may_come())
        ends[0].drop("it has left")
        self.assertTrue(other.may_come())
        for number in range(MOST_CALLS + 9):
            other.made(f"{number:032x}", "home")
        self.assertEqual(len(other._calls), MOST_CALLS)
        other.close()
        self.assertEqual({end.over for end in ends}, {"it has left", "the coordinator stops"})

    def test_one_home(self) -> None:
        """No home has more than its part of the pairs: others are for others; one that has ended may be had again."""
        self.between = Between(self.clock, 64, RATE)
        pairs = [self.pair(f"{number:032x}") for number in range(MOST_OF_HOME)]
        self.between.made(CALL[:-1] + "f", "home")
        first, second = End(self.between), End(self.between)
        first.say(CALL[:-1] + "f")
        self.assertRaises(Refused, second.say, CALL[:-1] + "f")
        self.assertEqual((first.over, len(self.between)), ("too many", MOST_OF_HOME))
        self.assertEqual(self.pair("1" * 32, "another")[0].texts, [GO])
        pairs[0][1].drop("it has left")
        self.assertEqual(self.pair("2" * 32)[0].texts, [GO])
        self.assertEqual(self.between.counts["between_refused"], 1)
        self.between.close()
        self.assertEqual((len(self.between), self.between._of), (0, {}))

    def test_does_not_read(self) -> None:
        """Who does not read stops the other; what was on the way all the same ends the link before it fills us."""
        one, other = self.pair()
        other.reads = False
        self.binary(one, b"x")
        self.assertTrue(one.stopped)
        other.drained()
        self.assertFalse(one.stopped)
        other.takes = False
        self.assertRaises(Refused, self.binary, one, b"x")

    def test_rate(self) -> None:
        """A pair that is ahead of its rate rests for so long."""
        one, other = self.pair()
        self.between.spent(cast(Any, one), 40)
        self.assertEqual(one.rested, 0.0)
        self.between.spent(cast(Any, other), 960)
        self.assertAlmostEqual(other.rested, 1.0)
        self.clock.advance(5.0)
        self.between.spent(cast(Any, one), 40)
        self.assertEqual(one.rested, 0.0)
