"""Which of the coordinators that it knows a home is registered with."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError, Refused
from morphnet.rendezvous.home.coordinators import AGAIN, LIST_AGAIN, PATIENCE, TRIAL, Coordinators, Known
from morphnet.rendezvous.home.registering import PING_AGAIN, PINGS, HomeKeys, Registering
from morphnet.rendezvous.home.registry import KEEPALIVE, Registry
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.home import datagrams
from morphnet.wire.messages.home.calls import (
    CALLS,
    MOST_FALLBACKS,
    Call,
    Fallbacks,
    Move,
    Moved,
    Said,
    from_text,
    to_text,
)
from morphnet.wire.messages.home.invitation import Invitation

NOTICED = KEEPALIVE + (PINGS + 1) * PING_AGAIN  # seconds until a home knows that its coordinator is silent
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


class CoordinatorsTests(SynchronousTestCase):
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

    # -- fallbacks -------------------------------------------------------------------------------------------------

    def test_fails_over_and_comes_back(self) -> None:
        """A coordinator that falls silent is replaced by the first fallback that answers, until it is back."""
        self.start("a", "b", "c")
        self.assertEqual((self.at(), self.states), ("a", ["registering", "registered"]))
        self.world.dead |= {"a", "b"}
        self.wait(NOTICED + 2 * PATIENCE + 1)
        self.assertEqual((self.at(), self.home.best), ("c", self.world.invitation("c")))
        self.assertIn("registered with the fallback c.example:3478", self.told)
        self.world.dead.discard("b")
        self.wait(40.0)
        self.assertEqual(self.at(), "b")
        self.world.dead.discard("a")
        self.wait(40.0)
        self.assertEqual((self.at(), len(self.world.ways)), ("a", 1))
        self.assertEqual((self.names(), self.saved), ("abc", []))

    def hour_without_the_first(self) -> None:
        """The first coordinator is dead for an hour; every minute a browser that has roamed calls by the second one."""
        self.world.dead.add("a")
        for _ in range(60):
            for _ in range(60 * 4):
                self.world.clock.advance(0.25)
                for name, registry in self.world.registries.items():
                    if name not in self.world.dead:
                        registry.expire()
            if self.key in self.world.registries["b"]:
                self.say("b", Call("ab" * 16, "192.0.2.9", "offer"))
        self.wait(1.0)
        self.world.registries["a"].expire()
        self.world.dead.discard("a")

    def test_dead_for_an_hour(self) -> None:
        """C7: from the first minute on every browser is heard by the fallback; then the first one has the home back."""
        self.start("a", "b")
        self.hour_without_the_first()
        self.assertEqual([len(self.calls), self.at()], [60, "b"])
        self.wait(60.0)
        self.assertEqual((self.at(), self.names(), self.saved), ("a", "ab", []))

    def test_alone_for_an_hour(self) -> None:
        """A home without any fallback asks on, and is registered within a minute when its coordinator is back."""
        self.start("a")
        self.hour_without_the_first()
        self.assertEqual((self.calls, self.at()), ([], ""))
        self.wait(60.0)
        self.assertEqual(self.at(), "a")

    def test_at_start(self) -> None:
        """A home that starts while its first coordinator is dead is registered within seconds."""
        self.world.dead.add("a")
        self.start("a", "b")
        self.wait(PATIENCE + 0.5)
        self.assertEqual(self.at(), "b")

    def test_rehearsal(self) -> None:
        """A fallback has to take the home once, while its invitation is good; one that does not is told, and again."""
        self.world.closed.add("c")
        self.start("a", "b", "c")
        self.assertEqual((self.at(), self.world.came), ("a", ["a", "b"]))
        self.assertEqual(self.told, ["the fallback c.example:3478 is of no use now: refused: full"])
        self.world.closed.clear()
        self.wait(30.0)
        self.assertEqual(self.world.came, ["a", "b"])
        self.world.clock.advance(AGAIN)
        for _ in range(6):
            self.wait(10.0)
        self.assertIn("c", self.world.came)
        self.assertEqual(self.at(), "a")

    def test_named(self) -> None:
        """Fallbacks that the coordinator names are kept, and replace those that it named before."""
        self.start("a")
        for names in ("bc", "b", ""):
            self.say("a", Fallbacks(tuple(self.world.invitation(name).line() for name in names)))
            self.wait(LIST_AGAIN)
            self.assertEqual((self.names(), len(self.saved[-1])), ("a" + names, 1 + len(names)))
        saved = len(self.saved)
        self.say("a", Fallbacks(("morphnethome1:e30",)))
        self.wait(1.0)
        self.assertEqual((self.names(), len(self.saved)), ("a", saved))

    def name(self, *names: str) -> None:
        """The first coordinator names these."""
        lines = (replace(self.world.invitation("b"), coordinator=f"{name}:1").line() for name in names)
        self.world.ways[0].registering.sent_on(Fallbacks(tuple(lines)))

    def test_too_many_lists(self) -> None:
        """A first coordinator that names others all the time costs few sockets and files; its last list counts."""
        self.world.dead.add("x")
        self.start("a")
        for number in range(100):
            self.name(*(f"x{number}.{each}.example" for each in range(MOST_FALLBACKS)))
            self.wait(0.05)
            self.assertLessEqual(len(self.home.ways), 1 + MOST_FALLBACKS)
        self.assertEqual((len(self.saved), self.home.known[1].coordinator), (1, "x0.0.example:1"))
        self.name(*(f"xl{each}.example" for each in range(MOST_FALLBACKS)))
        self.wait(LIST_AGAIN)
        self.assertLessEqual(len(self.home.ways), 1 + MOST_FALLBACKS)
        self.assertEqual([each.coordinator for each in self.home.known[1:]], [f"xl{at}.example:1" for at in range(8)])
        self.assertEqual((len(self.saved), len(self.home._rehearse_at)), (2, MOST_FALLBACKS))

    def test_list_of_another(self) -> None:
        """A list that waits is forgotten when the home is moved away from who named it, or stops."""
        self.world.dead.add("x")
        self.start("a")
        self.name("x.example")
        self.name("y.example")
        self.move("b")
        self.wait(LIST_AGAIN + 1)
        self.assertEqual(self.names(), "bax")
        self.full = True
        for _ in "12":
            self.say("b", Fallbacks((self.world.invitation("c").line(),)))
            self.wait(1.0)
        self.assertEqual((self.names(), self.told.count("the disk is full")), ("bax", 1))
        self.home.stop()
        self.wait(1.0)
        self.assertEqual([each for each in self.world.clock.getDelayedCalls() if "_take" in str(each)], [])

    # -- moves -----------------------------------------------------------------------------------------------------

    def test_move(self) -> None:
        """It is with the other one before it leaves the first; it has told, and will begin there."""
        self.start("a")
        self.move("b")
        self.wait(1.0)
        self.wait(0.1)
        self.assertEqual((self.at(), self.names()), ("b", "ba"))
        self.assertEqual((self.world.moved, self.home.best), ([("a", Moved(1))], self.world.invitation("b")))
        self.assertEqual(self.saved, [(self.world.invitation("b"), self.world.invitation("a"))])
        self.assertEqual(self.states, ["registering", "registered"])

    def test_move_lossy(self) -> None:
        """Whichever datagrams are lost, what came of the move is told, once."""
        for seed in range(8):
            self.setUp()
            self.start("a")
            chance = random.Random(seed)
            self.world.loses = lambda datagram, chance=chance: chance.random() < 0.3  # type: ignore[misc]
            self.move("b")
            self.wait(19.0)
            self.assertEqual((self.names(), self.world.moved), ("ba", [("a", Moved(1))]), seed)

    def test_failed_move(self) -> None:
        """One that is refused, silent, unknown or cannot be kept changes nothing, and is told."""
        self.start("a")
        self.world.closed.add("b")
        self.world.dead.add("c")
        wrong = replace(self.world.invitation("b"), key=to_text(b"k" * 32))
        lines = [*(self.world.invitation(name).line() for name in "bc"), wrong.line(), "morphnethome1:e30"]
        for line in lines:
            self.say("a", Move(1, line))
            self.wait(TRIAL + 1)
        self.full = True
        self.world.closed.clear()
        self.move("b")
        self.wait(1.0)
        self.assertEqual((self.at(), self.names(), self.saved), ("a", "a", []))
        troubles = [said.trouble for _, said in self.world.moved]
        late = f"no answer within {TRIAL:g} s"
        none = "that is no invitation: `morphnet coordinator invite` prints one"
        self.assertEqual(troubles, ["refused: full", late, late, none, "the disk is full"])
        self.assertEqual((self.home.counts["moves_failed"], self.home.counters()["home_registrations"]), (5, 2))
        self.assertEqual(len(self.world.ways), 1)

    def test_too_many_moves(self) -> None:
        """One at a time; and who moves a home on and on while browsers are here does not fill it with sockets."""
        self.start("a")
        self.world.dead.add("x")
        for number in range(20):
            line = replace(self.world.invitation("b"), coordinator=f"x{number}.example:1").line()
            self.world.ways[0].registering.sent_on(Move(number, line))
        self.wait(1.0)
        self.assertEqual((len(self.home.ways), self.home.counts["moves_failed"]), (2, 19))
        self.wait(TRIAL)
        self.assertEqual((len(self.home.ways), self.home.counts["moves_failed"]), (1, 20))
        self.home.in_use = lambda: True
        for number in range(30):
            line = replace(self.world.invitation("b"), coordinator=f"b{number}.example:1").line()
            first = self.home._ways[self.home.known[0].coordinator, self.home.known[0].key]
            first.registering.sent_on(Move(number, line))
            self.wait(2.0)
            self.assertEqual(self.home.known[0].coordinator, f"b{number}.example:1")
        self.wait(30.0)
        self.assertLessEqual(len(self.home.ways), 1 + MOST_FALLBACKS)

    def test_presumed(self) -> None:
        """Nobody but the first coordinator moves a home, or names fallbacks: a fallback does not, while it is used."""
        self.start("a", "b")
        self.world.dead.add("a")
        self.wait(NOTICED + PATIENCE + 1)
        self.assertEqual(self.at(), "b")
        self.move("c", by="b")
        self.say("b", Fallbacks((self.world.invitation("c").line(),)))
        self.wait(1.0)
        self.assertEqual((self.names(), self.saved), ("ab", []))
        self.assertEqual(self.world.moved, [("b", Moved(1, "only its first coordinator moves this home"))])

    def test_forged(self) -> None:
        """A MOVE that was sealed with other keys, or comes a second time, moves nothing."""
        self.start("a")
        way, kept = self.world.ways[0], list[bytes]()

        def keep(datagram: bytes) -> bool:
            kept.append(datagram)
            return False

        self.world.loses = keep
        self.move("b")
        self.wait(1.0)
        moved = self.home.known
        self.world.loses = lambda datagram: False
        self.say("b", Move(2, self.world.invitation("a").line()))
        self.wait(1.0)
        self.assertEqual(self.names()[0], "a")
        body = CALLS.encode(Move(3, self.world.invitation("b").line()))
        index = self.world.registries["a"].homes()[0].index
        forged = datagrams.seal(b"k" * 32, index, 1 << 20, b"\x03" + bytes(4) + b"\x00\x01" + body)
        for datagram in (*kept, forged, body, b"\x01\x09" + body):
            for each in (way, *self.world.ways):
                each.registering.received(datagram)
        self.wait(TRIAL)
        self.assertEqual(self.names(), "ab")
        self.assertNotEqual(moved, self.home.known)

    def test_browsers(self) -> None:
        """As long as a browser is here that may come back by the old coordinator, the home stays there as well."""
        self.start("a")
        self.home.in_use = lambda: True
        self.move("b")
        self.wait(60.0)
        self.assertEqual((self.at(), self.names()), ("ab", "ba"))
        self.home.in_use = lambda: False
        self.wait(0.1)
        self.wait(0.1)
        self.assertEqual(self.at(), "b")

    def test_stop(self) -> None:
        """It says goodbye everywhere, and nothing goes on."""
        self.start("a", "b")
        self.move("c")
        self.home.stop()
        self.world.clock.advance(0.05)
        self.assertEqual((self.at(), self.world.ways), ("", []))
        for registry in self.world.registries.values():
            registry.end()
        self.world.clock.advance(1.0)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])
