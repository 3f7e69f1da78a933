"""Where a peer may be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.peers.whereabouts import Whereabouts
from morphnet.wire.candidates import HOST, MOST_CANDIDATES, SERVER_REFLEXIVE, Candidate
from morphnet.wire.messages.relay import Present
from tests.roles.peers.fakes import FakeLine

HOME = Candidate(HOST, "192.168.1.2", 9)


class WhereaboutsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.where, self.near, self.far = Whereabouts(), FakeLine(7), FakeLine(8)

    def seen(self, relay: FakeLine, *candidates: str, number: int = 5) -> bool:
        """A relay has it."""
        return self.where.seen(relay, Present(number, "bert", "1" * 16, candidates))

    def test_order(self) -> None:
        """What the peer said itself is first; nothing is there twice."""
        self.seen(self.near, "observed 198.51.100.6 9")
        self.seen(self.far, "observed 198.51.100.6 9", "observed 198.51.100.7 9")
        self.where.told([HOME])
        observed = [Candidate(SERVER_REFLEXIVE, f"198.51.100.{host}", 9) for host in (6, 7)]
        self.assertEqual(self.where.all(), [HOME, *observed])

    def test_relays_believed_in_what_they_see(self) -> None:
        """A relay cannot have seen a device's own address, nor, being outside, one in a private network."""
        self.seen(self.near, "local 198.51.100.66 7", "stream 198.51.100.66 7", "observed 192.168.1.1 53")
        self.assertEqual(self.where.all(), [])

    def test_gone(self) -> None:
        """A relay takes away what it told, and no more."""
        self.where.introduced(["local 192.168.1.2 9", "nonsense", "local 0.0.0.0 9"])
        for relay, host in ((self.near, 6), (self.far, 7)):
            self.seen(relay, f"observed 198.51.100.{host} 9")
        self.where.gone(self.near)
        self.where.gone(self.near)
        self.assertEqual(self.where.all(), [HOME, Candidate(SERVER_REFLEXIVE, "198.51.100.7", 9)])

    def test_fresh(self) -> None:
        """A peer whose line to that relay is another one than before is there anew."""
        told = [self.seen(self.near, number=number) for number in (5, 5, 6)]
        self.where.gone(self.near)
        self.assertEqual([*told, self.seen(self.near, number=6)], [True, False, True, True])

    def test_bounded(self) -> None:
        """However much is told, so many candidates and no more."""
        self.where.told([Candidate(HOST, f"198.51.100.{host}", 9) for host in range(100)])
        self.assertEqual(len(self.where.all()), MOST_CANDIDATES)
