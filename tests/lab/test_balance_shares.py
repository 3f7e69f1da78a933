"""What each of several uplinks gets, without a server: by weights, by policies, and what was there before."""

from __future__ import annotations

from collections import Counter

from morphnet.lab.topologies import SERVER
from tests.lab.balance_case import LAN, LAN_NODE, SECOND, SEEN, BalanceCase
from tests.lab.balance_world import OTHERS

WAN0, WAN1 = SEEN["wan0"], SEEN["wan1"]
MASQUERADE = """
nft add table ip before; nft add chain ip before post '{ type nat hook postrouting priority 100; }'
nft add rule ip before post oifname 'wan*' masquerade
"""
NOBODY = 65534
POLICIES = ("from:10.5.0.0/24=wan0", f"to:{SECOND}/32=wan1", f"tcp:{OTHERS}=wan0", "udp:5000=wan1", "user:nobody=wan0")
WIDE, NARROW = 16e6, 4e6  # bit/s


class SharesTests(BalanceCase):
    """Who gets what."""

    def test_measured(self) -> None:
        """Without weights the wider uplink gets more as soon as both have carried something, as `status` says."""
        for name, rate in (("wan0", WIDE), ("wan1", NARROW)):
            self.box.wire(name).both(rate=rate)
        daemon = self.balancing()
        self.all_up(daemon)
        flows = self.flows()
        self.assertEqual(Counter(flows.open(4)), {WAN0: 2, WAN1: 2})
        flows.pull(*SEEN, seconds=1.5)
        parts = dict[str, int]()

        def measured() -> bool:
            for each in daemon.status()["uplinks"]:
                parts[each["name"]] = int(each["share"].split()[1])  # IPv4 8 of 10
            return parts["wan0"] > parts["wan1"]

        self.until("it is measured", measured)
        self.assertEqual(parts["wan0"], 8)
        self.assertTrue(1 <= parts["wan1"] <= 4, parts)
        self.assertEqual(Counter(flows.open(sum(parts.values()))), {WAN0: 8, WAN1: parts["wan1"]})

    def test_policies(self) -> None:
        """
        A network behind this machine, a network elsewhere, ports and a user leave by the uplink that is named for them,
        and all else by both; what is pinned to a dead one is dealt out like all else.
        """
        self.shell("client", LAN)
        daemon = self.balancing(**{"balance.policies": list(POLICIES)})
        self.all_up(daemon)
        behind, second = self.flows(SERVER, *LAN_NODE), self.flows(SECOND)
        others, nobody, free = self.flows(port=OTHERS), self.flows(), self.flows()
        nobody.become(NOBODY)
        self.assertEqual(behind.open(6), [WAN0] * 6)
        self.assertEqual(second.open(3), [WAN1] * 3)
        self.assertEqual(others.open(3), [WAN0] * 3)
        self.assertEqual(free.ask(3), [WAN1] * 3)
        self.assertEqual(nobody.open(3), [WAN0] * 3)
        self.assertEqual(Counter(free.open(4)), {WAN0: 2, WAN1: 2})
        self.box.wire("wan0").black_hole()
        self.until("wan0 is dead", lambda: self.states(daemon)["wan0"] == "lost")
        for each in (behind, others, nobody):
            self.assertEqual(each.open(2), [WAN1] * 2)

    def test_last(self) -> None:
        """The last one is used only while no other leads out; what is on it then stays on it."""
        daemon = self.balancing(**{"balance.last": "wan0"})
        self.all_up(daemon)
        flows = self.flows()
        self.assertEqual(flows.open(4), [WAN1] * 4)
        with self.pulled("wan1"):
            self.until("wan1 is dead", lambda: self.states(daemon)["wan1"] == "lost")
            flows.until_reset(4, within=5.0)
            self.assertEqual(flows.open(2), [WAN0] * 2)
        self.all_up(daemon)
        self.assertEqual(flows.open(2), [WAN1] * 2)
        self.assertEqual(flows.alive(), {WAN0: 2, WAN1: 2})

    def test_before(self) -> None:
        """What a router has translated before the start stays where it was, also what says nothing until then."""
        self.shell("client", LAN + MASQUERADE)
        behind = self.flows(SERVER, *LAN_NODE)
        self.assertEqual(behind.ask(16), [WAN0] * 16)
        self.assertEqual(behind.open(4), [WAN0] * 4)
        daemon = self.balancing()
        self.all_up(daemon)
        self.assertEqual(behind.ask_again(), [WAN0] * 16)
        self.assertEqual(behind.alive(), {WAN0: 4})
        self.assertEqual(set(behind.ask(16)), {WAN0, WAN1})

    def test_killed(self) -> None:
        """
        Three of four flows of this machine go by the wider uplink, to the flow; of those behind it about as many. After
        `kill -9`, or a restart, and a start that finds the uplinks in another order, none of them has noticed anything.
        """
        self.shell("client", LAN)
        daemon = self.balancing(**{"uplinks": ["wan0", "wan1"], "balance.weights": ["wan0=3", "wan1=1"]})
        self.all_up(daemon)
        flows, behind = self.flows(), self.flows(SERVER, *LAN_NODE)
        self.assertEqual(Counter(flows.open(8)), {WAN0: 6, WAN1: 2})
        forwarded = behind.ask(64)
        shares = Counter(forwarded)
        self.assertEqual(shares.total(), shares[WAN0] + shares[WAN1])
        self.assertTrue(34 <= shares[WAN0] <= 62, shares)  # 48, and four standard deviations
        for end, uplinks in ((daemon.kill, ["wan1", "wan0"]), (daemon.hand_over, ["wan0", "wan1"])):
            end()
            daemon.settings["uplinks"] = uplinks
            daemon.start()
            self.all_up(daemon)
            self.assertEqual(behind.ask_again(), forwarded)
            self.assertEqual(flows.alive(), {WAN0: 6, WAN1: 2})
            self.assertEqual(flows.resets(), 0)
