"""Topologies as data: they describe themselves, and do not name what is not there."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError
from morphnet.lab.topologies import NAMED, Cable, End, Nat, Node, Topology, Uplink, Way, direct, two_uplinks, uplinks


class TopologyTests(SynchronousTestCase):
    def test_describe(self) -> None:
        """A dry run names every node, device, address, wire and NAT."""
        for make in NAMED.values():
            topology = make()
            text = "\n".join(topology.describe())
            for end, _ in topology.ends():
                self.assertIn(str(end), text)
            for nat in topology.nats:
                self.assertIn(f"nat {nat.node}: lan -> wan, {nat.kind}", text)

    def test_wire_words(self) -> None:
        """A wire says what it does in each direction, in the units of its parameters."""
        lines = two_uplinks((0.01,), (20e6,)).describe()
        self.assertIn("  there: delay 0.01, rate 20000000", lines)
        self.assertIn("  there: nothing in the way", direct(Way()).describe())

    def test_addresses_once(self) -> None:
        """No address is given twice, however many uplinks there are."""
        topology = uplinks([Uplink()] * 8, v6=True, second_address=True)
        addresses = [address for end, _ in topology.ends() for address in end.addresses]
        self.assertEqual(len(addresses), len(set(addresses)))

    def test_hidden_home(self) -> None:
        """The isp knows the way to a client's IPv4 network only where no NAT hides it."""
        for kind, known in (("easy", False), ("hard", False), ("none", True), ("firewall", True)):
            isp = next(node for node in uplinks([Uplink(nat=kind)]).nodes if node.name == "isp")
            self.assertEqual(bool(isp.routes), known)

    def test_wrong(self) -> None:
        """A cable to nowhere and a NAT of no kind are refused."""
        with self.assertRaises(BugError):
            Topology("x", (Node("a"),), (Cable(End("a", "eth0"), End("b", "eth0")),))
        with self.assertRaises(BugError):
            Topology("x", (Node("a"),), nats=(Nat("a", "lan", "wan", "soft"),))
