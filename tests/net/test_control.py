"""What both ends of the control link share; the rest is in test_control_client and test_control_server."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.control import host_of


class HostTests(SynchronousTestCase):
    """The numeric host of an address."""

    def test_host(self) -> None:
        """IPv4 and IPv6 as they are, IPv4 on a dual-stack socket as IPv4, anything else as nothing."""
        self.assertEqual(host_of(IPv4Address("TCP", "192.0.2.1", 1)), "192.0.2.1")
        self.assertEqual(host_of(IPv6Address("TCP", "2001:db8::1", 1)), "2001:db8::1")
        self.assertEqual(host_of(IPv6Address("TCP", "::ffff:192.0.2.1", 1)), "192.0.2.1")
        self.assertEqual(host_of(UNIXAddress("/tmp/x")), "")
        self.assertEqual(host_of(None), "")
