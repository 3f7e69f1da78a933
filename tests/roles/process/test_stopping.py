"""A stop has an end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.manhole import ManholeConfig
from morphnet.errors import HostError
from morphnet.roles.process import process
from morphnet.roles.process.process import Process
from morphnet.roles.process.stopping import LONGEST, last_resort


@dataclass(frozen=True)
class FakeSettings:
    """Of a process that opens nothing."""

    state_dir: Path
    run_dir: Path
    manhole: ManholeConfig


class FakeProcess(Process):
    """One whose machine does not take back what was changed."""

    closed = False

    def let_go(self) -> None:
        raise HostError("the disk is full")

    async def close(self) -> None:
        self.closed = True


class StopTests(SynchronousTestCase):
    def test_host_refuses(self) -> None:
        """A machine that cannot be put back holds up neither the doors nor the end."""
        ends: list[bool] = []
        self.patch(process, "last_resort", lambda restored, *rest: ends.append(restored()))
        stopped = FakeProcess(FakeSettings(Path("x"), Path("x"), ManholeConfig()), Clock())
        self.failureResultOf(stopped.stopService(), HostError)
        self.assertEqual((stopped.closed, stopped._restored), (True, True))


class LastResortTests(SynchronousTestCase):
    def test_end(self) -> None:
        """It ends when the time is over, and never before the host is as it was."""
        done: list[object] = []
        last_resort(lambda: len(done) > 2, done.append, lambda: done.append("end"))
        self.assertEqual((done[0], done[-1], len(done)), (LONGEST, "end", 4))
