"""The facade's own judgement; what it does to a machine is in tests/lab/test_host.py."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.host.host import KINDS, check_routes


class HostTests(SynchronousTestCase):
    def test_routes(self) -> None:
        """Routes are "default" or networks; anything else is one sentence."""
        check_routes(("default", "10.0.0.0/8", "10.1.2.3", "fd00::/8"))
        error = self.assertRaises(ConfigError, check_routes, ("10.0.0.0/8", "everything"))
        self.assertEqual(str(error), "routes: 'everything' must be 'default' or a network such as 10.0.0.0/8")

    def test_kinds(self) -> None:
        """Every kind of change has a name of its own in the journal."""
        expected = (
            "address answers-table behind-table dealing-table forwarding hosts link multipath nft-table resolv-conf"
            " resolvconf resolved route rule strict-table sysctl"
        )
        self.assertEqual(sorted(KINDS), expected.split())
