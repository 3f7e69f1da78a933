"""How late both ends are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel import ackdebt
from morphnet.tunnel.lateness import MOST, SPAN, TURNS, Lateness, PathLateness, Peak
from morphnet.tunnel.path import Path
from morphnet.wire.batch import Endpoint
from morphnet.wire.frames import Ack

MS = 1000  # microseconds


class PeakTests(SynchronousTestCase):
    def test_most(self) -> None:
        """The most of late counts; it is forgotten after SPAN, and never above MOST."""
        peak = Peak()
        self.assertEqual(peak.recent(10.0), 0.0)
        peak.add(0.05, 10.0)
        peak.add(0.02, 10.1)
        self.assertEqual(peak.recent(10.0 + SPAN), 0.05)
        self.assertEqual(peak.recent(10.1 + SPAN), 0.0)
        peak.add(0.01, 10.2 + SPAN)
        self.assertEqual(peak.recent(10.2 + SPAN), 0.01)
        peak.add(3600.0, 10.3 + SPAN)
        self.assertEqual(peak.recent(10.3 + SPAN), MOST)


class LatenessTests(SynchronousTestCase):
    def test_turns(self) -> None:
        """What a long turn sent may have left later, by the send time that it carries; a short one is not kept."""
        own = Lateness()
        own.turned(5000.0, 5000.06)
        own.turned(5001.0, 5001.0001)
        self.assertAlmostEqual(own.sending(round(5000.0e6) & 0xFFFFFFFF), 0.06)
        self.assertEqual(own.sending(round(5001.0e6) & 0xFFFFFFFF), 0.0)
        self.assertAlmostEqual(own.recent(5000.1), 0.06)

    def test_bounded(self) -> None:
        """No more than TURNS are remembered, the latest."""
        own = Lateness()
        for turn in range(3 * TURNS):
            own.turned(10.0 + turn, 10.1 + turn)
        self.assertEqual(len(own._turns), TURNS)
        self.assertEqual(own.sending(round(10.0e6)), 0.0)
        self.assertAlmostEqual(own.sending(round((9.0 + 3 * TURNS) * 1e6)), 0.1)

    def test_both(self) -> None:
        """A round trip takes longer by what both are late; what an Ack may wait anyway is not late."""
        own = Lateness()
        path = PathLateness(own)
        path.answered(round(ackdebt.DELAY * 1e6), 10.0)
        self.assertEqual(path.both(10.0), 0.0)
        path.answered(60 * MS, 10.0)
        own.woke(0.03, 10.0)
        self.assertAlmostEqual(path.peers(10.0), 0.05)
        self.assertAlmostEqual(path.both(10.0), 0.08)

    def test_boast(self) -> None:
        """A peer that says it is an hour late is not waited for longer than MOST."""
        path = PathLateness()
        path.answered(0xFFFFFFFF, 10.0)
        self.assertEqual(path.peers(10.0), MOST)


class RoundTripTests(SynchronousTestCase):
    """A path of 20 ms, 10 of them there."""

    def setUp(self) -> None:
        self.own = Lateness()
        self.path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0, self.own)
        self.now = 100.0

    def round_trip(self, *, read: float = 0.0, left: float = 0.0, peer: float = 0.0) -> None:
        """
        One, of which each part is late by so many seconds.

        :param read: until the Ack is read.
        :param left: until what is acknowledged leaves.
        :param peer: until it is read there.
        """
        number, sent_at = self.path.delivery.number, self.now
        self.path.sent(1, 1440, 1440, sent_at, asks=True)
        self.own.turned(sent_at, sent_at + left)
        there = sent_at + left + 0.01
        self.now = there + peer + 0.01 + read
        echo, came = round(sent_at * 1e6) & 0xFFFFFFFF, round(there * 1e6) & 0xFFFFFFFF
        ack = Ack(0, number, round(peer * 1e6), echo, number + 1, 1440 * (number + 1), came, ((number, number),))
        self.path.acknowledge(ack, self.now, read)
        self.now += 0.1

    def test_in_time(self) -> None:
        """Nobody is late: the round trip, and no queue."""
        for _ in range(5):
            self.round_trip()
        self.assertAlmostEqual(self.path.rtt.latest, 0.02, 5)
        self.assertAlmostEqual(self.path.rtt.queue, 0.0, 5)

    def test_late(self) -> None:
        """However late either end is, at whatever it does: the same round trip, and no queue."""
        self.round_trip()
        for late in ({"read": 0.07}, {"left": 0.05}, {"peer": 0.09}, {"read": 0.07, "left": 0.05, "peer": 0.09}):
            self.round_trip(**late)
            self.assertAlmostEqual(self.path.rtt.latest, 0.02, 5, str(late))
            self.assertAlmostEqual(self.path.rtt.queue, 0.0, 5, str(late))
        self.assertAlmostEqual(self.path.lateness.peers(self.now), 0.08, 5)

    def test_too_much_excused(self) -> None:
        """What left at the beginning of a long turn is not taken for faster than the path ever was."""
        self.round_trip()
        number, sent_at = self.path.delivery.number, self.now
        self.path.sent(1, 1440, 1440, sent_at, asks=True)
        self.own.turned(sent_at, sent_at + 0.05)
        echo, came = round(sent_at * 1e6) & 0xFFFFFFFF, round((sent_at + 0.01) * 1e6) & 0xFFFFFFFF
        ack = Ack(0, number, 0, echo, 2, 2880, came, ((number, number),))
        self.path.acknowledge(ack, sent_at + 0.02)
        self.assertAlmostEqual(self.path.rtt.latest, 0.02, 5)
        self.assertAlmostEqual(self.path.rtt.queue, 0.0, 5)

    def test_what_the_peer_is_told(self) -> None:
        """An Ack tells when the latest arrived, by the kernel's clock; that we were late is in its delay."""
        self.path.received.seen.add_run(7, 1)
        self.path.received.came(7, 1, 1440, 5, 99.95)
        ack = self.path.received.make_ack(100.0)
        self.assertEqual((ack.delay, ack.received_at), (50 * MS, round(99.95e6)))
