"""What goes again though its path works (B10), and what follows from it for those who sent it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.repair import lost_by_chance
from tests.tunnel.test_recovery import RTT, Sender


class TwiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sender = Sender()
        self.sender.send_each(8)
        self.sender.now += RTT

    def test_by_chance(self) -> None:
        """What a path lost that loses little goes by two datagrams; if both are lost, only one of them is mended."""
        self.sender.acknowledge(2)
        self.assertEqual(self.sender.again(), [2, 2])
        again = [flight.again for flight in self.sender.path.delivery.flights]
        self.assertEqual(again, [1, 3])

    def test_full(self) -> None:
        """A path that loses much may be full: what it lost goes by one."""
        for at in range(2):
            self.sender.path.loss.add(at * 1000, at * 900, float(at))
        self.assertFalse(lost_by_chance(self.sender.path))
        self.sender.acknowledge(2)
        self.assertEqual(self.sender.again(), [2])

    def test_fell_silent(self) -> None:
        """What was on a path that is gone goes by one: there is much of it."""
        other = Sender(2)
        other.send_each(8)
        lost = len(other.path.delivery.flights)
        other.out.leave(other.path, [other.out.paths[1]])
        other.acknowledge(path=other.out.paths[1])
        self.assertEqual(len(other.again()), lost)


class LatelyTests(SynchronousTestCase):
    def test_lately(self) -> None:
        """For two round trips after a repair what waited for it may come at once, and leaves at once."""
        sender = Sender()
        sender.send_each(8)
        sender.now += RTT
        repair = sender.out.repair
        self.assertFalse(repair.lately(RTT, sender.now))
        sender.acknowledge(2)
        self.assertTrue(repair.lately(RTT, sender.now + RTT))
        self.assertFalse(repair.lately(RTT, sender.now + 2 * RTT))
