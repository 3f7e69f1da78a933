"""What an Ack settles of that which is in flight."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.delivery import AWAITED, DOUBTED, MAX_FLIGHTS, SHORTER, Delivery
from morphnet.tunnel.flight import Flight
from morphnet.tunnel.lateness import PathLateness
from morphnet.tunnel.mtu import BLACK_HOLE, MtuSearch
from morphnet.tunnel.recovery import REPAIRS
from morphnet.tunnel.rtt import RttEstimate
from morphnet.wire.frames import Ack
from morphnet.wire.segments import Run

SIZE, RTT = 1000, 0.02  # bytes, seconds


class DeliveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        rtt = RttEstimate()
        rtt.add(RTT, now=0.0)
        self.lateness = PathLateness()
        self.delivery, self.now = Delivery(rtt, MtuSearch(1440), self.lateness), 1.0

    def send(self, *counts: int, asks: bool = True) -> None:
        """Runs of so many datagrams, 5 ms apart."""
        for count in counts:
            self.delivery.sent(count, SIZE, count * SIZE, self.now, asks=asks)
            self.now += 0.005

    def ack(self, *ranges: tuple[int, int], sent_at: float) -> Ack:
        """These have arrived, the newest of them sent at that time."""
        return Ack(0, ranges[0][1], 0, round(sent_at * 1e6), 0, 0, 0, ranges)

    def test_numbers(self) -> None:
        """Each datagram has a number and is counted; only what asks for an Ack is in flight."""
        self.send(3)
        self.send(2, asks=False)
        delivery = self.delivery
        self.assertEqual((delivery.number, delivery.sent_packets, delivery.sent_bytes), (5, 5, 5 * SIZE))
        self.assertEqual((delivery.in_flight, len(delivery.flights)), (3 * SIZE, 1))
        self.assertEqual((delivery.asked_at, delivery.unanswered_at), (1.0, 1.0))

    def test_settled(self) -> None:
        """What arrived is news once; while more is in flight, that is what waits for an answer from now on."""
        self.send(3, 3)
        self.assertEqual((self.delivery.unanswered_at, self.delivery.asked_at), (1.0, 1.005))
        first, again = (self.delivery.settle(self.ack((0, 2), sent_at=1.0), at) for at in (1.02, 1.03))
        self.assertEqual((first.newest, first.packets, first.bytes, first.lost), (True, 3, 3 * SIZE, 0))
        self.assertEqual((again.newest, again.packets, again.bytes), (False, 0, 0))
        self.assertEqual((self.delivery.acked, self.delivery.in_flight), (2, 3 * SIZE))
        self.assertEqual(self.delivery.unanswered_at, 1.02)
        self.delivery.settle(self.ack((0, 5), sent_at=1.005), 1.04)
        self.assertEqual((self.delivery.in_flight, self.delivery.unanswered_at), (0, None))

    def test_lost(self) -> None:
        """What later ones have overtaken is given up, and found when it arrives all the same."""
        self.send(1, 1, 1, 1)
        for flight in self.delivery.flights:
            flight.run = Run(b"", bytes(SIZE), SIZE, 0, 1)
        settled = self.delivery.settle(self.ack((3, 3), (0, 1), sent_at=1.015), 1.035)
        self.assertEqual((settled.packets, settled.lost, settled.found), (3, SIZE, 0))
        self.assertEqual([flight.first for flight in self.delivery.recovery.spilt], [2])
        late = self.delivery.settle(self.ack((0, 3), sent_at=1.015), 1.04)
        self.assertEqual((late.packets, late.found), (0, SIZE))

    def test_calm(self) -> None:
        """Whether a queue of ours was there is told of the highest that arrived."""
        self.send(1, 2)
        self.delivery.flights[1].calm = True
        calm = [self.delivery.settle(self.ack((0, last), sent_at=1.0), 1.02).calm for last in (0, 1)]
        self.assertEqual(calm, [False, True])

    def test_taken(self) -> None:
        """Who takes what is in flight leaves nothing, and takes what was given up too."""
        self.send(2, 2)
        self.delivery.recovery.spilt.append(self.delivery.flights.popleft())
        self.assertEqual([flight.first for flight in self.delivery.take_flights()], [0, 2])
        self.assertEqual((self.delivery.in_flight, self.delivery.unanswered_at), (0, None))
        self.assertEqual(self.delivery.take_spilt(), [])

    def test_too_long(self) -> None:
        """What may have been too long is kept until it is known: then it goes again, unless another one passed."""
        large = 1440
        for passes in (False, True):
            self.setUp()
            mtu, lost = MtuSearch(large), list[Flight]()
            mtu.trust()
            delivery = Delivery(RttEstimate(), mtu, PathLateness())
            for number in range(BLACK_HOLE):
                now = 0.03 * number
                flight = delivery.sent(1, large, large, now, asks=True)
                assert flight is not None
                flight.run = Run(b"", bytes(large), large, 0, 1)
                lost.append(flight)
                mtu.lost(large, flight.at, now)
                if number + 1 < BLACK_HOLE:
                    self.assertEqual(delivery.too_long([*delivery.take_spilt(), flight], now), [])
                    self.assertEqual(delivery.recovery.spilt, lost)
                if passes and number == BLACK_HOLE - 2:
                    mtu.delivered(large, now + 0.005)
            wanted = [] if passes else lost
            self.assertEqual(delivery.too_long([*delivery.take_spilt(), lost[-1]], 0.16), wanted)
            self.assertEqual(delivery.recovery.spilt, lost[-1:] if passes else [])
            for again, left in ((REPAIRS, wanted), (REPAIRS + SHORTER, wanted[1:])):
                lost[0].again = again  # it was lost as often before anybody knew why
                self.assertEqual(delivery.too_long(lost, 0.1), left)

    def test_nobody_waits(self) -> None:
        """What nothing tells of goes again after a while, a few times; in the end it would come too late anyway."""
        mtu = MtuSearch(1440)
        mtu.trust()
        delivery = Delivery(RttEstimate(), mtu, PathLateness())
        delivery.sent(1, 1440, 1440, 1.0, asks=True)
        flight = delivery.flights.popleft()
        flight.run = Run(b"", bytes(1440), 1440, 0, 1)
        for again, now, goes, kept in (
            (0, 0.9 + DOUBTED, [], [flight]),
            (0, 1.1 + DOUBTED, [flight], []),
            (REPAIRS + SHORTER, 1.0 + AWAITED, [], [flight]),
            (0, 1.1 + AWAITED, [], []),
        ):
            flight.again = again
            self.assertEqual((delivery.too_long([flight], now), delivery.take_spilt()), (goes, kept), now)

    def test_expired(self) -> None:
        """
        What was sent with something that arrived is lost a little later than it should have come, without another Ack;
        what nothing overtook is not. The next Ack's account has it.
        """
        for _ in range(4):
            self.delivery.sent(1, SIZE, SIZE, 1.0, asks=True)
        self.delivery.settle(self.ack((2, 2), sent_at=1.0), 1.0 + RTT)
        self.assertAlmostEqual(self.delivery.overdue_at, 1.0 + 1.125 * RTT)
        self.delivery.expire(1.0 + 1.12 * RTT)
        self.assertEqual(len(self.delivery.flights), 3)
        self.delivery.expire(1.0 + 1.13 * RTT)
        self.assertEqual([flight.first for flight in self.delivery.flights], [3])
        self.assertEqual(self.delivery.overdue_at, float("inf"))
        told = [self.delivery.settle(self.ack((2, last), sent_at=1.0), 1.03).lost for last in (3, 3)]
        self.assertEqual(told, [2 * SIZE, 0])

    def test_under_way(self) -> None:
        """Of what was sent at once, the last may come long after the first: that is not overdue."""
        self.delivery.sent(9, SIZE, 9 * SIZE, 1.0, asks=True)
        self.delivery.settle(self.ack((0, 3), sent_at=1.0), 1.0 + RTT)
        self.delivery.expire(1.0 + 2 * RTT)
        self.assertEqual(self.delivery.in_flight, 5 * SIZE)

    def test_late_end(self) -> None:
        """Of what was sent at once an end that is late may have read the first alone: the rest has as much longer."""
        for late in (0.0, 0.05):
            self.setUp()
            self.delivery.sent(9, SIZE, 9 * SIZE, 1.0, asks=True)
            self.delivery.sent(1, SIZE, SIZE, 1.001, asks=True)
            self.lateness.known = late
            self.delivery.settle(self.ack((0, 3), sent_at=1.0), 1.0 + RTT)
            self.delivery.settle(self.ack((0, 3), sent_at=1.0), 1.0 + 5 * RTT)
            self.assertEqual(self.delivery.in_flight, (6 if late else 1) * SIZE)
            self.delivery.settle(self.ack((0, 3), sent_at=1.0), 1.1 + 5 * RTT)
            self.assertEqual(self.delivery.in_flight, SIZE)

    def test_late_end_and_order(self) -> None:
        """What was given up though nothing overtook it, and comes after all, tells nothing of the path's order."""
        self.delivery.sent(9, SIZE, 9 * SIZE, 1.0, asks=True)
        self.delivery.flights[0].run = Run(b"", bytes(9 * SIZE), SIZE, 0, 9)
        self.delivery.settle(self.ack((0, 3), sent_at=1.0), 1.0 + RTT)
        self.assertEqual(self.delivery.settle(self.ack((0, 3), sent_at=1.0), 1.0 + 5 * RTT).lost, 5 * SIZE)
        self.delivery.sent(1, SIZE, SIZE, 1.0 + 4 * RTT, asks=True)
        found = self.delivery.settle(self.ack((0, 9), sent_at=1.0 + 4 * RTT), 1.0 + 5 * RTT).found
        self.assertEqual(found, 5 * SIZE)
        self.assertFalse(self.delivery.recovery.overtakes(1.0 + 5 * RTT))

    def test_pause_is_no_order(self) -> None:
        """Where an end was late as well, only what is left of the delay without that is the path's."""
        for late, learned in ((0.0, 0.8 * RTT), (0.3 * RTT, 0.5 * RTT)):
            self.setUp()
            self.delivery.sent(1, SIZE, SIZE, 1.0, asks=True)
            self.delivery.sent(1, SIZE, SIZE, 1.0, asks=True)
            self.delivery.flights[0].run = Run(b"", bytes(SIZE), SIZE, 0, 1)
            self.delivery.settle(self.ack((1, 1), sent_at=1.0), 1.0 + RTT)
            self.delivery.expire(1.0 + 1.5 * RTT)
            self.lateness.known = late
            self.delivery.settle(self.ack((0, 1), sent_at=1.0), 1.0 + 1.8 * RTT)
            self.assertAlmostEqual(self.delivery.recovery.tolerance(0.0, 1.1), 1.25 * learned)

    def test_order_learned(self) -> None:
        """What was given up so and comes all the same was not lost: the next is waited for as long as it took."""
        self.delivery.sent(1, SIZE, SIZE, 1.0, asks=True)
        self.delivery.sent(1, SIZE, SIZE, 1.0, asks=True)
        self.delivery.flights[0].run = Run(b"", bytes(SIZE), SIZE, 0, 1)
        self.delivery.settle(self.ack((1, 1), sent_at=1.0), 1.0 + RTT)
        self.delivery.expire(1.0 + 1.5 * RTT)
        found = self.delivery.settle(self.ack((0, 1), sent_at=1.0), 1.0 + 1.8 * RTT).found
        self.assertEqual(found, SIZE)
        self.assertAlmostEqual(self.delivery.recovery.tolerance(RTT, 1.1), 1.25 * 0.8 * RTT)

    def test_bounded(self) -> None:
        """So many runs are remembered and no more, whatever the peer does not acknowledge."""
        for _ in range(MAX_FLIGHTS + 10):
            self.delivery.sent(1, SIZE, SIZE, 1.0, asks=True)
        self.assertEqual((len(self.delivery.flights), self.delivery.in_flight), (MAX_FLIGHTS, MAX_FLIGHTS * SIZE))
