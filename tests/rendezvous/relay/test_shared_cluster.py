"""Relays that share their members, joined in memory."""

from __future__ import annotations

import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Refused
from morphnet.rendezvous.relay.registry import PROVE_WITHIN, Registry
from morphnet.rendezvous.relay.remote import LAPSE
from morphnet.rendezvous.relay.shared_cluster import BEAT, PORTION, SharedCluster
from morphnet.rendezvous.rivals import FIRST
from morphnet.wire.echo import make_request
from morphnet.wire.messages import cluster as wire
from morphnet.wire.messages.relay import (
    DATAGRAMS,
    EVERYBODY,
    Absent,
    Present,
    Register,
    RelayMessage,
    Undelivered,
    address,
    number_of,
)
from tests.fakes_exchange import FakeExchange, Hub
from tests.rendezvous.relay.case import TERMS, FakeLine


class Relay:
    """One registry with its view of the others."""

    def __init__(self, clock: Clock, seed: int) -> None:
        chance = random.Random(seed)
        self.lists: list[tuple[str, str]] = []
        self.parts: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.cluster = SharedCluster(
            clock,
            chance.randbytes,
            ("home", "other"),
            lambda *told: self.lists.append(told),
            self.said.append,
            lambda *told: self.parts.append(told),
        )
        self.registry = Registry(clock, chance.randbytes, TERMS, self.cluster)

    def come(self, name: str, *watch: str, network: str = "home", instance: int = 1) -> FakeLine:
        """A node that is in, and has forgotten what it was told."""
        line = FakeLine(name, network)
        self.registry.register(line, Register(name, f"{instance:016x}", watch))
        line.told.clear()
        return line

    def number(self, line: FakeLine) -> int:
        """Of a member."""
        return next(each.number for each in self.registry.members if each.line is line)

    def counter(self, name: str) -> int:
        """Of the cluster."""
        return self.cluster.counters().get(name, 0)


class ClusterTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.hub = Hub(self.clock)
        self.relays = [Relay(self.clock, seed) for seed in (1, 2, 3)]
        self.exchanges: list[FakeExchange] = [self.hub.join(relay.cluster) for relay in self.relays]
        self.a, self.b, self.c = self.relays
        self.settle()

    def settle(self) -> None:
        """All that was said is heard."""
        self.hub.settle()
        self.clock.advance(0.0)
        self.hub.settle()

    def wait(self, seconds: float) -> None:
        """Let time pass, in which messages are heard."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)
            self.settle()

    def news(self, line: FakeLine) -> list[RelayMessage]:
        """What it has been told since the last look."""
        self.settle()
        return line.news()

    def names(self, line: FakeLine) -> list[tuple[str, str]]:
        """The same in short."""
        told = (each for each in self.news(line) if isinstance(each, Present | Absent))
        return [(each.type, each.name) for each in told]

    def send(self, relay: Relay, line: FakeLine, to: int) -> None:
        """One envelope, and it arrives."""
        relay.registry.forward(line, address(to, DATAGRAMS, b"sealed"))
        self.settle()


class MeetingTests(ClusterTestCase):
    def test_present(self) -> None:
        """Who watches a name hears when it comes to another relay, is mapped there, and goes."""
        anna = self.a.come("anna", "bert")
        bert = self.b.come("bert", "anna")
        number, line = self.b.number(bert), "line 203.0.113.9 50000"
        self.assertEqual(self.news(anna), [Present(number, "bert", f"{1:016x}", (line,))])
        (member,) = self.b.registry.members
        self.b.registry.echo.answer(make_request(member.echo_id, member.echo_key, bytes(8), 0), "198.51.100.7", 4500)
        self.assertEqual(self.news(anna), [Present(number, "bert", f"{1:016x}", (line, "observed 198.51.100.7 4500"))])
        self.b.registry.gone(bert)
        self.assertEqual(self.news(anna), [Absent(number, "bert")])

    def test_there_already(self) -> None:
        """Who comes later is told of those at other relays, by name and all of them, once each, its network's only."""
        self.b.come("bert")
        self.c.come("carl")
        self.c.come("dora", network="other")
        self.settle()
        for watch in (("bert", "carl", "dora"), (EVERYBODY, "bert")):
            line = FakeLine("anna")
            self.a.registry.register(line, Register("anna", f"{1:016x}", watch))
            self.assertEqual(sorted(self.names(line)), [("present", "bert"), ("present", "carl")])

    def test_envelopes(self) -> None:
        """Envelopes pass in both directions, each with the number by which its sender is known, and are accounted."""
        anna, bert = self.a.come("anna", "bert"), self.b.come("bert", "anna")
        self.settle()
        self.send(self.a, anna, self.b.number(bert))
        self.send(self.b, bert, self.a.number(anna))
        self.assertEqual([number_of(each) for each in bert.handed], [self.a.number(anna)])
        self.assertEqual([number_of(each) for each in anna.handed], [self.b.number(bert)])
        size = len(bert.handed[0])
        self.assertEqual([(each.sent, each.received) for each in self.a.registry.members], [(size, size)])
        self.assertEqual(self.a.counter("to_neighbours"), 1)
        self.assertEqual(self.a.registry.counts["from_neighbours"], 1)

    def test_not_handed_over(self) -> None:
        """Nothing passes between networks, nor to who does not watch the sender, nor from a number without a member."""
        anna, bert = self.a.come("anna", EVERYBODY), self.b.come("bert")
        dora = self.b.come("dora", EVERYBODY, network="other")
        self.settle()
        self.send(self.a, anna, self.b.number(bert))
        self.send(self.a, anna, self.b.number(dora))
        self.assertIn(Undelivered(self.b.number(dora), True), self.news(anna))
        self.b.cluster.heard(wire.parcel(77, address(self.b.number(bert), DATAGRAMS, b"sealed")))
        forged = wire.parcel(self.a.number(anna), address(self.b.number(dora), DATAGRAMS, b"sealed"))
        self.b.cluster.heard(forged)
        self.assertEqual((bert.handed, dora.handed, self.b.counter("neighbours_strangers")), ([], [], 1))
        self.assertEqual(self.b.registry.counts["dropped_nobody"], 2)

    def test_full(self) -> None:
        """What the exchange does not take is dropped and counted."""
        anna, bert = self.a.come("anna", "bert"), self.b.come("bert", "anna")
        self.settle()
        self.hub.full = True
        self.send(self.a, anna, self.b.number(bert))
        self.assertEqual((bert.handed, self.a.counter("neighbours_dropped")), ([], 1))
        self.assertEqual(self.a.registry.counts["dropped_full"], 1)

    def test_numbers(self) -> None:
        """The numbers of a relay's members are in its block, and no two relays have one."""
        numbers = [relay.number(relay.come("anna" * turn)) for turn, relay in enumerate(self.relays, 1)]
        self.assertEqual(len({wire.block_of(number) for number in numbers}), 3)
        self.assertEqual({wire.block_of(number) for number in numbers}, set(self.hub.claims))

    def test_malformed(self) -> None:
        """What is no message is counted, and no more."""
        for message in (b"", b"\0", b"\0abcd", b"{}", b"[1]", wire.parcel(1, b"abc")):
            self.a.cluster.heard(message)
        self.assertEqual(self.a.counter("neighbours_malformed"), 6)


