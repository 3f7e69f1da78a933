"""A path through a relay and a better one by TCP: that stays in use while it is full, and while the peer is late."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.carrier import STREAM, Carrier
from morphnet.tunnel.timers import LINGER
from tests.tunnel.test_ranks import RELAY, WAN, peers


class StreamTests(SynchronousTestCase):
    """The better way is a stream: TCP mends what it loses, and a peer that is late says nothing about it."""

    def setUp(self) -> None:
        self.scene = peers()
        for tunnel in (self.scene.client, self.scene.server):
            tunnel.carriers[WAN] = Carrier(STREAM, "tcp")
        self.scene.go_direct()
        self.scene.run(LINGER + 3)
        self.since = self.scene.now
        self.scene.both(3000, 0.005)

    def pauses(self, count: int, seconds: float, every: float) -> None:
        """Nothing passes for so long, again and again."""
        for _ in range(count):
            self.scene.run(every - seconds)
            self.scene.cut(WAN)
            self.scene.run(seconds)
            self.scene.cut(WAN, heal=True)

    def test_short_pauses(self) -> None:
        """It is not given up for a pause in which TCP would not yet have sent again: the relay carries nothing."""
        self.pauses(5, 0.4, 2.0)
        self.assertEqual([str(change.now) for _, change in self.scene.changes(since=self.since)], [])
        self.assertEqual(self.scene.sent_by(RELAY, self.since, traffic=True), [])

    def test_works_at_once(self) -> None:
        """However often it fell silent: once it answers it is used, and need not show first that it loses little."""
        self.pauses(3, 1.0, 3.0)
        self.scene.run(3.0)
        states = [str(change.now) for _, change in self.scene.changes(since=self.since)]
        self.assertEqual((states.count("silent"), states.count("active"), len(states)), (6, 6, 12))
