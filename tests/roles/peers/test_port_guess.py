"""When ports are guessed."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.peers.port_guess import CLOSE_AFTER, GUESS_AFTER, MOST, OPEN_AFTER, PortGuess, Varying
from morphnet.traversal.checks import Checker
from morphnet.traversal.courtesy import VOLLEYS, Courtesy
from morphnet.traversal.port_guess import PORTS, Shot
from morphnet.wire.batch import Endpoint
from morphnet.wire.candidates import LINE, SERVER_REFLEXIVE, SYMMETRIC, Candidate
from tests.roles.peers.fakes import FakePorts, surroundings

THERE = Candidate(SERVER_REFLEXIVE, "198.51.100.6", 4500)
VARIES = Candidate(SYMMETRIC, "198.51.100.6", 1)
BEHIND = Varying("eth0", "192.168.1.2")


class FakeChecker:
    """Notes what is shot."""

    def __init__(self) -> None:
        self.shots: list[Shot] = []
        self.extras: list[int] = []

    def shoot(self, shots: list[Shot], extras: list[int], now: float) -> None:
        """Keep only what was shot last."""
        self.shots, self.extras = shots, list(extras)


class PortGuessTests(SynchronousTestCase):
    def setUp(self) -> None:
        """The router is an ordinary one."""
        self.clock, self.ports, self.checker = Clock(), FakePorts({1: True, 2: False}), FakeChecker()
        self.woken: list[int] = []
        wake = lambda: self.woken.append(len(self.checker.shots))  # noqa: E731
        self.port_guess = PortGuess(surroundings("anna", self.clock), "bert", self.ports, Courtesy(), wake)

    def begin(self, *candidates: Candidate) -> None:
        """A search, of which nothing has been shot yet."""
        self.checker.shots = []
        self.port_guess.begin(cast(Checker, self.checker), list(candidates))

    def test_ours_varies(self) -> None:
        """Behind a router that gives each destination another port, many sockets ask the peer's one address."""
        self.ports.router = BEHIND
        self.begin(THERE)
        self.clock.advance(OPEN_AFTER - 0.1)
        self.assertEqual((self.ports.users, self.checker.shots), ([], []))
        self.clock.advance(0.2)
        self.assertEqual(self.checker.shots, [Shot(door, Endpoint(*THERE[1:])) for door in self.ports.many])
        self.assertEqual((self.checker.extras, self.ports.users), (self.ports.many, ["bert"]))
        self.assertEqual(self.woken, [len(self.ports.many)])
        self.clock.advance(CLOSE_AFTER)
        self.assertEqual(self.ports.users, [])

    def test_theirs_varies(self) -> None:
        """The other end asks many ports of that router, by one socket of IPv4."""
        self.begin(VARIES)
        self.clock.advance(GUESS_AFTER + 0.1)
        self.assertEqual(len(self.checker.shots), PORTS)
        self.assertEqual({(shot.door, shot.to.host) for shot in self.checker.shots}, {(2, VARIES.host)})

    def test_not_needed_or_hopeless(self) -> None:
        """When neither router does, or both do, nothing is guessed."""
        self.begin(THERE)
        self.clock.advance(10.0)
        self.ports.router = BEHIND
        self.begin(THERE, VARIES)
        self.clock.advance(10.0)
        self.assertEqual((self.checker.shots, self.ports.users), ([], []))

    def test_found_meanwhile(self) -> None:
        """When the search is over before, nothing is opened; when it is over during, everything is let go."""
        self.ports.router = BEHIND
        self.begin(THERE)
        self.port_guess.end()
        self.clock.advance(10.0)
        self.assertEqual(self.checker.shots, [])
        self.begin(THERE)
        self.clock.advance(OPEN_AFTER + 0.1)
        self.port_guess.end()
        self.assertEqual(self.ports.users, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """So many volleys and no more, until addresses change; and so many at one address, whatever changes."""
        fired = []
        for turn in range(4 * MOST):
            if turn in (2 * MOST, 3 * MOST):
                self.port_guess.renew()
            self.begin(VARIES)
            self.clock.advance(GUESS_AFTER + 0.1)
            fired.append(bool(self.checker.shots))
        self.assertEqual(fired, [True] * MOST + [False] * MOST + [True] * MOST + [False] * MOST)
        self.assertEqual(2 * MOST, VOLLEYS)

    def test_seen_elsewhere(self) -> None:
        """Where any relay has seen the peer somewhere else, nothing is guessed: one of them may lie."""
        here, elsewhere = Candidate(LINE, VARIES.host, 50000), Candidate(LINE, "192.0.2.66", 50000)
        shots = []
        for lines in ((here,), (elsewhere,), (here, elsewhere)):
            self.begin(VARIES, *lines)
            self.clock.advance(10.0)
            shots.append(len(self.checker.shots))
        self.ports.router = BEHIND
        for lines in ((here,), (elsewhere,), (here, elsewhere)):
            self.begin(THERE, *lines)
            self.clock.advance(10.0)
            shots.append(len(self.checker.shots))
        self.assertEqual(shots, [PORTS, 0, 0, len(self.ports.many), 0, 0])
