"""When a path owes an Ack."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.path import ACK_DELAY, ACK_EVERY, ACK_SPACING, Path
from morphnet.wire.batch import Endpoint


class AckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(0, 0, Endpoint("203.0.113.1", 8000), 1440, 0.0)

    def test_waits_for_more(self) -> None:
        """A lonely datagram is acknowledged a little later, many at once."""
        self.path.owe_ack(1, 1.0)
        self.assertEqual(self.path.ack_due, 1.0 + ACK_DELAY)
        self.path.owe_ack(ACK_EVERY, 1.001)
        self.assertEqual(self.path.ack_due, 1.001)

    def test_spacing(self) -> None:
        """However many come, and however near the peer is, Acks keep a distance, and none is put off again."""
        self.path.rtt.add(0.0001, now=0.0)
        self.path.owe_ack(ACK_EVERY, 1.0)
        self.path.make_ack(1.0)
        for step in range(1, 5):
            self.path.owe_ack(ACK_EVERY, 1.0 + step / 10_000)
            self.assertEqual(self.path.ack_due, 1.0 + ACK_SPACING)
        self.path.make_ack(1.0 + ACK_SPACING)
        self.path.owe_ack(1, 1.0021)
        self.assertEqual(self.path.ack_due, 1.0 + 2 * ACK_SPACING)
