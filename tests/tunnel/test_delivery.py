"""What an Ack settles of that which is in flight."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.delivery import MAX_FLIGHTS, Delivery
from morphnet.tunnel.flight import Flight
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
        self.delivery, self.now = Delivery(rtt, MtuSearch(1440)), 1.0

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
            delivery = Delivery(RttEstimate(), mtu)
            for number in range(BLACK_HOLE):
                flight = delivery.sent(1, large, large, float(number), asks=True)
                assert flight is not None
                flight.run = Run(b"", bytes(large), large, 0, 1)
                lost.append(flight)
                mtu.lost(large, flight.at, float(number))
                if number + 1 < BLACK_HOLE:
                    self.assertEqual(delivery.too_long([*delivery.take_spilt(), flight]), [])
                    self.assertEqual(delivery.recovery.spilt, lost)
                if passes and number == BLACK_HOLE - 2:
                    mtu.delivered(large, number + 0.5)
            wanted = [] if passes else lost
            self.assertEqual(delivery.too_long([*delivery.take_spilt(), lost[-1]]), wanted)
            self.assertEqual(delivery.recovery.spilt, lost[-1:] if passes else [])
            lost[0].again = REPAIRS
            self.assertEqual(delivery.too_long(lost), wanted[1:])

    def test_expired(self) -> None:
        """What later ones have overtaken for good is forgotten without another Ack; what nothing overtook is not."""
        self.send(2)
        self.delivery.expire(10.0)
        self.assertEqual(len(self.delivery.flights), 1)
        self.delivery.acked = 5
        self.delivery.expire(10.0)
        self.assertEqual((len(self.delivery.flights), self.delivery.in_flight), (0, 0))

    def test_bounded(self) -> None:
        """So many runs are remembered and no more, whatever the peer does not acknowledge."""
        for _ in range(MAX_FLIGHTS + 10):
            self.delivery.sent(1, SIZE, SIZE, 1.0, asks=True)
        self.assertEqual((len(self.delivery.flights), self.delivery.in_flight), (MAX_FLIGHTS, MAX_FLIGHTS * SIZE))
