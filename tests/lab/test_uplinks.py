"""Uplinks as they are in the field: alike, of one family each, on strange networks, with containers behind."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, WORLD, two_uplinks
from morphnet.lab.vpn import Daemon, Vpn, wait_for
from tests.lab.scene import NOT_HERE

WITHIN = 20.0  # seconds
# A container with a web server, its port published as Docker does it.
CONTAINER = """
sysctl -qw net.ipv4.ip_forward=1
ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up
ip netns add box; ip link add v0 type veth peer name eth0 netns box; ip link set v0 master docker0 up
ip -n box link set lo up; ip -n box addr add 172.17.0.2/16 dev eth0; ip -n box link set eth0 up
ip -n box route add default via 172.17.0.1
nft add table ip nat
nft add chain ip nat pre '{ type nat hook prerouting priority -100; }'
nft add rule ip nat pre iifname wan0 tcp dport 8081 dnat to 172.17.0.2:8080
"""
SERVE = """
import socket
s = socket.create_server(("", 8080))
print("up", flush=True)
while True:
    s.accept()[0].send(b"hello")
"""
ASK = "import socket; print(socket.create_connection(('192.168.1.2', 8081), 5).recv(9))"


class UplinkTests(SynchronousTestCase):
    """A client with two uplinks."""

    skip = NOT_HERE
    timeout = 120

    def network(self, *, v6: bool = False, nat: str = "easy") -> Vpn:
        """A server that runs."""
        self.box = Box(two_uplinks((0.005, 0.010), (None, None), v6=v6, nat=nat))
        self.box.start()
        self.addCleanup(self.box.stop)
        vpn = Vpn(self.box, SERVER)
        self.addCleanup(vpn.stop)
        return vpn

    def shell(self, node: str, commands: str) -> str:
        """Run them in a node."""
        done = self.box.node(node).run(["sh", "-ec", commands])
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(done.stdout)

    def wait_states(self, client: Daemon, **states: str) -> None:
        """Wait until the paths by these uplinks, and no others, are in these states."""
        wait_for(f"paths are {states}", lambda: client.states() == states, WITHIN)

    def test_alike(self) -> None:
        """Two uplinks have one address and one gateway: both carry, and a client begins by the one that is not mute."""
        vpn = self.network()
        for i in (0, 1):
            self.shell(f"nat{i}", "ip addr flush dev lan; ip addr add 192.168.8.1/24 dev lan")
            self.shell("client", f"ip addr flush dev wan{i}; ip addr add 192.168.8.100/24 dev wan{i}")
            self.shell("client", f"ip route replace default via 192.168.8.1 dev wan{i} metric 10{i}")
        vpn.found()
        client = vpn.join()
        self.wait_states(client, wan0="active", wan1="active")
        self.box.wire("wan0").black_hole()
        client.stop()
        client.start()
        self.wait_states(client, wan0="probing", wan1="active")

    def test_one_family_each(self) -> None:
        """The control link is called by IPv4 alone: the uplink that has IPv6 alone carries the session too."""
        vpn = self.network(v6=True)
        self.shell("client", "ip -6 addr flush dev wan0 scope global; ip -6 route flush dev wan0")
        self.shell("client", "ip -4 addr flush dev wan1")
        vpn.found()
        self.wait_states(vpn.join(), wan0="active", wan1="active")

    def test_strange_network(self) -> None:
        """
        Routes of a DHCP server draw nothing out of the tunnel, while a port that is published for a container goes on
        being reached by the uplink from afar.
        """
        vpn = self.network(nat="none")
        self.shell("client", CONTAINER)
        inside = ["ip", "netns", "exec", "box", sys.executable, "-c", SERVE]
        web = self.box.node("client").popen(inside, stdout=subprocess.PIPE, text=True)
        self.addCleanup(web.wait)
        self.addCleanup(web.kill)
        assert web.stdout is not None
        web.stdout.readline()
        vpn.found()
        vpn.join()
        self.assertIn("hello", self.box.node("isp").run([sys.executable, "-c", ASK]).stdout)
        count = "nft add table inet seen; nft add chain inet seen c '{ type filter hook prerouting priority -400; }'"
        self.shell("nat0", f"{count}; nft add rule inet seen c iifname lan ip daddr {WORLD} counter")
        self.shell(
            "client", "ip route add 0.0.0.0/1 via 192.168.1.1 dev wan0 proto dhcp; ip addr add 10.0.0.77/6 dev wan0"
        )
        ping = [sys.executable, "-m", "morphnet.lab.ping", WORLD, "--count", "10", "--interval", "0.02", "--grace", "1"]
        self.assertIn('"lost": 0', self.box.node("client").run(ping).stdout)
        self.assertIn("packets 0 ", self.shell("nat0", "nft list chain inet seen c"))
