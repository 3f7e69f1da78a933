"""The pump's timer, and the clock that the data plane lives by."""

from __future__ import annotations

import time
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.pump import LONGEST, Pump, since_boot
from morphnet.tunnel.events import Effects
from morphnet.tunnel.lateness import Lateness
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Departure, Endpoint


class FakeTunnel:
    """Wants to be called at a time, and notes when it was."""

    def __init__(self) -> None:
        self.due: float | None = None
        self.lateness = Lateness()
        self.turns: list[float] = []

    def next_timer(self) -> float | None:
        """See Tunnel."""
        return self.due

    def on_timer(self, now: float) -> Effects:
        """See Tunnel."""
        self.turns.append(now)
        if self.due is not None and self.due <= now:
            self.due = None
        return Effects()


class PumpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.slept, self.tunnel = Clock(), 0.0, FakeTunnel()
        self.pump = Pump(self.clock, cast(Tunnel, self.tunnel), self.now, lambda event: None)
        self.addCleanup(self.pump.stop)

    def now(self) -> float:
        """Time goes on while the machine sleeps; the reactor's clock does not."""
        return self.clock.seconds() + self.slept

    def arm(self, due: float) -> None:
        """The data plane wants to be called in so many seconds."""
        self.tunnel.due = self.now() + due
        self.pump.carry_out(Effects())

    def test_in_time(self) -> None:
        """It is called when it wants to be, and not again."""
        self.arm(0.25)
        self.clock.advance(0.2)
        self.assertEqual(self.tunnel.turns, [])
        self.clock.advance(0.05)
        self.assertEqual(self.tunnel.turns, [0.25])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_sooner(self) -> None:
        """What is due before the timer moves it."""
        self.arm(0.8)
        self.arm(0.1)
        self.clock.advance(0.1)
        self.assertEqual(self.tunnel.turns, [0.1])

    def test_slept(self) -> None:
        """After a sleep it is called within LONGEST, however far away the timer was."""
        self.arm(300)
        self.clock.advance(LONGEST / 2)
        self.slept = 3600.0
        self.clock.advance(LONGEST / 2)
        self.assertEqual((self.tunnel.turns, self.tunnel.due), ([3600.0 + LONGEST], None))

    def test_stopped(self) -> None:
        """A pump that was stopped leaves no timer, and makes none."""
        self.arm(0.5)
        self.pump.stop()
        self.arm(0.5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_long_turn(self) -> None:
        """The data plane is told when a turn that sent something took long."""
        began = self.now()
        self.clock.advance(0.05)
        self.pump.carry_out(Effects(), began)
        self.assertEqual(self.tunnel.lateness.recent(self.now()), 0.0)
        self.pump.carry_out(Effects(sends=[Departure(9, Endpoint("192.0.2.1", 1), b"", 1)]), began)
        self.assertAlmostEqual(self.tunnel.lateness.recent(self.now()), 0.05)

    def test_since_boot(self) -> None:
        """The clock of real processes counts the sleep of the machine."""
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.assertTrue(before <= since_boot() <= time.clock_gettime(time.CLOCK_BOOTTIME))
