"""From where to where each uplink's path leads."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.uplinks import Uplink
from morphnet.tap.client_node import _server_hosts
from morphnet.tap.ways import Ways
from morphnet.wire.batch import Endpoint

FOUR, SIX, OTHER = Endpoint("203.0.113.1", 8000), Endpoint("2001:db8::1", 8000), Endpoint("192.0.2.1", 8000)
WAN = Uplink("wan", 2, True, ("192.168.1.2", "10.0.0.2"), ("2001:db8:1::2",), "192.168.1.1", "fe80::1", 1500, 100)


class EndsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.known: dict[tuple[str, str], str] = {}  # (device, host) -> what it is sent from

    def ends(self, uplink: Uplink, *servers: Endpoint) -> tuple[str, Endpoint] | None:
        """The two ends of its path."""

        def source(device: str, host: str) -> str:
            return self.known.get((device, host), "")

        ways = Ways(cast(Any, Clock()), cast(Any, None), lambda kind, text: None, source)
        ways._servers = servers
        return ways._ends(uplink)

    def test_source(self) -> None:
        """It is taken from the address that the route to the server is sent from, not from the first."""
        self.known = {("wan", FOUR.host): "10.0.0.2"}
        self.assertEqual(self.ends(WAN, FOUR), ("10.0.0.2", FOUR))

    def test_way(self) -> None:
        """The first of the server's addresses that there is a way to; without any, the first of a family we have."""
        self.known = {("wan", OTHER.host): "192.168.1.2"}
        self.assertEqual(self.ends(WAN, SIX, FOUR, OTHER), ("192.168.1.2", OTHER))
        self.known = {}
        self.assertEqual(self.ends(WAN, SIX, FOUR), ("2001:db8:1::2", SIX))

    def test_one_family(self) -> None:
        """An uplink of one family goes to the server's address of that family, or nowhere."""
        only4, only6 = (
            Uplink("x", 3, True, four, six, None, None, 1500, 0) for four, six in ((("10.0.0.2",), ()), ((), ("::2",)))
        )
        self.assertEqual(self.ends(only4, SIX, FOUR), ("10.0.0.2", FOUR))
        self.assertEqual(self.ends(only6, FOUR, SIX), ("::2", SIX))
        self.assertIsNone(self.ends(only6, FOUR))


class ServerHostsTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Where the server answered, what it says of itself, where it was: at most eight."""
        told = ["::1", "0.0.0.0", "224.0.0.1", SIX.host, FOUR.host]
        self.assertEqual(_server_hosts(FOUR.host, told, [OTHER.host]), (FOUR.host, SIX.host, OTHER.host))
        self.assertEqual(len(_server_hosts(FOUR.host, [f"192.0.2.{n}" for n in range(20)], ())), 8)
