"""What balancing asks of a machine: which routes and rules there are, and which are not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.adopting import Ends
from morphnet.host.balance import LATE, Shares, balance_changes, ground_of, loosened, stranded, tables, tables_of
from morphnet.host.dealing import CAME_IN
from morphnet.host.facts import MAIN, Facts, LinkFact, RouteFact
from morphnet.host.journal import Change
from morphnet.host.multipath import Multipath
from morphnet.host.routes import Provider, providers_at
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl
from morphnet.host.uplinks import Uplink

FACTS = Facts(
    links=(
        LinkFact(2, "wan0", 0x10001, 6, 1500),
        LinkFact(3, "wan1", 0x10001, 6, 1500),
        LinkFact(4, "lan", 1, 6, 1500),
    ),
    routes=(
        RouteFact(2, 4, "192.168.1.1", 100, 3),
        RouteFact(3, 4, "192.168.2.1", 101, 3),
        RouteFact(3, 6, "fe80::1", 101, 3),
        RouteFact(2, 4, "", 0, 2, prefix="192.168.1.0/24"),
        RouteFact(4, 4, "", 0, 2, prefix="10.5.0.0/16"),
    ),
)
WAN0 = Uplink("wan0", 2, True, ("192.168.1.2",), (), "192.168.1.1", None, 1500, 100)
WAN1 = Uplink("wan1", 3, True, ("192.168.2.2",), ("2001:db8::2",), "192.168.2.1", "fe80::1", 1500, 101)
BOTH = frozenset({"wan0", "wan1"})


def changes(shares: Shares, base: int = 7300) -> list[Change]:
    """With both uplinks there."""
    placed: list[Provider] = providers_at([(0, WAN0), (1, WAN1)], FACTS)
    return balance_changes(placed, FACTS, True, shares, base)


class BalanceTests(SynchronousTestCase):
    def test_both(self) -> None:
        """One route with both next hops and their weights, each family with its own; what is marked has its table."""
        found = changes(Shares({"wan0": 3, "wan1": 1}, {"wan1": 1}, BOTH, frozenset({"wan1"})))
        self.assertIn(Multipath(4, 7300, ("wan0 3 192.168.1.1", "wan1 1 192.168.2.1")), found)
        self.assertIn(Multipath(6, 7300, ("wan1 1 fe80::1",)), found)
        self.assertIn(Rule(4, 7302, 7301, mark=7301), found)
        self.assertIn(Rule(4, LATE, MAIN, specific=True), found)
        self.assertIn(Rule(4, LATE + 1, 7300), found)

    def test_elsewhere(self) -> None:
        """What the machine reaches by another device is not in an uplink's table."""
        found = changes(Shares({"wan0": 1, "wan1": 1}, {}, BOTH))
        thrown = {(each.prefix, each.table) for each in found if isinstance(each, Route) and each.throw}
        self.assertLessEqual({("10.5.0.0/16", 7301), ("10.5.0.0/16", 7302), ("192.168.1.0/24", 7302)}, thrown)
        self.assertNotIn(("192.168.1.0/24", 7301), thrown)

    def test_dead(self) -> None:
        """A dead uplink has sockets that are bound to it, what came in by it, and nothing else."""
        found = changes(Shares({"wan1": 1}, {}, frozenset({"wan1"})))
        self.assertIn(Multipath(4, 7300, ("wan1 1 192.168.2.1",)), found)
        rules = [each for each in found if isinstance(each, Rule) and 7301 in (each.table, each.mark)]
        self.assertEqual(
            [(each.device, each.mark, each.source) for each in rules], [("wan0", 0, ""), ("", 7301 | CAME_IN, "")]
        )

    def test_untried(self) -> None:
        """One of which nothing is known yet keeps what is on it, and gets no new flows."""
        found = changes(Shares({"wan1": 1}, {}, frozenset({"wan1"}), untried4=frozenset({"wan0"})))
        self.assertIn(Multipath(4, 7300, ("wan1 1 192.168.2.1",)), found)
        rules = {(each.mark, each.source) for each in found if isinstance(each, Rule) and each.table == 7301}
        self.assertLessEqual({(7301, ""), (0, "192.168.1.2")}, rules)

    def test_last(self) -> None:
        """One that is up and gets no new flows keeps those that it has."""
        found = changes(Shares({"wan0": 1}, {}, BOTH))
        self.assertIn(Multipath(4, 7300, ("wan0 1 192.168.1.1",)), found)
        self.assertIn(Rule(4, 7302, 7302, mark=7302), found)

    def test_none(self) -> None:
        """Where no uplink leads out the machine's own default route is used."""
        found = changes(Shares({}, {}))
        self.assertFalse([each for each in found if isinstance(each, Multipath)])
        self.assertFalse([each for each in found if isinstance(each, Rule) and each.preference >= LATE])

    def test_left_out(self) -> None:
        """Where others were first, in that family nothing is looked up before the main table but what is marked."""
        shares = Shares({"wan0": 1}, {"wan1": 1}, BOTH, BOTH, left_out=frozenset({4}))
        late = [each for each in changes(shares) if isinstance(each, Rule) and each.preference >= LATE]
        self.assertEqual({each.family for each in late}, {6})
        self.assertIn(Rule(4, 7302, 7301, mark=7301), changes(shares))

    def test_tables(self) -> None:
        """Of an uplink that has gone the table is known until another one has it: the flows in it are that one's."""
        self.assertEqual(tables({"a": 7301, "b": 7302}, {"b": 7302}), {"a": 7301, "b": 7302})
        self.assertEqual(tables({"a": 7301, "b": 7302}, {"b": 7302, "c": 7301}), {"b": 7302, "c": 7301})

    def test_left_by_an_earlier_run(self) -> None:
        """Which table each uplink had, and whose reverse path filter was strict; nothing of what a tunnel has left."""
        left = changes(Shares({"wan0": 1, "wan1": 1}, {}, BOTH), 7400)
        self.assertEqual(tables_of(left, 7400), {"wan0": 7401, "wan1": 7402})
        self.assertEqual(tables_of(left, 7300), {})
        names = ("net/ipv4/fib_multipath_hash_policy", "net/ipv4/conf/wan1/rp_filter", "net/ipv6/conf/wan0/forwarding")
        self.assertEqual(loosened([*left, *(Sysctl(name, "2") for name in names)]), ["wan1"])

    def test_stranded(self) -> None:
        """At the end flows stay that are on the machine's own default route, which is the best of several."""
        self.assertEqual(stranded(["wan0", "wan1"], FACTS), [("wan1", 4), ("wan0", 6)])
        self.assertEqual(stranded(["wan0"], Facts()), [("wan0", 4), ("wan0", 6)])

    def test_ground(self) -> None:
        """Where addresses tell nothing it is the machine's own default route, unless rules of others are first."""
        providers = providers_at([(0, WAN1), (1, WAN0)], FACTS)
        own, inside = ("192.168.1.2", "10.5.0.1"), Ends("10.5.0.2", "198.51.100.7", "10.5.0.2")
        self.assertEqual(ground_of(providers, FACTS, own, frozenset(), 7300).mark_of(inside), 7302)
        self.assertEqual(ground_of(providers, FACTS, own, frozenset({4}), 7300).mark_of(inside), 0)
        ground = ground_of(providers, FACTS, own, frozenset(), 7300)
        self.assertEqual(ground.mark_of(Ends("10.5.0.2", "10.5.9.9", "10.5.0.2")), 0)
        self.assertEqual(ground.mark_of(Ends("10.5.0.2", "198.51.100.7", "192.168.2.2")), 7301)

    def test_two_of_us(self) -> None:
        """The second of us has other rules."""
        found = changes(Shares({"wan0": 1}, {}, BOTH), 7400)
        self.assertIn(Rule(4, LATE + 3, 7400), found)
