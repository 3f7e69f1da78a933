"""From what kind of network somebody comes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.networks import network_of


class NetworksTests(SynchronousTestCase):
    def test_classes(self) -> None:
        """By the address, and where that tells nothing by the program."""
        for address, agent, network in (
            ("10.1.2.3", "", "cellular_lte"),
            ("::ffff:100.64.0.1", "", "cellular_lte"),
            ("192.168.7.7", "Mozilla/5.0 (Android)", "wifi_private"),
            ("203.0.113.10", "", "wired_ethernet"),  # it has "10." in it
            ("2001:db8::1", "Conversations Android", "mobile_unknown"),
            ("2001:db8::1", "curl", "wired_ethernet"),
            ("nonsense", "Mobile", "mobile_unknown"),
        ):
            self.assertEqual(network_of(address, agent), network, address)
