"""What a search has tried, in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.peers.tried import MOST_TOLD, tried
from morphnet.traversal.checks import Pair
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import HOST, SERVER_REFLEXIVE

INF = float("inf")
HERE, THERE = Endpoint("192.168.2.2", 41193), Endpoint("198.51.100.6", 41193)


class TriedTests(SynchronousTestCase):
    def test_answers_first(self) -> None:
        """Address, kind and answer of each, what answered first; an address that two sockets tried is told once."""
        ways = [
            Pair(1, HERE, HOST, INF, 7),
            Pair(1, THERE, SERVER_REFLEXIVE, INF, 2, rtt=0.0421),
            Pair(2, THERE, SERVER_REFLEXIVE, 0, 7),
        ]
        self.assertEqual(
            tried(ways),
            "tried 198.51.100.6:41193 (observed): answered in 42.1 ms; 192.168.2.2:41193 (local): no answer",
        )

    def test_not_asked(self) -> None:
        """What was not asked yet was not tried."""
        self.assertEqual(tried([Pair(1, HERE, HOST, 0.0)]), "")

    def test_many(self) -> None:
        """At most MOST_TOLD addresses; of the rest the number."""
        told = tried(Pair(1, Endpoint("2001:db8::1", port), HOST, INF, 7) for port in range(1, MOST_TOLD + 4))
        self.assertEqual((told.count("no answer"), told.endswith("; and 3 more")), (MOST_TOLD, True))
