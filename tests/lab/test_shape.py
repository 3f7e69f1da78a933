"""One direction of an emulated wire, with a scripted chance and a clock of our own."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.lab.shape import ETHERNET, Direction

FRAME = 1000 + ETHERNET  # bytes: an IP packet of 1000


class Script:
    """Plays the given numbers, then 0.999 for ever: nothing unlikely happens."""

    def __init__(self, *numbers: float) -> None:
        self._numbers = list(numbers)

    def random(self) -> float:
        return self._numbers.pop(0) if self._numbers else 0.999


def direction(*numbers: float, **params: Any) -> Direction:
    return Direction(Script(*numbers), params)


class DirectionTests(SynchronousTestCase):
    def test_plain_wire_takes_no_time(self) -> None:
        """Without parameters a frame arrives when it leaves."""
        self.assertEqual(direction().take(FRAME, 5.0), 5.0)

    def test_delay_and_jitter_add(self) -> None:
        """A frame takes the delay and a share of the jitter."""
        self.assertAlmostEqual(direction(0.5, delay=0.1, jitter=0.02).take(FRAME, 1.0) or 0, 1.11)

    def test_jitter_keeps_the_order(self) -> None:
        """A frame with less jitter waits for the one before it."""
        wire = direction(0.9, 0.0, jitter=0.1)
        self.assertEqual([wire.take(FRAME, 1.0), wire.take(FRAME, 1.0)], [1.09, 1.09])

    def test_jitter_reorders_when_asked(self) -> None:
        """With jitter_reorders it overtakes."""
        wire = direction(0.9, 0.0, jitter=0.1, jitter_reorders=True)
        self.assertEqual([wire.take(FRAME, 1.0), wire.take(FRAME, 1.0)], [1.09, 1.0])

    def test_shortened_delay_keeps_the_order(self) -> None:
        """What is under way is not overtaken when the delay shrinks."""
        wire = direction(delay=0.5)
        wire.take(FRAME, 1.0)
        wire.set({"delay": 0.0})
        self.assertEqual(wire.take(FRAME, 1.1), 1.5)

    def test_rate_spaces_frames(self) -> None:
        """1000 bytes of IP at 8 Mbit/s take a millisecond each."""
        wire = direction(rate=8e6)
        arrivals = [wire.take(FRAME, 1.0) or 0 for _ in range(3)]
        for arrival, expected in zip(arrivals, (1.001, 1.002, 1.003), strict=True):
            self.assertAlmostEqual(arrival, expected)
        self.assertAlmostEqual(wire.counters.queue_delay_max, 0.002)

    def test_queue_drops_its_tail(self) -> None:
        """A queue of 10 ms at 8 Mbit/s holds ten packets of 1000 bytes."""
        wire = direction(rate=8e6, queue_ms=10)
        taken = [wire.take(FRAME, 1.0) for _ in range(15)]
        self.assertEqual(sum(at is not None for at in taken), 10)
        self.assertEqual(wire.counters.dropped_queue, 5)

    def test_codel_keeps_the_queue_short(self) -> None:
        """
        A load of 110 % for 10 s: packets at the end of a queue with CoDel are lost, counted, take no time of the link,
        and those behind them are the earlier for it.
        """
        wire, deep = direction(rate=8e6, queue_ms=1000, codel=True), direction(rate=8e6, queue_ms=1000)
        moments = [number / 1100 for number in range(11_000)]
        taken = [wire.take(FRAME, at) for at in moments]
        last = [left - at for at, left in zip(moments, taken, strict=True) if left is not None][-1000:]
        self.assertEqual(wire.counters.dropped_codel, taken.count(None))
        self.assertEqual(wire.counters.dropped_queue, 0)
        self.assertLess(sum(last) / len(last), 0.1)
        waited = [(deep.take(FRAME, at) or at) - at for at in moments][-1000:]
        self.assertGreater(sum(waited) / len(waited), 0.5)
        left = [at for at in taken if at is not None]
        self.assertLess(max(later - earlier for earlier, later in pairwise(left[100:])), 0.0011)

    def test_codel_sees_packets_when_they_leave(self) -> None:
        """Of a burst that came at one moment, the first is dropped an interval after one had waited too long."""
        wire = direction(rate=8e6, queue_ms=1000, codel=True)
        dropped = [number for number in range(150) if wire.take(FRAME, 1.0) is None]
        self.assertEqual([105 <= number <= 107 for number in dropped], [True])  # one leaves every ms: 5 and 100 of them

    def test_slow_link_still_has_a_queue(self) -> None:
        """The default queue holds 30 kB however low the rate."""
        wire = direction(rate=8e3)
        self.assertEqual(sum(wire.take(FRAME, 1.0) is not None for _ in range(40)), 30)

    def test_loss_is_counted(self) -> None:
        """A frame below the probability is lost, and one at it is not."""
        wire = direction(0.09, 0.1, loss=0.1)
        self.assertIsNone(wire.take(FRAME, 1.0))
        self.assertIsNotNone(wire.take(FRAME, 1.0))
        self.assertEqual((wire.counters.dropped_loss, wire.counters.packets), (1, 1))

    def test_burst_lasts_until_it_is_left(self) -> None:
        """Gilbert-Elliott: everything is lost from entering the bad state to leaving it."""
        wire = direction(0.0, 0.9, 0.9, 0.1, 0.9, burst_loss={"p": 0.01, "r": 0.2})
        taken = [wire.take(FRAME, 1.0) is not None for _ in range(5)]
        self.assertEqual(taken, [False, False, False, True, True])
        self.assertEqual(wire.counters.dropped_burst, 3)

    def test_neighbour_discovery_is_spared_by_chance(self) -> None:
        """ARP and ND survive full loss and a full queue, and not a black hole."""
        wire = direction(loss=1, rate=8.0)
        self.assertEqual(wire.take(60, 1.0, neighbour=True), 1.0)
        wire.set({"black_hole": True})
        self.assertIsNone(wire.take(60, 1.0, neighbour=True))

    def test_mtu_is_of_the_ip_packet(self) -> None:
        """A packet of exactly the MTU passes, one byte more vanishes."""
        wire = direction(mtu=1000)
        self.assertIsNotNone(wire.take(FRAME, 1.0))
        self.assertIsNone(wire.take(FRAME + 1, 1.0))
        self.assertEqual(wire.counters.dropped_mtu, 1)

    def test_mtu_told(self) -> None:
        """Only a wire of that kind tells, and only of what did not fit."""
        for params, told in (({}, 0), ({"mtu_told": True}, 999), ({"mtu_told": True, "black_hole": True}, 0)):
            wire = direction(mtu=999, **params)
            self.assertIsNone(wire.take(FRAME, 0.0))
            self.assertEqual(wire.tells(FRAME), told)
        self.assertEqual(direction(mtu=1000, mtu_told=True, loss=1).tells(FRAME), 0)

    def test_black_hole_swallows_all(self) -> None:
        """Nothing passes a black hole, and everything after it."""
        wire = direction(black_hole=True)
        self.assertIsNone(wire.take(FRAME, 1.0))
        wire.set({"black_hole": False})
        self.assertIsNotNone(wire.take(FRAME, 1.0))
        self.assertEqual(wire.counters.dropped_black_hole, 1)

    def test_reorder_skips_the_delay(self) -> None:
        """A reordered frame overtakes those that wait."""
        wire = direction(0.9, 0.0, 0.9, delay=0.1, reorder=0.5)
        self.assertEqual([wire.take(FRAME, 1.0) for _ in range(3)], [1.1, 1.0, 1.1])
        self.assertEqual(wire.counters.reordered, 1)

    def test_duplicates_are_counted(self) -> None:
        """`twice` says so with the probability asked for."""
        wire = direction(0.1, 0.9, duplicate=0.5)
        self.assertEqual([wire.twice(), wire.twice()], [True, False])
        self.assertEqual(wire.counters.duplicated, 1)

    def test_same_seed_same_fate(self) -> None:
        """The same seed loses the same frames."""
        fates = []
        for _ in range(2):
            wire = Direction(random.Random("1/cable/there"), {"loss": 0.3, "jitter": 0.1})
            fates.append([wire.take(FRAME, float(n)) for n in range(50)])
        self.assertEqual(fates[0], fates[1])

    def test_wrong_parameters_change_nothing(self) -> None:
        """A wrong name or value is refused whole."""
        wire = direction()
        for wrong in ({"latency": 1}, {"loss": 1.5}, {"delay": -1}, {"black_hole": 1}, {"burst_loss": {"p": 1}}):
            with self.assertRaises(ConfigError):
                wire.set({"mtu": 5, **wrong})
        self.assertIsNone(wire.params["mtu"])


class DirectionProperties(SynchronousTestCase):
    @given(st.lists(st.tuples(st.integers(60, 1514), st.floats(0, 0.01)), max_size=50), st.integers(0, 9))
    def test_order_and_causality(self, frames: list[tuple[int, float]], seed: int) -> None:
        """Without reordering, frames arrive in order and never before delay and sending time have passed."""
        wire = Direction(random.Random(seed), {"delay": 0.01, "jitter": 0.02, "rate": 1e6, "loss": 0.1})
        now, last = 0.0, 0.0
        for size, pause in frames:
            now += pause
            at = wire.take(size, now)
            if at is not None:
                self.assertGreaterEqual(at, max(last, now + 0.01 + (size - ETHERNET) * 8e-6 - 1e-9))
                last = at
