"""When ports are guessed."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.peers.mesh import Mesh
from morphnet.roles.peers.port_guess import CLOSE_AFTER, GUESS_AFTER, MOST, OPEN_AFTER, PortGuess
from morphnet.traversal.courtesy import VOLLEYS, Courtesy
from morphnet.traversal.probing import Prober
from morphnet.traversal.volley import PORTS, Shot
from morphnet.wire.batch import Endpoint
from morphnet.wire.places import LINE, OBSERVED, VARYING, Place

THERE = Place(OBSERVED, "198.51.100.6", 4500)
VARIES = Place(VARYING, "198.51.100.6", 1)
DOORS = [100, 101, 102]


class FakeGuessSockets:
    """Notes who has it."""

    def __init__(self) -> None:
        self.users: list[str] = []

    def open(self, user: str, uplink: str, address: str) -> list[int]:
        """See GuessSockets."""
        assert (uplink, address) == ("eth0", "192.168.1.2")
        self.users.append(user)
        return DOORS

    def release(self, user: str) -> None:
        """See GuessSockets."""
        if user in self.users:
            self.users.remove(user)


class FakeProber:
    """Notes what is shot."""

    def __init__(self) -> None:
        self.shots: list[Shot] = []
        self.extras: list[int] = []

    def shoot(self, shots: list[Shot], extras: list[int], now: float) -> None:
        """See Prober."""
        self.shots, self.extras = shots, list(extras)


class PortGuessTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A mesh whose router is an ordinary one."""
        self.clock, self.fan, self.prober = Clock(), FakeGuessSockets(), FakeProber()
        self.varying: tuple[str, str] | None = None
        mesh: Any = SimpleNamespace(
            clock=self.clock,
            fan=self.fan,
            relays=SimpleNamespace(varying_door=lambda: self.varying),
            doors=SimpleNamespace(families={1: True, 2: False}),
            pump=SimpleNamespace(now=self.clock.seconds, carry_out=lambda effects: None),
            entropy=random.Random(1).randbytes,
            courtesy=Courtesy(),
        )
        self.port_guess = PortGuess(cast(Mesh, mesh), "bert")

    def begin(self, *places: Place) -> None:
        """A search, of which nothing has been shot yet."""
        self.prober.shots = []
        self.port_guess.begin(cast(Prober, self.prober), list(places))

    def test_ours_varies(self) -> None:
        """Behind a router that gives each destination another port, many sockets ask the peer's one address."""
        self.varying = "eth0", "192.168.1.2"
        self.begin(THERE)
        self.clock.advance(OPEN_AFTER - 0.1)
        self.assertEqual((self.fan.users, self.prober.shots), ([], []))
        self.clock.advance(0.2)
        self.assertEqual(self.prober.shots, [Shot(door, Endpoint(*THERE[1:])) for door in DOORS])
        self.assertEqual((self.prober.extras, self.fan.users), (DOORS, ["bert"]))
        self.clock.advance(CLOSE_AFTER)
        self.assertEqual(self.fan.users, [])

    def test_theirs_varies(self) -> None:
        """The other end asks many ports of that router, by one socket of IPv4."""
        self.begin(VARIES)
        self.clock.advance(GUESS_AFTER + 0.1)
        self.assertEqual(len(self.prober.shots), PORTS)
        self.assertEqual({(shot.door, shot.to.host) for shot in self.prober.shots}, {(2, VARIES.host)})

    def test_not_needed_or_hopeless(self) -> None:
        """When neither router does, or both do, nothing is guessed."""
        self.begin(THERE)
        self.clock.advance(10.0)
        self.varying = "eth0", "192.168.1.2"
        self.begin(THERE, VARIES)
        self.clock.advance(10.0)
        self.assertEqual((self.prober.shots, self.fan.users), ([], []))

    def test_found_meanwhile(self) -> None:
        """When the search is over before, nothing is opened; when it is over during, everything is let go."""
        self.varying = "eth0", "192.168.1.2"
        self.begin(THERE)
        self.port_guess.end()
        self.clock.advance(10.0)
        self.assertEqual(self.prober.shots, [])
        self.begin(THERE)
        self.clock.advance(OPEN_AFTER + 0.1)
        self.port_guess.end()
        self.assertEqual(self.fan.users, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """So many volleys and no more, until addresses change; and so many at one address, whatever changes."""
        fired = []
        for turn in range(4 * MOST):
            if turn in (2 * MOST, 3 * MOST):
                self.port_guess.renew()
            self.begin(VARIES)
            self.clock.advance(GUESS_AFTER + 0.1)
            fired.append(bool(self.prober.shots))
        self.assertEqual(fired, [True] * MOST + [False] * MOST + [True] * MOST + [False] * MOST)
        self.assertEqual(2 * MOST, VOLLEYS)

    def test_seen_elsewhere(self) -> None:
        """Where any relay has seen the peer somewhere else, nothing is guessed: one of them may lie."""
        here, elsewhere = Place(LINE, VARIES.host, 50000), Place(LINE, "192.0.2.66", 50000)
        shots = []
        for lines in ((here,), (elsewhere,), (here, elsewhere)):
            self.begin(VARIES, *lines)
            self.clock.advance(10.0)
            shots.append(len(self.prober.shots))
        self.varying = "eth0", "192.168.1.2"
        for lines in ((here,), (elsewhere,), (here, elsewhere)):
            self.begin(THERE, *lines)
            self.clock.advance(10.0)
            shots.append(len(self.prober.shots))
        self.assertEqual(shots, [PORTS, 0, 0, len(DOORS), 0, 0])
