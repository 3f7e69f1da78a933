"""Coordinators by their name, and a home that knows some of them; a clock that stands still."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError, Refused
from morphnet.rendezvous.home.coordinators import Coordinators, Known
from morphnet.rendezvous.home.registering import HomeKeys, Registering
from morphnet.rendezvous.home.registry import Registry
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.home.calls import Call, Move, Moved, Said, from_text, to_text
from morphnet.wire.messages.home.invitation import Invitation

HERE = Endpoint("192.0.2.7", 4000)


class World:
    """Coordinators by their name, each of which may be silent; what they say to each other takes 10 ms."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.keys = {name: X25519PrivateKey.generate() for name in "abc"}
        self.registries = {name: self.make(name) for name in "abc"}
        self.dead: set[str] = set()
        self.closed: set[str] = set()  # let nobody in
        self.moved: list[tuple[str, Moved]] = []
        self.came: list[str] = []
        self.ways: list[Road] = []
        self.loses: Callable[[bytes], bool] = lambda datagram: False

    async def admit(self, home: str, invite: str, name: str = "") -> None:
        if name in self.closed:
            raise Refused("full")

    def make(self, name: str) -> Registry:
        guests = Guests(partial(self.admit, name=name))
        registry = Registry(self.clock, os.urandom, self.keys[name], guests, 9)
        registry.send = lambda where, datagram: self.to_home(name, datagram)
        registry.moved = lambda home, said: self.moved.append((name, said))
        registry.came = lambda home, where: self.came.append(name)
        return registry

    def invitation(self, name: str) -> Invitation:
        key = to_text(self.keys[name].public_key().public_bytes_raw())
        return Invitation(f"{name}.example:3478", key, f"https://{name}.example", "")

    def to_home(self, name: str, datagram: bytes) -> None:
        for way in self.ways:
            if way.name == name and name not in self.dead and not self.loses(datagram):
                self.clock.callLater(0.01, way.registering.received, datagram)

    def to_coordinator(self, name: str, datagram: bytes) -> None:
        if name not in self.dead:
            self.clock.callLater(0.01, self.registries[name].received, HERE, datagram)


class Guests:
    def __init__(self, admit: Callable[[str, str], Awaitable[None]]) -> None:
        self.admit = admit


class Road:
    """A Way."""

    def __init__(self, world: World, name: str, registering: Registering) -> None:
        self.world, self.name, self.registering = world, name, registering
        world.ways.append(self)
        registering.send = lambda datagram: world.to_coordinator(name, datagram)

    def look_up(self) -> None:
        """The address is known."""

    def close(self) -> None:
        self.world.ways.remove(self)


class CoordinatorsCase(SynchronousTestCase):
    """A home of `world`, and what has become of it."""

    def setUp(self) -> None:
        self.world = World()
        self.identity = Ed25519PrivateKey.generate()
        self.key = to_text(self.identity.public_key().public_bytes_raw())
        self.saved: list[Known] = []
        self.full = False
        self.told: list[str] = []
        self.states: list[str] = []
        self.calls: list[Call] = []
        self.home = self.make("a")

    def make(self, *names: str) -> Coordinators:
        home = Coordinators(self.world.clock, [*map(self.world.invitation, names)], self.opened, self.save)
        home.told, home.changed = self.told.append, self.states.append
        return home

    def opened(self, to: Invitation) -> Road:
        clock = self.world.clock
        keys = HomeKeys(self.identity, from_text(to.key), to.token)
        registering = Registering(clock, os.urandom, lambda: int(clock.seconds() * 1000), keys, self.calls.append)
        return Road(self.world, to.coordinator[0], registering)

    def save(self, known: Known) -> None:
        if self.full:
            raise HostError("the disk is full")
        self.saved.append(known)

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds * 20)):
            self.world.clock.advance(0.05)
            for registry in self.world.registries.values():
                registry.expire()
        self.home.look_up()

    def start(self, *names: str) -> None:
        self.home = self.make(*names)
        self.home.start()
        self.wait(1.0)

    def at(self) -> str:
        """Names of the coordinators at which the home is registered, and reachable."""
        registries = self.world.registries.items()
        return "".join(name for name, each in registries if self.key in each and name not in self.world.dead)

    def say(self, name: str, said: Said) -> None:
        self.assertTrue(self.world.registries[name].tell(self.key, said))

    def move(self, to: str, by: str = "a") -> None:
        self.say(by, Move(1, self.world.invitation(to).line()))

    def names(self) -> str:
        return "".join(each.coordinator[0] for each in self.home.known)