class NameTests(ClusterTestCase):
    def test_other_instance(self) -> None:
        """Another instance of a name that is elsewhere is refused, and that one must show that it lives."""
        anna = self.a.come("anna")
        self.settle()
        with self.assertRaises(Refused) as caught:
            self.b.come("anna", instance=2)
        self.settle()
        self.assertEqual(caught.exception.reason, FIRST)
        self.assertEqual((anna.proofs, anna.ended, self.b.registry.members), ([PROVE_WITHIN], "", []))
        self.a.registry.gone(anna)
        self.settle()
        self.b.come("anna", instance=2)

    def test_at_once(self) -> None:
        """Of two instances that came before either relay had heard of the other, one stays."""
        lines = [relay.come("anna", instance=turn) for turn, relay in enumerate((self.a, self.b))]
        numbers = [self.a.number(lines[0]), self.b.number(lines[1])]
        carl = self.c.come("carl", "anna")
        self.settle()
        stays = numbers.index(min(numbers))
        self.assertEqual(lines[stays].ended, "")
        self.assertEqual(lines[1 - stays].ended, "a node of that name is at another relay")
        told = [each for each in self.news(carl) if isinstance(each, Present)]
        self.assertEqual(told[-1].number, min(numbers))

    def test_same_instance(self) -> None:
        """A node may be at two relays: those at each reach it there, others by the line that it made last."""
        old = self.a.come("anna", EVERYBODY)
        carl, dora = self.c.come("carl", EVERYBODY), self.a.come("dora", EVERYBODY)
        self.settle()
        for line in (old, carl, dora):
            line.told.clear()
        new = self.b.come("anna", EVERYBODY)
        second = self.b.number(new)
        self.assertEqual([each.number for each in self.news(carl) if isinstance(each, Present)], [second])
        self.assertEqual((self.news(dora), old.proofs, old.ended), ([], [PROVE_WITHIN], ""))
        self.assertEqual((self.names(old), self.names(new)), ([], []))
        self.send(self.a, old, self.c.number(carl))
        self.send(self.b, new, self.c.number(carl))
        self.assertEqual([number_of(each) for each in carl.handed], [second, second])
        self.a.registry.gone(old)
        self.assertEqual([type(each) for each in self.news(dora)], [Present])
        self.assertEqual(self.news(carl), [])
        self.b.registry.gone(new)
        self.assertEqual((self.names(carl), self.names(dora)), ([("absent", "anna")], [("absent", "anna")]))


