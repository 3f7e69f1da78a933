"""Networks behind clients, as lines."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.show import plain
from morphnet.ops.show_networks import networks_lines
from morphnet.status import NetworkStatus


class NetworksTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """A line for each, another where there is something to say, none without any, and none too wide."""
        self.assertEqual(networks_lines(()), [])
        networks = (
            NetworkStatus("192.168.7.0/24", "laptop", "used", ""),
            NetworkStatus("2001:db8:1234:5678:9abc::/80", "x" * 40, "refused", "overlaps " * 20),
            NetworkStatus("fd07::/64", "", "used", ""),
        )
        lines = plain(networks_lines(networks)).splitlines()
        self.assertEqual(" ".join(lines[3:-1]).split(), ["overlaps"] * 20)
        self.assertIn("192.168.7.0/24", lines[1])
        self.assertIn("another", lines[-1])
        self.assertLessEqual(max(map(len, lines)), 80)
