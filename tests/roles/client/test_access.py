"""Who may what at a client: whose addresses are, as its certificates, its gateway and its peers say."""

from __future__ import annotations

import ipaddress
import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.pump import Pump
from morphnet.pki.authority import Description
from morphnet.roles.client.access import MOST, ClientAccess
from morphnet.roles.process import access
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.messages.access import MOST_HOLDERS, Holders
from tests.roles.client.test_inside import welcome
from tests.tunnel.test_work import Counted

SERVER = Description("vpn.example", "server", "1f", 0.0, 1e9)


class ClientAccessTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        pump = Pump(clock, Tunnel(server=False, entropy=random.Random(7).randbytes), clock.seconds)
        self.addCleanup(pump.stop)
        self.access = ClientAccess(pump, None, lambda *line: None)
        self.access.name = "laptop"

    def names(self, *addresses: str) -> list[tuple[str, ...]]:
        return [self.access.places.who(ipaddress.ip_address(each).packed).names for each in addresses]

    def test_gateway(self) -> None:
        """We have the addresses that the gateway gives us, and it has its own; so others are not of the world."""
        self.access.welcomed(welcome("100.73.0.2/24", "100.73.0.1"), SERVER)
        found = self.names("100.73.0.2", "100.73.0.1", "100.73.0.9", "9.9.9.9")
        self.assertEqual(found, [("laptop",), ("gateway", "vpn.example"), (), ("world",)])
        self.access.welcomed(welcome("", "", "2001:db8:7::2/64"), None)
        self.assertEqual(self.names("100.73.0.2", "2001:db8:7::2", "2001:db8:7::9"), [(), ("laptop",), ()])

    def test_public(self) -> None:
        """What is for a public address that we have ourselves is for us, whatever the gateway says."""
        self.patch(access, "public_addresses", lambda: ("9.9.9.9",))
        self.access.told(Holders(("9.9.9.9 liar", "9.9.9.8 liar")))
        self.access.look_around()
        self.assertEqual(self.names("9.9.9.9", "9.9.9.8", "9.9.9.7"), [("laptop",), ("liar",), ("world",)])

    def test_told(self) -> None:
        """What the gateway tells counts where neither we nor a peer's certificate say otherwise; it is bounded."""
        self.access.welcomed(welcome("10.73.0.2/24", "10.73.0.1"), SERVER)
        self.access.peers_are(("10.73.0.2", ""), ("10.73.0.0/24",), {"home": ("10.73.0.3",)})
        self.access.told(Holders(("10.73.0.2 liar", "10.73.0.3 liar", "10.73.0.1 liar", "10.73.0.4 desk")))
        found = self.names(*(f"10.73.0.{each}" for each in (1, 2, 3, 4)))
        self.assertEqual(found, [("gateway", "vpn.example"), ("laptop",), ("home",), ("desk",)])
        self.access.told(Holders(("10.73.0.5 nas",), more=True))
        self.assertEqual(self.names("10.73.0.4", "10.73.0.5"), [("desk",), ("nas",)])
        self.access.told(Holders(("10.73.0.6 gateway", "10.73.0.7 world"), more=True))
        self.assertEqual(self.names("10.73.0.6", "10.73.0.7"), [(), ()])
        calls = list[int]()
        for turn in range(MOST // MOST_HOLDERS + 1):
            several = (f"10.{each}.{turn}.1 x" for each in range(MOST_HOLDERS))
            said = Holders(tuple(several), more=True)
            with Counted() as counted:
                self.access.told(said)
            calls.append(counted.calls)
        self.assertLess(calls[-3], 1.1 * calls[0])  # each message costs the same, however many there were
        self.assertEqual(self.names(f"10.1.{MOST // MOST_HOLDERS}.1"), [()])
        self.access.told(Holders())
        self.assertEqual(self.names("10.73.0.4", "10.73.0.3"), [(), ("home",)])
