"""Uplinks with a policy, where flows are dealt out."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.balance import BalanceConfig
from morphnet.config.roles import ClientConfig
from morphnet.roles.balance.allowed import allowed
from tests.roles.client.test_uplink_paths import LTE, WAN


class AllowedTests(SynchronousTestCase):
    def test_uses(self) -> None:
        """What is never to be used is left out; backup and metered ones are the last, with those of [balance] last."""
        for text, names, last in (
            ("lte never", ["wan"], ["old"]),
            ("l* backup", ["wan", "lte"], ["old", "lte"]),
            ("wan metered", ["wan", "lte"], ["old", "wan"]),
            ("wan priority=3", ["wan", "lte"], ["old"]),
        ):
            config = ClientConfig(mode="balance", balance=BalanceConfig(last=("old",)), uplink_policies=(text,))
            found, spared = allowed(config, [WAN, LTE])
            self.assertEqual(([each.name for each in found], spared), (names, last))
