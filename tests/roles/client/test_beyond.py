"""Networks behind clients, as one of them has them."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import ClientConfig
from morphnet.host.outside import Network
from morphnet.roles.client.beyond import WORLD, Beyond
from morphnet.wire.messages.networks import Networks

LAN = "192.168.7.0/24"
CONFIG = ClientConfig(server="gw", name="desk", routes=("10.73.0.0/24",))


class BeyondTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.beyond = Beyond()

    def reached(self, config: ClientConfig, *here: Network) -> tuple[str, ...]:
        self.beyond.look(config, here)
        return self.beyond.reached

    def test_what_counts(self) -> None:
        """The gateway's word counts within `routes` and [mesh] networks, or where all of it is wanted."""
        self.beyond.said = Networks(reach=(LAN, "fd07::/64"))
        self.assertEqual(self.reached(CONFIG), ())
        (first, _) = self.beyond.statuses(CONFIG)
        self.assertEqual((first.network, first.state), (LAN, "refused"))
        self.assertIn("`morphnet set accept_networks yes`", first.why)
        self.assertEqual(self.beyond.warnings(CONFIG), ())  # it was the operator's choice
        self.assertEqual(self.reached(replace(CONFIG, routes=("192.168.0.0/16",))), (LAN,))
        self.assertEqual(self.reached(replace(CONFIG, routes=("default",))), (LAN, "fd07::/64"))
        self.assertEqual(self.reached(replace(CONFIG, accept_networks=True)), (LAN, "fd07::/64"))

    def test_public(self) -> None:
        """By the gateway's word alone no public address goes into the tunnel: the operator names those."""
        world = tuple(f"{number}.0.0.0/8" for number in range(1, 224) if number not in (10, 127))
        self.beyond.said = Networks(reach=(*world, "10.0.0.0/8", "2001:db8:7::/48", "2000::/16", "192.0.0.0/8"))
        config = replace(CONFIG, accept_networks=True)
        self.assertEqual(self.reached(config), ("10.0.0.0/8",))
        self.assertIn("is not private, and not in `routes`", self.beyond.statuses(config)[-1].why)
        config = replace(config, routes=("2001:db8::/32",))
        self.assertEqual(self.reached(config), ("10.0.0.0/8", "2001:db8:7::/48"))

    def test_never(self) -> None:
        """All the world, or what the machine reaches by itself, is never taken; the latter is said."""
        config = replace(CONFIG, accept_networks=True)
        self.beyond.said = Networks(reach=("0.0.0.0/0", "::/0", "127.0.0.0/8", LAN))
        self.assertEqual(self.reached(config, Network("192.168.7.0/25", "wlan0", True)), ())
        (said,) = self.beyond.warnings(config)
        self.assertIn(f"{LAN} overlaps 192.168.7.0/25, which is reached by wlan0", said)

    def test_own(self) -> None:
        """Our own are carried as far as the operator named them, what is said of others is a warning."""
        config = replace(CONFIG, advertise=(LAN, "10.5.0.0/16", "10.6.0.0/16"))
        sentence = "10.5.0.0/16 stands by while laptop has it"
        self.beyond.said = Networks(carried=(LAN, "10.7.0.0/16"), refused=(sentence, "10.8.0.0/16 is not ours"))
        self.assertEqual(self.beyond.carried(config), (LAN,))
        self.assertEqual(self.beyond.warnings(config), (sentence,))
        found = [(each.state, each.why) for each in self.beyond.statuses(config)]
        self.assertEqual(found[:2], [("used", ""), ("asked", "stands by while laptop has it")])
        self.assertEqual(found[2], ("asked", "the gateway has not answered"))

    def test_own_written_otherwise(self) -> None:
        """Our own is the same however the operator has written it."""
        config = replace(CONFIG, advertise=("FD07:0::/64",))
        self.beyond.said = Networks(carried=("fd07::/64",))
        self.assertEqual(self.beyond.carried(config), ("fd07::/64",))
        self.assertEqual(self.beyond.statuses(config)[0].state, "used")

    def test_peers(self) -> None:
        """A peer leads to what the operator has named, and to the world if it is the exit, while it is there."""
        mesh = MeshConfig(("meet",), through=(f"home={LAN}", "other=10.5.0.0/16"), exit="home", exit_for=("phone",))
        config = replace(CONFIG, server="", mesh=mesh, advertise=("10.7.0.0/16",))
        self.assertEqual((self.beyond.through(config), self.beyond.leads_out(config)), ((), False))
        self.beyond.peers = {"home": ("10.73.0.3",), "phone": ("10.73.0.4", "fd73::4")}
        self.assertEqual((self.beyond.through(config), self.beyond.leads_out(config)), ((LAN,), True))
        self.assertEqual(self.beyond.behind_peers(config), {"home": (*WORLD, LAN), "phone": ()})
        self.assertEqual(self.beyond.exits(config), ("10.73.0.4", "fd73::4"))
        self.assertEqual(self.beyond.carried(config), ("10.7.0.0/16",))  # no gateway has to approve it
        states = {(each.client, each.network): each.state for each in self.beyond.statuses(config)}
        self.assertEqual(states["other", "10.5.0.0/16"], "standby")
        self.assertEqual((states["home", "default"], states["home", LAN]), ("used", "used"))
        every = replace(config, mesh=replace(mesh, exit_for=("*",)))
        self.assertEqual(len(self.beyond.exits(every)), 3)
