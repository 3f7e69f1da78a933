"""What is counted of those who are refused, and what is told."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.complaints import Complaints
from morphnet.net.knock import NO_KNOCK


class ComplaintsTests(SynchronousTestCase):
    """Refusals are counted, and told at most once a second."""

    def test_once_a_second(self) -> None:
        """A thousand refusals in a second make one line; the next second's line counts them."""
        clock, lines = Clock(), list[LogEvent]()
        keep = cast(ILogObserver, lines.append)
        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)
        complaints = Complaints(clock.seconds, "control")
        for _ in range(1000):
            complaints.add("certificate expired")
        clock.advance(1)
        complaints.add("certificate revoked")
        self.assertEqual([line["count"] for line in lines if "count" in line], [1, 1000])
        self.assertEqual(complaints.counts["certificate expired"], 1000)

    def test_bounded(self) -> None:
        """The table of reasons does not grow without end."""
        complaints = Complaints(Clock().seconds, "control")
        for number in range(1000):
            complaints.add(f"reason {number}")
        self.assertLess(len(complaints.counts), 100)

    def test_scanned(self) -> None:
        """Who does not knock is counted, and no line of the log is his."""
        clock, lines = Clock(), list[LogEvent]()
        keep = cast(ILogObserver, lines.append)
        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)
        complaints = Complaints(clock.seconds, "control")
        for _ in range(10):
            clock.advance(2)
            complaints.add(NO_KNOCK)
        self.assertEqual((lines, complaints.counts[NO_KNOCK]), ([], 10))
