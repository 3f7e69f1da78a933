"""What an Ack tells of that which came in."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.received import Received, not_before


class ReceivedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.received = Received(3, 0.0)

    def come(self, number: int, sent_at: int, at: float) -> None:
        """One datagram of 100 bytes."""
        self.received.seen.add_run(number, 1)
        self.received.came(number, 1, 100, sent_at, at)

    def test_ack(self) -> None:
        """It tells the highest number, when that was sent and how long it has waited, and all that came."""
        for number, at in ((0, 1.0), (2, 1.5), (1, 1.75)):
            self.come(number, 1000 + number, at)
        ack = self.received.make_ack(2.0)
        self.assertEqual((ack.path, ack.largest, ack.echo, ack.delay), (3, 2, 1002, 500_000))
        self.assertEqual((ack.packets, ack.total, ack.received_at), (3, 300, 1_500_000))
        self.assertEqual(ack.ranges, ((0, 2),))

    def test_paid(self) -> None:
        """Who was told is owed nothing."""
        self.received.debt.owe(1, 0.04, 1.0)
        self.assertIsNotNone(self.received.debt.due)
        self.received.make_ack(1.0)
        self.assertIsNone(self.received.debt.due)

    def test_latest_sent(self) -> None:
        """The latest send time is kept, over the turn of its clock too; another process begins anew."""
        for number, sent_at in enumerate((0xFFFFFFF0, 0xFFFFFFE0, 5, 0xFFFFFFFF)):
            self.come(number, sent_at, 1.0)
        self.assertEqual(self.received.sent_seen, 5)
        self.received.restart()
        self.assertEqual((self.received.sent_seen, self.received.seen.highest), (None, -1))

    def test_not_before(self) -> None:
        """Times are compared modulo 2**32."""
        for one, other, expected in ((5, 5, True), (6, 5, True), (5, 6, False), (3, 0xFFFFFFFF, True)):
            self.assertEqual(not_before(one, other), expected)