class LifeTests(ClusterTestCase):
    def test_killed(self) -> None:
        """The members of a relay that is killed are gone within ten seconds."""
        anna = self.a.come("anna", "bert")
        self.b.come("bert")
        self.assertEqual(self.names(anna), [("present", "bert")])
        self.hub.exchanges.remove(self.exchanges[1])
        self.b.cluster._rest()
        self.wait(LAPSE - BEAT)
        self.assertEqual(self.names(anna), [])
        self.wait(2 * BEAT)
        self.assertEqual((self.names(anna), self.a.counter("neighbours")), ([("absent", "bert")], 1))

    def test_stopped(self) -> None:
        """Those of one that says goodbye are gone at once."""
        anna = self.a.come("anna", "bert")
        self.b.come("bert")
        self.settle()
        self.b.cluster.stop()
        self.assertEqual(self.names(anna)[-1], ("absent", "bert"))

    def test_away(self) -> None:
        """Without an exchange each goes on alone; with one again, what has changed meanwhile is told, and no more."""
        anna, emil = self.a.come("anna", EVERYBODY), self.a.come("emil", "anna")
        bert, carl = self.b.come("bert", "anna"), self.b.come("carl")
        self.settle()
        for exchange in self.exchanges:
            exchange.close("killed")
        self.news(anna)
        self.assertEqual(
            (self.a.cluster.state, self.a.said[-1]), ("alone", "the other relays cannot be reached: killed")
        )
        self.send(self.a, anna, self.b.number(bert))
        self.send(self.a, anna, self.a.number(emil))
        self.assertEqual((bert.handed, len(emil.handed), self.a.counter("neighbours_dropped")), ([], 1, 1))
        self.b.registry.gone(carl)
        self.b.come("dora")
        for relay in self.relays:
            self.hub.join(relay.cluster)
        self.assertEqual(sorted(self.names(anna)), [("absent", "carl"), ("present", "dora")])
        self.send(self.a, anna, self.b.number(bert))
        self.assertEqual((len(bert.handed), self.a.cluster.state), (1, ""))

    def test_long_away(self) -> None:
        """Those of others are gone when nothing is heard of them for long, and nothing goes on then."""
        anna = self.a.come("anna", "bert")
        self.b.come("bert")
        self.settle()
        for exchange in self.exchanges:
            exchange.close("killed")
        self.wait(LAPSE + 2 * BEAT)
        self.assertEqual(self.names(anna)[-1], ("absent", "bert"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_handed_on(self) -> None:
        """An exchange that hands nothing on is closed."""
        self.hub.swallows = True
        self.wait(LAPSE + 2 * BEAT)
        self.assertEqual([each.closed for each in self.exchanges], ["it hands nothing on"] * 3)

    def test_block_lost(self) -> None:
        """A relay whose block another one has claimed meanwhile takes a new one, and its members come again."""
        anna = self.a.come("anna")
        block = wire.block_of(self.a.number(anna))
        self.exchanges[0].close("killed")
        self.hub.claims[block] = "another", self.clock.seconds() + 60.0
        self.hub.join(self.a.cluster)
        self.assertEqual((anna.ended, self.a.counter("neighbours_moved")), ("its number is another one's", 1))
        self.assertNotEqual(wire.block_of(self.a.number(self.a.come("anna"))), block)

    def test_many(self) -> None:
        """However many there are, one who asks is told of all of them, a portion at a time."""
        many = 2 * PORTION + 3
        for turn in range(many):
            self.a.come(f"node{turn}")
        self.settle()
        self.exchanges[1].close("killed")
        self.wait(LAPSE + 2 * BEAT)
        self.assertEqual(self.b.counter("neighbours_guests"), 0)
        self.hub.join(self.b.cluster)
        self.hub.settle()
        self.assertEqual(self.b.counter("neighbours_guests"), PORTION)
        self.wait(0.5)
        self.wait(0.5)
        self.assertEqual(self.b.counter("neighbours_guests"), many)

    def test_nothing_is_kept(self) -> None:
        """When all have gone, nothing is left of them."""
        lines = [(relay, relay.come(name, EVERYBODY)) for relay, name in zip(self.relays, ("a", "b", "c"), strict=True)]
        self.settle()
        for relay, line in lines:
            relay.registry.gone(line)
        self.settle()
        for relay in self.relays:
            self.assertEqual(
                ([*filter(None, relay.cluster._remote._names.values())], relay.counter("neighbours_guests")), ([], 0)
            )


class RevocationTests(ClusterTestCase):
    def test_told(self) -> None:
        """A list is told to all other relays, once, and to one that comes later; each checks it for itself."""
        self.a.cluster.revoked("home", "CRL", [])
        self.settle()
        self.assertEqual([relay.lists for relay in self.relays], [[], [("home", "CRL")], [("home", "CRL")]])
        self.b.cluster.revoked("home", "CRL", [])
        self.settle()
        self.assertEqual((self.a.lists, len(self.c.lists)), ([], 2))
        late = Relay(self.clock, 4)
        self.hub.join(late.cluster)
        self.settle()
        self.assertIn(("home", "CRL"), late.lists)

    def test_parts(self) -> None:
        """Parts are told after their list, each once, and all of them to one that comes later."""
        self.a.cluster.revoked("home", "CRL", ["1f 1\n"])
        self.a.cluster.revoked("home", "NEXT", ["1f 1\n", "2e 2\n"])
        self.settle()
        self.assertEqual(self.b.parts, [("home", "1f 1\n"), ("home", "2e 2\n")])
        late = Relay(self.clock, 4)
        self.hub.join(late.cluster)
        self.settle()
        self.assertEqual((late.lists, late.parts), ([("home", "NEXT")], self.b.parts))
