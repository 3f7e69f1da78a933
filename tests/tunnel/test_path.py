"""What a path learns from an Ack."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.path import Path
from morphnet.tunnel.window import MODEST
from morphnet.wire.batch import Endpoint
from morphnet.wire.notes import Ack


class RateTests(SynchronousTestCase):
    RTT, SIZE = 0.02, 1000

    def setUp(self) -> None:
        self.path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
        self.total, self.now = 0, 0.0

    def carry(self, seconds: float, every: float, *, limited: bool) -> None:
        """A datagram each `every` seconds, acknowledged a round trip later, while the window is full or is not."""
        for _ in range(round(seconds / every)):
            self.now += every
            self.path.sent(1, self.SIZE, self.SIZE, self.now, asks=True)
            if limited:
                self.path.limited_at = self.now
            self.total += self.SIZE
            sent_at, number = round(self.now * 1e6), self.path.number - 1
            came_at = sent_at + round(self.RTT * 5e5)
            ack = Ack(0, number, 0, sent_at, number + 1, self.total, came_at, ((0, number),))
            self.path.acknowledge(ack, self.now + self.RTT)

    def test_little_traffic(self) -> None:
        """A load that ends, and what trickles after it, say nothing about what the path can bring."""
        self.path.window.startup = False
        self.carry(2.0, 0.001, limited=True)
        self.assertAlmostEqual(self.path.window.rate(self.now) / 1e6, 1.0, places=2)
        self.carry(30.0, 0.05, limited=False)
        self.assertAlmostEqual(self.path.window.rate(self.now) / 1e6, 1.0, places=2)

    def test_slower(self) -> None:
        """A path that got slower while it is full is known to be."""
        self.path.window.startup = False
        self.carry(2.0, 0.001, limited=True)
        self.carry(4.0, 0.004, limited=True)
        self.assertAlmostEqual(self.path.window.rate(self.now) / 1e6, 0.25, places=2)


class StartupTests(SynchronousTestCase):
    def test_little_in_flight(self) -> None:
        """Who has little in flight does not learn that the path takes much, however long it goes on."""
        path, now = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0), 0.0
        for number in range(200):
            now += 0.02
            path.sent(1, 1000, 1000, now, asks=True)
            sent_at = round(now * 1e6)
            path.acknowledge(Ack(0, number, 0, sent_at, number + 1, 0, sent_at, ((0, number),)), now + 0.02)
        self.assertEqual(path.window.modest, MODEST)
        self.assertTrue(path.window.startup)


class QueueTests(SynchronousTestCase):
    def test_not_told_yet(self) -> None:
        """What is in flight tells the queue before Acks do, where one stood already and the rate is known."""
        for seen, expected in ((0.03, 0.15), (0.005, 0.005)):
            path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
            path.window.startup = False
            path.window._rates.add(1e5, 0.0)
            for there in (0.0, *[seen] * 100):
                path.rtt.add(0.02, now=0.0, there=round(there * 1e6))
            for _ in range(18):
                path.sent(1, 1000, 1000, 0.0, asks=True)
            path.free_at = 0.0
            self.assertAlmostEqual(path.arrival(0.0), 0.01 + expected, delta=0.006)

    def test_jitter(self) -> None:
        """A packet that came late on a path that jitters does not tell when the next one will come."""
        path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
        for there in (0.0, *[0.0, 0.04] * 50):
            path.rtt.add(0.02, now=0.0, there=round(there * 1e6))
        path.window.acknowledged(0, 0, None, False, path.rtt, 0.0)
        path.sent(1, 1000, 1000, 0.0, asks=True)
        path.free_at = 0.0
        self.assertAlmostEqual(path.arrival(0.0), 0.01, places=3)


class OverflowTests(SynchronousTestCase):
    def test_size_is_trusted(self) -> None:
        """A queue that loses full runs says nothing about their size; that nothing of it passes any more does."""
        for passes in (True, False):
            path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
            path.mtu.trust()
            for step in range(9):
                path.sent(4, 1440, 5760, step / 1000, asks=True)
            path.sent(1, 1440 if passes else 100, 1440, 0.01, asks=True)
            path.acknowledge(Ack(0, 36, 0, 10_000, 1, 1440, 20_000, ((36, 36),)), 1.0)
            self.assertEqual(path.mtu.proven == path.mtu.ceiling, passes)
