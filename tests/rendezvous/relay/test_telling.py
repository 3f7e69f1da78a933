"""Who is told of whom when many come and go at once."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphnet.rendezvous.relay.telling import AT_ONCE, PORTION, RATE, TURN
from morphnet.wire.messages.relay import DATAGRAMS, EVERYBODY, LIMIT, MOST_NEWS, Absent, Present, Register, address
from tests.rendezvous.relay.case import FakeLine, RegistryTestCase


class Reader(FakeLine):
    """A node that believes what it is told; a line that can be of before."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.peers: dict[str, Present] = {}
        self.order: list[str] = []
        self.sizes: list[int] = []

    def say(self, text: bytes) -> None:
        self.sizes.append(len(text))
        self.order.append(json.loads(text)["type"])
        super().say(text)
        for message in self.news():
            if isinstance(message, Present):
                self.peers[message.name] = message
            elif isinstance(message, Absent) and message.number == self.peers[message.name].number:
                del self.peers[message.name]

    def hand(self, envelope: bytes) -> bool:
        self.order.append("envelope")
        return super().hand(envelope)


class TellingTests(RegistryTestCase):
    def reader(self, name: str, *, batches: bool = True, instance: int = 1) -> Reader:
        """A node that watches everybody."""
        line = Reader(name)
        self.registry.register(line, Register(name, f"{instance:016x}", (EVERYBODY,), news=batches))
        return line

    def rest(self) -> None:
        """Until nothing waits."""
        while self.clock.getDelayedCalls():
            self.clock.advance(TURN)

    def test_few(self) -> None:
        """While little happens, each change is told at once, as to a node of before."""
        anna = self.reader("anna")
        self.reader("bert")
        self.assertEqual((set(anna.peers), anna.order), ({"bert"}, ["present"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_crowd(self) -> None:
        """All of 180 that watch all learn of all, by far fewer messages than there are pairs, and bounded ones."""
        lines = []
        for number in range(180):
            lines.append(self.reader(f"n{number}"))
            self.clock.advance(0.002)
        self.rest()
        self.assertEqual({len(line.peers) for line in lines}, {179})
        said = sum(line.texts for line in lines)
        self.assertLess(said, 180 * 179 / 10)
        self.assertLess(max(max(line.sizes) for line in lines), LIMIT)

    def test_before(self) -> None:
        """A node of before gets single messages, as ever."""
        lines = [self.reader(f"n{number}", batches=bool(number % 2)) for number in range(60)]
        self.rest()
        self.assertEqual({len(line.peers) for line in lines}, {59})
        self.assertEqual({kind for line in lines[::2] for kind in line.order}, {"present"})
        self.assertIn("news", {kind for line in lines[1::2] for kind in line.order})

    def test_bounded(self) -> None:
        """Names that come and go without end are worth so many messages a second to those who watch, no more."""
        watchers = [self.reader(f"w{number}") for number in range(200)]
        self.rest()
        before, began = sum(line.texts for line in watchers), self.clock.seconds()
        for turn in range(300):
            flapping = self.register(FakeLine("flapping"), instance=turn)
            self.clock.advance(0.0005)
            self.registry.gone(flapping)
            self.clock.advance(0.0005)
        passed = self.clock.seconds() - began
        self.assertLessEqual(sum(line.texts for line in watchers) - before, AT_ONCE + RATE * passed)
        self.rest()
        self.assertNotIn("flapping", set().union(*(line.peers for line in watchers)))

    def test_turns(self) -> None:
        """Each has its turn: of many who are to be told nobody is told much oftener than another."""
        watchers = [self.reader(f"w{number}") for number in range(180)]
        self.rest()
        for line in watchers:
            line.texts = 0
        for turn in range(40):
            self.register(FakeLine(f"n{turn}"))
            self.clock.advance(0.005)
            counts = {line.texts for line in watchers}
            self.assertLessEqual(max(counts) - min(counts), 3)

    def test_newest_only(self) -> None:
        """Who came and went while it waited was never there; who is another one now has gone first."""
        watchers = [self.reader(f"w{number}") for number in range(180)]
        self.rest()
        old = self.register(FakeLine("tv"), instance=1)
        self.rest()
        for line in watchers:
            line.order.clear()
        self.register(FakeLine("busy"))  # so that the others wait
        flap = self.register(FakeLine("flap"))
        self.registry.gone(flap)
        self.registry.gone(old)
        self.register(FakeLine("tv"), instance=2)
        self.rest()
        self.assertEqual({line.peers["tv"].instance for line in watchers}, {f"{2:08x}" * 2})
        waited = [line for line in watchers if line.order[0] == "news"]
        self.assertGreater(len(waited), 0)
        self.assertEqual([line.order for line in waited], [["news"]] * len(waited))
        self.assertNotIn("flap", set().union(*(line.peers for line in waited)))

    def test_known_before_it_speaks(self) -> None:
        """An envelope never comes before the receiver knows from whom."""
        watchers = [self.reader(f"w{number}") for number in range(180)]
        self.rest()
        for line in watchers:
            line.order.clear()
        late = self.register(FakeLine("late"))
        self.registry.forward(late, address(self.number(watchers[-1]), DATAGRAMS, b"sealed"))
        self.assertEqual(watchers[-1].order, ["present", "envelope"])
        self.rest()
        self.assertEqual(watchers[-1].order, ["present", "envelope"])

    def test_does_not_read(self) -> None:
        """Who does not read is told when it does again, of what is true then; the others do not wait for it."""
        deaf, other = self.reader("deaf"), self.reader("other")
        deaf.reads = False
        flap = self.register(FakeLine("flap"))
        self.register(FakeLine("late"))
        self.registry.gone(flap)
        self.clock.advance(TURN)
        self.assertEqual((set(deaf.peers), set(other.peers)), ({"other"}, {"deaf", "late"}))
        deaf.reads = True
        self.rest()
        self.assertEqual((set(deaf.peers), deaf.order[-1]), ({"other", "late"}, "present"))

    def test_gone(self) -> None:
        """Nothing is kept for who is gone."""
        lines = [self.reader(f"n{number}") for number in range(180)]
        for line in lines:
            self.registry.gone(line)
        self.clock.advance(TURN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_large(self) -> None:
        """However long the names, a message has room for what is in it."""
        for number in range(2 * MOST_NEWS):
            self.register(FakeLine(f"{number:0250d}"))
        late = self.reader("late")
        self.rest()
        self.assertEqual(len(late.peers), 2 * MOST_NEWS)
        self.assertLess(max(late.sizes), LIMIT)
        self.assertLessEqual(PORTION, MOST_NEWS)

    @given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3), st.integers(0, 3)), max_size=60))
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def test_same_in_the_end(self, steps: list[tuple[int, int, int]]) -> None:
        """However nodes come, go and are told in turns: in the end each knows all who are here, as they are."""
        self.setUp()
        crowd = [self.register(FakeLine(f"x{number}"), "n0", "n1", "n2", "n3") for number in range(100)]
        here: dict[int, Reader] = {}
        for who, what, wait in steps:
            if who in here and what:
                self.registry.gone(here.pop(who))
            if what < 3:
                if who in here:
                    self.registry.gone(here.pop(who))
                here[who] = self.reader(f"n{who}", batches=bool(who % 2), instance=(what << 32) + what)
            self.clock.advance(wait * TURN / 2)
        self.rest()
        every = {member.name: member.number for member in self.registry.members}
        self.assertEqual(len(every), len(crowd) + len(here))
        for line in here.values():
            known = {peer.name: peer.number for peer in line.peers.values()}
            self.assertEqual(known, {name: number for name, number in every.items() if name != line.name})
