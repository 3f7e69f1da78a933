"""Who we are among peers."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.roles.peers.fakes import INNER, NETWORKS, surroundings


class OurselvesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.around = surroundings("anna", self.clock)
        self.ours = self.around.ourselves

    def test_calls(self) -> None:
        """Of two peers exactly one calls: the one whose name is lower."""
        other = surroundings("bert", self.clock).ourselves
        self.assertEqual((self.ours.calls("bert"), other.calls("anna")), (True, False))

    def test_foreign(self) -> None:
        """Of a peer's inner addresses those are used that are in our network and not our own."""
        told = (INNER["bert"], INNER["anna"], "192.0.2.1", "fd73::3")
        self.assertEqual(self.ours.foreign(told), [INNER["bert"]])

    def test_inside(self) -> None:
        """Our address, with the network that it is in."""
        self.assertEqual(self.ours.inside(), ([INNER["anna"]], list(NETWORKS)))

    def test_now(self) -> None:
        """There is one clock for timers and for the data plane."""
        self.clock.advance(2.5)
        self.assertEqual(self.around.now(), 2.5)
