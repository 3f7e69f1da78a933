"""A balancing client's picture."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig
from morphnet.roles.balance.node import NONE, BalanceNode
from morphnet.status import UplinkStatus


class BalanceNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.seen = [{"wan0": "192.0.2.1", "wan1": "192.0.2.2"}, {}]
        uplinks = (UplinkStatus("wan0", "up", 1.0, "", "IPv4 1 of 1"),)
        self.node = BalanceNode(ClientConfig(mode="balance"), lambda: uplinks, lambda: self.seen, now=lambda: 1.0)

    def test_status(self) -> None:
        """It is well while an uplink leads out."""
        self.assertFalse(self.node.status().well)
        self.node.shares_are([{"wan0": 1}, {"wan0": 1, "wan1": 1}])
        status = self.node.status()
        self.assertEqual((status.headline, status.well), ("balancing over wan0, wan1", True))
        self.assertEqual(status.uplinks[0].share, "IPv4 1 of 1")
        self.node.shares_are([{}, {}])
        self.assertEqual((self.node.status().headline, self.node.status().well), (NONE, False))

    def test_rules_first(self) -> None:
        """That rules of others come first is a warning as long as it is so, and told once."""
        for families in ({4}, {4}, {4, 6}):
            self.node.left_out_are(frozenset(families))
        self.assertEqual([each[:5] for each in self.node.status().warnings], ["IPv4:", "IPv6:"])
        self.assertEqual([each.kind for each in self.node.happenings(0)], ["rules-first"] * 2)
        self.node.left_out_are(frozenset())
        self.assertEqual(self.node.status().warnings, ())

    def test_shared(self) -> None:
        """Two uplinks at one address are a warning, and told once."""
        self.node.look_at_addresses()
        self.assertEqual(self.node.status().warnings, ())
        self.seen[0]["wan1"] = "192.0.2.1"
        self.node.look_at_addresses()
        self.node.look_at_addresses()
        (warning,) = self.node.status().warnings
        self.assertIn("wan0 and wan1 are both seen at 192.0.2.1", warning)
        self.assertEqual([each.kind for each in self.node.happenings(0)], ["uplinks-shared"])
