"""Ways out, names and ports of a machine that is made up; the firewall of a real one is for `tests.lab.test_doctor`."""

from __future__ import annotations

import socket

from morphnet.cli.doctoring import network
from morphnet.cli.doctoring.network import CHECKS
from morphnet.host.dns import RESOLV_CONF, ResolvConf
from morphnet.host.facts import AddressFact, Facts, LinkFact, RouteFact
from morphnet.host.firewall import Obstacle
from morphnet.host.kernel import FileState
from tests.cli.doctoring.patients import PatientCase
from tests.ops.pictures import NODE
from tests.ports import free_port

ON = 0x10001  # IFF_UP, IFF_LOWER_UP
WAN = LinkFact(2, "wan", ON, 6, 1500)


class NetworkTests(PatientCase):
    def setUp(self) -> None:
        super().setUp()
        self.has("203.0.113.9")

    def has(self, address: str, mtu: int = 1500, length: int = 24) -> None:
        """One uplink of that address."""
        link = LinkFact(2, "wan", ON, 6, mtu)
        routes = (RouteFact(2, 4, "203.0.113.1", 100, 3), RouteFact(2, 4, "", 0, 2, prefix="10.73.0.0/16"))
        self.kernel.there = Facts((link,), (AddressFact(2, address, 0, length),), routes)

    def test_ways_out(self) -> None:
        """No default route; an uplink in the settings that is not there."""
        name = "there is a way out"
        self.assertEqual(self.faults(CHECKS, name), [])
        self.client(uplinks='["wan", "wlan9"]')
        (found,) = self.faults(CHECKS, name)
        self.assertIn("wlan9", found.text)
        self.kernel.there = Facts((WAN,))
        self.assertIn("no network device", self.faults(CHECKS, name)[0].text)

    def test_carrier(self) -> None:
        """An MTU below IPv6's."""
        self.has("203.0.113.9", mtu=1000)
        (found,) = self.faults(CHECKS, "every uplink carries whole packets")
        self.assertIn("1000 bytes", found.text)

    def test_names(self) -> None:
        """A name that leads nowhere, and one that nobody answers about."""
        self.client(server='""', servers='["gw.example", "127.0.0.1"]')
        self.patch(network, "_looked_up", lambda host: "127.0.0.1" if host == "127.0.0.1" else ":Name not known")
        (found,) = self.faults(CHECKS, "the server's name leads to an address")
        self.assertIn("gw.example leads nowhere (Name not known)", found.text)

    def test_reached(self) -> None:
        """A port where nobody listens, and one where somebody does."""
        name = "the server's control port answers"
        self.client(server=f'"127.0.0.1:{free_port()}"')
        (found,) = self.faults(CHECKS, name)
        self.assertIn("refused", found.text)
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client(server=f'"127.0.0.1:{server.getsockname()[1]}"')
            self.assertEqual(self.faults(CHECKS, name), [])

    def test_leaks(self) -> None:
        """All goes through the tunnel, but the name server is asked beside it."""
        self.client()
        self.runs(NODE, role="client", traffic="tunnel")
        self.kernel.files[RESOLV_CONF] = FileState("file", "nameserver 192.0.2.53\nnameserver 127.0.0.53\n")
        self.patch(self.kernel, "way_to", lambda address: "wan" if address == "192.0.2.53" else "morph0")
        (found,) = self.faults(CHECKS, "names are asked through the tunnel")
        self.assertIn("at 192.0.2.53", found.text)
        self.patch(self.kernel, "way_to", lambda address: "morph0")
        self.assertEqual(self.faults(CHECKS, "names are asked through the tunnel"), [])

    def test_leaks_beneath(self) -> None:
        """Our own server on this machine asks for the world's names, and does it beside the tunnel."""
        self.client()
        self.runs(NODE, role="client", traffic="tunnel")
        self.kernel.files[RESOLV_CONF] = FileState("file", "nameserver 192.0.2.53\n")
        change = ResolvConf(("127.0.0.73",), search=True).prepared(self.kernel)
        change.apply(self.kernel)
        self.patch(self.kernel, "way_to", lambda address: "wan" if address == "192.0.2.53" else "morph0")
        (found,) = self.faults(CHECKS, "names are asked through the tunnel")
        self.assertIn("at 192.0.2.53", found.text)

    def test_alike(self) -> None:
        """A local network with the inner addresses."""
        self.has("10.73.0.9", length=16)
        (found,) = self.faults(CHECKS, "the inner network is no local one")
        self.assertIn("10.73.0.0/16 at wan", found.text)

    def test_firewall(self) -> None:
        """Each cure once."""
        dropping = [Obstacle(4, "ip filter FORWARD", "cure"), Obstacle(6, "inet own forward", "cure")]
        self.patch(network, "obstacles", lambda *_: dropping)
        self.assertEqual(
            [each.cure for each in self.faults(CHECKS, "no firewall here drops what is forwarded")], ["cure"]
        )

    def test_forwarding(self) -> None:
        """A server runs, and somebody has turned forwarding off."""
        self.kernel.values |= {"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "1"}
        self.assertEqual(self.faults(CHECKS, "packets are forwarded"), [])
        self.running["server"] = 1
        (found,) = self.faults(CHECKS, "packets are forwarded")
        self.assertIn("net.ipv4.ip_forward is off", found.text)

    def test_ports(self) -> None:
        """One that another program has."""
        name = "the server's ports are free for it"
        port = free_port()
        self.place.relay_toml.unlink()
        self.place.server_toml.write_text(
            f'name = "gw"\npki_dir = "{self.place.pki_dir}"\nstate_dir = "{self.place.state_dir}"\n'
            f'run_dir = "{self.place.run_dir}"\ncontrol_port = {port}\ndata_port = {free_port()}\n'
        )
        self.assertEqual(self.faults(CHECKS, name), [])
        with socket.create_server(("127.0.0.1", port)):
            (found,) = self.faults(CHECKS, name)
        self.assertIn(f"TCP {port} is taken", found.text)

    def test_public(self) -> None:
        """Behind a router, behind the provider's NAT, or neither."""
        name = "others can call this machine"
        self.has("8.8.8.8")
        self.assertEqual(self.faults(CHECKS, name), [])
        self.has("192.168.1.5")
        self.assertIn("behind a router", self.faults(CHECKS, name)[0].text)
        self.has("100.72.3.4")
        self.assertIn("provider's NAT", self.faults(CHECKS, name)[0].text)
