"""When a path owes an Ack."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.ackdebt import DELAY, EVERY, SPACING, AckDebt


class AckDebtTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.debt = AckDebt()

    def test_waits_for_more(self) -> None:
        """A lonely datagram is acknowledged a little later, many at once."""
        self.debt.owe(1, None, 1.0)
        self.assertEqual(self.debt.due, 1.0 + DELAY)
        self.debt.owe(EVERY, None, 1.001)
        self.assertEqual(self.debt.due, 1.001)

    def test_near(self) -> None:
        """A peer is told within a part of its round trip; one that is very near, not before an answer can have gone."""
        self.debt.owe(1, 0.020, 1.0)
        self.assertEqual(self.debt.due, 1.005)
        self.debt.paid(2.0)
        self.debt.owe(1, 0.0005, 2.0)
        self.assertEqual(self.debt.due, 2.0 + SPACING)

    def test_spacing(self) -> None:
        """However many come, and however near the peer is, Acks keep a distance, and none is put off again."""
        self.debt.owe(EVERY, 0.0001, 1.0)
        self.debt.paid(1.0)
        for step in range(1, 5):
            self.debt.owe(EVERY, 0.0001, 1.0 + step / 10_000)
            self.assertEqual(self.debt.due, 1.0 + SPACING)
        self.debt.paid(1.0 + SPACING)
        self.debt.owe(1, 0.0001, 1.0 + SPACING)
        self.assertEqual(self.debt.due, 1.0 + 2 * SPACING)
