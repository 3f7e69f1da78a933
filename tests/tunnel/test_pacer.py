"""How much a path may be given, and when it is there."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.pacer import MADE_UP
from morphnet.tunnel.path import Path
from morphnet.tunnel.window import BURST, FIRST, MODEST
from morphnet.wire.batch import Endpoint
from morphnet.wire.frames import Ack


def known(rate: float = 1e6, rtt: float = 0.02) -> Path:
    """A path whose rate (bytes a second) and RTT (seconds) are known, and on which nothing is in flight."""
    path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
    path.pacer.window.startup = False
    path.pacer.window._rates.add(rate, 0.0)
    path.rtt.add(rtt, now=0.0)
    path.pacer.landing.way = rtt / 2
    return path


class RoomTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """Until its rate is known, the best path has room for a first window, and another one for a modest one."""
        path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
        self.assertEqual(path.pacer.room(0.0), FIRST)
        self.assertLessEqual(path.pacer.room(0.0, best=False), MODEST)

    def test_paced(self) -> None:
        """What waits at the bottleneck is bounded; room comes back with time, and only the best path saves it up."""
        path = known()
        path.pacer.window.size = 1e6
        while path.pacer.takes(1, 1000, 0.0, best=True):
            path.sent(1, 1000, 1000, 0.0, asks=True)
        pace = path.pacer.pace(0.0)
        self.assertLessEqual(path.delivery.in_flight, max(BURST, 0.006 * pace) + 1000)
        at = path.pacer.room_at(10, 1000, 0.0)
        self.assertGreater(at, 0.0)
        self.assertGreater(path.pacer.takes(10, 1000, at, best=True), 0)
        later = path.pacer.free_at + 1.0
        saved = path.pacer.room(later) - path.pacer.room(later, best=False)
        self.assertAlmostEqual(saved, MADE_UP * path.pacer.pace(later), delta=2)

    def test_jitter(self) -> None:
        """One packet that jitter made late does not make the next one late, where they keep their order."""
        path, steady = known(), known()
        for each in (path, steady):
            each.sent(1, 1000, 1000, 0.0, asks=True)
            each.rtt.queue = 0.03
        path.pacer.window.shaken = 0.04
        self.assertLess(path.pacer.arrival(0.0), 0.02)
        self.assertAlmostEqual(steady.pacer.arrival(0.0), 0.04)

    def test_found(self) -> None:
        """
        While its rate is being found, twice what was seen is believed, unless a queue shows or jitter may hide one; and
        what was given to it at a pace that is a guess makes nothing late that is not seen to be.
        """
        path = known()
        window = path.pacer.window
        self.assertEqual(window.believed(0.0), 1e6)
        window.startup = True
        self.assertEqual(window.believed(0.0), 2e6)
        path.pacer.free_at = 0.5
        path.rtt.queue = 0.002
        self.assertAlmostEqual(path.pacer.soonest(0.0), 0.012)
        self.assertGreater(path.pacer.arrival(0.0), 0.5)
        window.shaken = 0.02
        self.assertEqual(window.believed(0.0), 1e6)

    def test_refused(self) -> None:
        """What never got to the bottleneck, as a full stream refused it, holds nothing back once it is known."""
        path = known(rate=1e5)
        path.sent(300, 1000, 300_000, 0.0, asks=True)
        path.sent(1, 1000, 1000, 0.5, asks=True)
        self.assertEqual(path.pacer.takes(1, 1000, 0.6, best=True), 0)
        path.acknowledge(Ack(0, 300, 0, 500_000, 1, 1000, 510_000, ((300, 300),)), 0.6)
        self.assertEqual(path.delivery.in_flight, 0)
        path.sent(1, 1000, 1000, 0.6, asks=True)
        self.assertGreater(path.pacer.takes(10, 1000, 0.7, best=True), 0)

    def test_full(self) -> None:
        """Without room in the window there is none before an Ack; that it held traffic back is remembered."""
        path = known()
        path.sent(50, 1000, 50_000, 0.0, asks=True)
        path.pacer.window.size = 50_000.0
        self.assertEqual(path.pacer.takes(5, 1000, 1.0, best=True), 0)
        self.assertEqual((path.pacer.limited_at, path.pacer.room_at(5, 1000, 1.0)), (1.0, float("inf")))

    def test_never_stuck(self) -> None:
        """With nothing in flight one datagram is taken, however small the window."""
        path = known()
        path.pacer.window.size = 10.0
        self.assertEqual(path.pacer.takes(5, 1000, 1.0, best=True), 1)


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
                self.path.pacer.limited_at = self.now
            self.total += self.SIZE
            sent_at, number = round(self.now * 1e6), self.path.delivery.number - 1
            came_at = sent_at + round(self.RTT * 5e5)
            ack = Ack(0, number, 0, sent_at, number + 1, self.total, came_at, ((0, number),))
            self.path.acknowledge(ack, self.now + self.RTT)

    def test_little_traffic(self) -> None:
        """A load that ends, and what trickles after it, say nothing about what the path can bring."""
        self.path.pacer.window.startup = False
        self.carry(2.0, 0.001, limited=True)
        self.assertAlmostEqual(self.path.pacer.window.rate(self.now) / 1e6, 1.0, places=2)
        self.carry(30.0, 0.05, limited=False)
        self.assertAlmostEqual(self.path.pacer.window.rate(self.now) / 1e6, 1.0, places=2)

    def test_slower(self) -> None:
        """A path that got slower while it is full is known to be."""
        self.path.pacer.window.startup = False
        self.carry(2.0, 0.001, limited=True)
        self.carry(4.0, 0.004, limited=True)
        self.assertAlmostEqual(self.path.pacer.window.rate(self.now) / 1e6, 0.25, places=2)


class QueueTests(SynchronousTestCase):
    def test_not_told_yet(self) -> None:
        """What is in flight tells the queue before Acks do, where one stood already and the rate is known."""
        for seen, expected in ((0.03, 0.15), (0.005, 0.005)):
            path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
            path.pacer.landing.way = 0.01
            path.pacer.window.startup = False
            path.pacer.window._rates.add(1e5, 0.0)
            for there in (0.0, seen):
                path.rtt.add(0.02, now=0.0, there=round(there * 1e6))
            for _ in range(18):
                path.sent(1, 1000, 1000, 0.0, asks=True)
            path.pacer.free_at = 0.0
            self.assertAlmostEqual(path.pacer.arrival(0.0), 0.01 + expected, places=3)

    def test_queue_on_the_way_back(self) -> None:
        """What makes only Acks late makes nothing late that is sent."""
        path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)
        for number, back in enumerate((0.01, 0.09, 0.09, 0.09)):
            now = 0.2 * number
            path.sent(1, 1000, 1000, now, asks=True)
            sent, came = round(now * 1e6), round((now + 0.01) * 1e6)
            ack = Ack(0, number, 0, sent, number + 1, 1000 * (number + 1), came, ((0, number),))
            path.acknowledge(ack, now + 0.01 + back)
            self.assertAlmostEqual(path.pacer.arrival(now + 0.01 + back), 0.01, places=3)
            self.assertAlmostEqual(path.pacer.landing.at, now + 0.01, places=3)
