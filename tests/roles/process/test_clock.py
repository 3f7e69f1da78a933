"""The clock of a process is not the wall's."""

from __future__ import annotations

from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock, LoopingCall
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.process.clock import live_by

HOUR = 3600.0


class Reactor(ReactorBase):
    """Twisted's own timers, turned by hand, and no door."""

    def __init__(self) -> None:
        self.wall, self.uptime = Clock(), Clock()
        self.wall.advance(1_800_000_000.0)
        self.uptime.advance(5.0)
        self.seconds = self.wall.seconds  # type: ignore[method-assign, misc, unused-ignore]
        super().__init__()

    def installWaker(self) -> None:
        """Nobody has to be woken."""

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on, and what is due is done."""
        for _ in range(round(seconds * 10)):
            self.wall.advance(0.1)
            self.uptime.advance(0.1)
            self.runUntilCurrent()


class LiveByTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor, self.rung = Reactor(), list[str]()

    def _lives_by_uptime(self) -> None:
        live_by(self.reactor, self.reactor.uptime.seconds)

    def _steps(self, step: float) -> tuple[int, int]:
        """Turns of a loop that turns each second, in ten before and ten after a step of the wall clock."""
        turned = list[float]()
        loop = LoopingCall(lambda: turned.append(self.reactor.uptime.seconds()))
        loop.clock = self.reactor
        loop.start(1.0, now=False)
        self.reactor.pass_time(10.0)
        self.reactor.pass_time(0.1)  # sums of tenths are not exact
        before = len(turned)
        self.reactor.wall.rightNow += step
        self.reactor.pass_time(10.0)
        loop.stop()
        return before, len(turned) - before

    def test_steps(self) -> None:
        """A step of the wall clock, either way, costs no timer a turn and gives it none."""
        self._lives_by_uptime()
        self.assertEqual(self._steps(-HOUR), (10, 10))
        self.assertEqual(self._steps(HOUR), (10, 10))

    def test_as_it_was(self) -> None:
        """Without that, a step back stops every timer: what these tests would find."""
        self.assertEqual(self._steps(-HOUR), (10, 0))

    def test_begun_before(self) -> None:
        """What was to be done already is done when it was to be, in its order."""
        for seconds in (3.0, 1.0, 2.0):
            self.reactor.callLater(seconds, self.rung.append, f"{seconds:.0f}")
        self.reactor.runUntilCurrent()  # they are in the heap now
        late = self.reactor.callLater(1.5, self.rung.append, "put off")
        late.delay(2.0)
        self._lives_by_uptime()
        self.reactor.pass_time(2.55)
        self.assertEqual(self.rung, ["1", "2"])
        late.reset(0.0)
        self.reactor.pass_time(1.0)
        self.assertEqual(self.rung, ["1", "2", "put off", "3"])
