"""A laptop behind its routers and a gateway, in a box of a test's own, and what they change on their machines."""

from __future__ import annotations

from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, two_uplinks
from morphnet.lab.vpn import Daemon, Settings, Vpn
from tests.lab.scene import NOT_HERE

BEFORE = "nameserver 192.168.1.1\n"  # in the laptop's resolv.conf
TOUCHED = "cat /etc/resolv.conf; ip rule; ip -6 rule; ip route; sysctl net.ipv4.ip_forward; nft list ruleset"


class LaptopCase(SynchronousTestCase):
    """
    Nothing of morphnet runs yet.

    :cvar delays: seconds, of each uplink.
    """

    skip = NOT_HERE
    rootless = False
    timeout = 120
    delays: ClassVar[tuple[float, ...]] = (0.005,)
    settings: ClassVar[Settings] = {}  # the gateway's

    def setUp(self) -> None:
        """:ivar laptop: the client's node."""
        self.box = Box(two_uplinks(self.delays, (None,) * len(self.delays)))
        self.box.start()
        self.addCleanup(self.box.stop)
        self.laptop = self.box.node("client")
        self.laptop.resolv(BEFORE)
        self.vpn = Vpn(self.box, SERVER, self.settings)
        self.addCleanup(self.vpn.stop)

    def picture(self, daemon: Daemon) -> str:
        """What of its machine it changes."""
        return str(daemon.node.run(["sh", "-c", TOUCHED]).stdout)

    def init(self) -> Daemon:
        """Make the network: its server, not started."""
        server = self.vpn.server
        server.morphnet("init", "--name", "gw.example", "--address", SERVER, "--dir", str(server.etc))
        return server
