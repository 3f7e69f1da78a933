"""What makes a single setting wrong."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config import checks
from morphnet.config.checks import Check


class CheckTests(SynchronousTestCase):
    def tried(self, check: Check, good: tuple[object, ...], bad: tuple[object, ...]) -> None:
        """These are right, and of each of those it is said in one line what it must be."""
        for value in good:
            self.assertIsNone(check(value), repr(value))
        for value in bad:
            sentence = check(value)
            assert sentence is not None, repr(value)
            self.assertNotIn("\n", sentence)

    def test_ports(self) -> None:
        """A port; where it may be any, also 0."""
        self.tried(checks.port, (1, 65535), (0, -1, 65536))
        self.tried(checks.port_or_any, (0, 1, 65535), (-1, 65536))

    def test_pools(self) -> None:
        """A prefix of its family, without bits behind it, of addresses that machines have, and large enough."""
        self.tried(
            checks.pool(4, 30), ("", "10.73.0.0/24"), ("10.73.0.0", "10.73.0.1/24", "127.0.0.0/8", "fd73::/64", "x")
        )
        self.tried(checks.pool(6, 126), ("", "fd73::/64"), ("fd73::", "fd73::1/64", "fe80::/64", "fd73::/127"))

    def test_lists(self) -> None:
        """Every item of a list is looked at."""
        self.tried(checks.prefixes, ((), ("default", "192.0.2.0/24")), (("192.0.2.1/24",), ("x",)))
        self.tried(checks.networks, (("192.0.2.0/24",),), (("default",), ("x",)))
        self.tried(checks.addresses, ((), ("::1", "192.0.2.1")), (("192.0.2.0/24",),))
        self.tried(checks.some_addresses, (("::",),), ((), ("x",)))
        self.tried(checks.servers, ((), ("meet.example", "[::1]:443")), (("meet.example:x",),))
        self.tried(checks.interfaces, ((), ("eth0",)), (("eth0", "a/b"),))

    def test_names(self) -> None:
        """Of machines, servers and interfaces."""
        self.tried(checks.name, ("", "gateway.example"), ("a b", "x" * 254))
        self.tried(checks.server, ("h", "h:1", "[::1]", "[::1]:1"), ("", "h:0", "h:65536", "::1", "h:1:2"))
        self.tried(checks.server_or_none, ("", "h"), ("h:0",))
        self.tried(checks.interface, ("eth0",), ("", ".", "..", "a/b", "x" * 16))
        self.tried(checks.interface_or_none, ("", "eth0"), ("a/b",))

    def test_listen(self) -> None:
        """One address and a port, never every network."""
        self.tried(checks.listen, ("", "127.0.0.1:2222", "[::1]:2222"), ("0.0.0.0:22", "[::]:22", "h:22", "127.0.0.1"))
        self.assertEqual(checks.read_address("[::1]:2222"), ("::1", 2222))

    def test_bounds(self) -> None:
        """Of numbers."""
        self.tried(checks.mtu, (576, 65535), (575, 65536))
        self.tried(checks.rekey_packets, (1, 1 << 23), ((1 << 23) + 1,))
