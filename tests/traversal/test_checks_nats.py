"""Which pairs of NATs a search for direct ways gets through."""

from __future__ import annotations

from itertools import combinations_with_replacement

from twisted.trial.unittest import SynchronousTestCase

from morphnet.traversal.checks import SPACING, Checker
from morphnet.tunnel.events import WayFound
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import HOST, PEER_REFLEXIVE, SERVER_REFLEXIVE, Candidate
from morphnet.wire.probes import EXPORT_LENGTH, split_probe_export
from tests.nats import DELAY, DOOR, Host, Kind, Street

EXPORTED = bytes(range(EXPORT_LENGTH))
CALLER, CALLED = split_probe_export(EXPORTED, caller=True), split_probe_export(EXPORTED, caller=False)
RELAY = Endpoint("192.0.2.1", 3478)
NEVER = [(Kind.EASY, Kind.HARD), (Kind.HARD, Kind.HARD), *((each, Kind.BLOCKED) for each in Kind)]


class Pair:
    """Two hosts that search for each other, told of their addresses as relays would tell them."""

    def __init__(self, one: Kind, other: Kind, *, loss: float = 0.0, seed: int = 1) -> None:
        self.street = Street(seed, loss)
        self.hosts = [self._place(one, 1), self._place(other, 2)]
        entropy = self.street.random.randbytes
        self.checkers = [Checker("phone", CALLER, entropy), Checker("laptop", CALLED, entropy)]
        for host, checker in zip(self.hosts, self.checkers, strict=True):
            host.extensions[CALLER.id] = checker

    def _place(self, kind: Kind, number: int) -> Host:
        if kind is Kind.NONE:
            return self.street.host(f"198.51.100.{number}")
        return self.street.host(f"10.0.{number}.2", self.street.house(kind, f"203.0.113.{number}"))

    def candidates(self, host: Host) -> list[Candidate]:
        """Where `host` says that it is."""
        found = [Candidate(HOST, host.address.host, host.address.port)]
        seen = host.nat.outward(host.address, RELAY) if host.nat else None
        return [*found, Candidate(SERVER_REFLEXIVE, seen.host, seen.port)] if seen else found

    def search(self, seconds: float = 4.0, late: float = 0.03) -> None:
        """Both search, the second a little late."""
        for number, checker in enumerate(self.checkers):
            checker.use({DOOR: False}, self.candidates(self.hosts[1 - number]), self.street.now)
        self.checkers[0].search(self.street.now)
        self.street.run(late)
        self.checkers[1].search(self.street.now)
        self.street.run(seconds - late)

    def found(self) -> list[bool]:
        """Which of them have a way."""
        return [any(isinstance(event, WayFound) for _, event in host.events) for host in self.hosts]


class NatTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Both ends find a way through every pair of NATs that lets one through, and through no other."""
        for one, other in combinations_with_replacement(Kind, 2):
            for kinds in ((one, other), (other, one)):
                pair = Pair(*kinds)
                pair.search()
                possible = (one, other) not in NEVER and (other, one) not in NEVER
                self.assertEqual(pair.found(), [possible] * 2, kinds)
                self.assertEqual([checker.best() is not None for checker in pair.checkers], [possible] * 2, kinds)

    def test_one_begins(self) -> None:
        """The same when one end begins long before the other, and has its answer before that one searches."""
        for one, other in combinations_with_replacement(Kind, 2):
            for kinds in ((one, other), (other, one)):
                for late in (0.0, 0.5, 1.5):
                    pair = Pair(*kinds)
                    pair.search(8.0, late)
                    possible = (one, other) not in NEVER and (other, one) not in NEVER
                    self.assertEqual(pair.found(), [possible] * 2, (kinds, late))

    def test_lossy(self) -> None:
        """The same with every fifth datagram lost."""
        for one, other in combinations_with_replacement(Kind, 2):
            if (one, other) in NEVER:
                continue
            for seed in range(5):
                pair = Pair(one, other, loss=0.2, seed=seed)
                pair.search()
                self.assertEqual(pair.found(), [True, True], (one, other, seed))

    def test_soon(self) -> None:
        """Through two common NATs a way is found within two round trips of both ends' first question."""
        pair = Pair(Kind.EASY, Kind.EASY)
        began = pair.street.now + 0.03
        pair.search()
        for host in pair.hosts:
            self.assertLess(host.events[0][0] - began, 4 * DELAY + 2 * SPACING)

    def test_seen_as(self) -> None:
        """Each end learns what the other sees it as."""
        pair = Pair(Kind.EASY, Kind.NONE)
        pair.search()
        best = pair.checkers[0].best()
        assert best is not None and best.seen_as is not None
        self.assertEqual((best.remote, best.seen_as.host), (Endpoint("198.51.100.2", 4500), "203.0.113.1"))

    def test_witnessed(self) -> None:
        """Behind a NAT that maps anew for each destination, a peer is found where nobody said that it is."""
        pair = Pair(Kind.HARD, Kind.ONE2ONE)
        pair.search()
        best = pair.checkers[1].best()
        assert best is not None
        self.assertEqual((best.kind, best.remote.host), (PEER_REFLEXIVE, "203.0.113.1"))

    def test_same_house(self) -> None:
        """Two in one house take the short way."""
        pair = Pair(Kind.EASY, Kind.EASY)
        pair.hosts[1].nat = pair.hosts[0].nat
        pair.search()
        for checker in pair.checkers:
            best = checker.best()
            assert best is not None
            self.assertEqual(best.kind, HOST)
