"""Which of the coordinators that it knows a home is registered with."""

from __future__ import annotations

import random
from dataclasses import replace

from morphnet.rendezvous.home.coordinators import AGAIN, LIST_AGAIN, PATIENCE, TRIAL
from morphnet.rendezvous.home.registering import PING_AGAIN, PINGS
from morphnet.rendezvous.home.registry import KEEPALIVE
from morphnet.wire.messages.home import datagrams
from morphnet.wire.messages.home.calls import CALLS, MOST_FALLBACKS, Call, Fallbacks, Move, Moved, to_text
from tests.rendezvous.home.coordinated import CoordinatorsCase

NOTICED = KEEPALIVE + (PINGS + 1) * PING_AGAIN  # seconds until a home knows that its coordinator is silent


class CoordinatorsTests(CoordinatorsCase):
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
