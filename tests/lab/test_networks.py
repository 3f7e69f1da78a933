"""Networks behind a client, and ports of the gateway that lead to clients, with real processes."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import ROOT, Box, BoxNode
from morphnet.lab.homes import Home, homes
from morphnet.lab.meeting import Meeting
from morphnet.lab.topologies import SERVER, WORLD, Cable, End, Nat, Node, Route, Topology
from morphnet.lab.vpn import Daemon, Settings, Vpn, wait_for
from tests.lab.laptop import TOUCHED
from tests.lab.scene import NOT_HERE

LAN, PRINTER = "192.168.7.0/24", "192.168.7.5"
LAN6, PRINTER6 = "fd07::/64", "fd07::5"
HOME, GATE = "192.168.5.0/24", "192.168.5.1"  # the network that the desk is on itself, and its router
NEXT_TO_BERT = "192.168.2.0/24"
HOTEL = "nameserver 192.168.1.1\n"  # who does not answer
BACKBONE = "203.0.113.2"  # of homes: the isp
OUTSIDE = "203.0.113.254"  # a stranger in the world: the isp

# Says whom it was called by, once for each call; port as argument.
SERVICE = """
import socket, sys
door = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    link, caller = door.accept()
    link.sendall(caller[0].removeprefix("::ffff:").encode())
    link.close()
"""
DROPS = """
table inet mine {
  chain forwarded {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "morph0" accept
  }
}
"""
CALL = """
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).recv(99).decode())
except OSError as trouble:
    print("nobody:", trouble)
"""


def office() -> Topology:
    """A laptop with a printer behind it, a desk behind a router, and a gateway with a network of its own."""
    return Topology(
        "office",
        (
            Node("client", routes=(Route("default", "198.51.100.1"),)),
            Node("desk", routes=(Route("default", GATE),)),
            Node("router", True, (Route("default", "198.51.100.5"),)),
            Node("isp", True),
            Node("server", routes=(Route("default", OUTSIDE),)),
            Node("world", routes=(Route("192.168.0.0/16", "10.99.0.1"), Route("10.73.0.0/24", "10.99.0.1"))),
            Node("printer"),  # without any route: it answers its neighbours alone
        ),
        (
            Cable(End("client", "wan0", ("198.51.100.2/30",)), End("isp", "home0", ("198.51.100.1/30",))),
            Cable(End("desk", "wan0", ("192.168.5.2/24",)), End("router", "lan", (f"{GATE}/24",))),
            Cable(End("router", "wan", ("198.51.100.6/30",)), End("isp", "home1", ("198.51.100.5/30",))),
            Cable(End("server", "eth0", (f"{SERVER}/24",)), End("isp", "hosting", (f"{OUTSIDE}/24",))),
            Cable(End("server", "eth1", ("10.99.0.1/24",)), End("world", "eth0", (f"{WORLD}/24",))),
            Cable(
                End("client", "lan0", ("192.168.7.1/24", "192.168.99.1/32", "fd07::1/64")),
                End("printer", "eth0", (f"{PRINTER}/24", f"{PRINTER6}/64")),
            ),
        ),
        nats=(Nat("router", "lan", "wan"),),
    )


class BoxCase(SynchronousTestCase):
    """Somebody who serves, and somebody who calls."""

    skip = NOT_HERE
    rootless = False
    timeout = 120
    box: Box

    def serve(self, node: str, port: int) -> None:
        words = [sys.executable, "-c", SERVICE, str(port)]
        serving = self.box.node(node).popen(words, stdout=subprocess.PIPE, text=True)
        self.addCleanup(serving.wait, 10)
        self.addCleanup(serving.terminate)
        assert serving.stdout is not None
        self.addCleanup(serving.stdout.close)
        serving.stdout.readline()

    def seen(self, node: str, address: str, port: int = 9100, patience: float = 3.0) -> str:
        """As whom that node is seen there; "nobody..." when nothing answers."""
        words = [sys.executable, "-c", CALL, address, str(port), str(patience)]
        return str(self.box.node(node).run(words).stdout).strip()


class NetworksTests(BoxCase):
    """A laptop in front of a printer, by a split tunnel; a desk lets nothing out but through its own."""

    server: ClassVar[Settings] = {"reachable_from": ("10.99.0.0/24",), "forward": ("8080/tcp=laptop:80",)}
    split: ClassVar[Settings] = {"routes": ("10.73.0.0/24", "fd73::/64"), "advertise": (LAN, LAN6)}

    def setUp(self) -> None:
        self.box = Box(office())
        self.box.start()
        self.addCleanup(self.box.stop)
        self.vpn = Vpn(self.box, SERVER, self.server)
        self.addCleanup(self.vpn.stop)
        self.vpn.found()
        self.before = self.picture(self.box.node("client"))
        self.laptop = self.vpn.join(settings=self.split)
        self.desk = self.vpn.join("desk", "desk", {"advertise": (LAN, HOME, "10.99.0.0/25"), "strict": True})

    def picture(self, node: BoxNode) -> str:
        return str(node.run(["sh", "-c", TOUCHED]).stdout)

    def routes(self, *words: str) -> str:
        """`morphnet routes` on the gateway."""
        return self.vpn.server.morphnet("routes", *words, "--dir", str(self.vpn.server.etc))

    def states(self, daemon: Daemon) -> dict[tuple[str, str], str]:
        return {(each["client"], each["network"]): each["state"] for each in daemon.status()["networks"]}

    def in_vain(self, node: str, address: str) -> bool:
        return self.seen(node, address, patience=0.4).startswith("nobody")

    def approve(self) -> None:
        for network in (LAN, LAN6):
            said = self.routes("approve", "laptop", network)
            self.assertIn("it is reached now", said)

    def test_reached(self) -> None:
        """What is behind a laptop is reached when it is approved: from the gateway, its LAN, and other clients."""
        self.serve("printer", 9100)
        states = self.states(self.vpn.server)
        self.assertEqual((states["laptop", LAN], states["laptop", LAN6]), ("asked", "asked"))
        self.assertTrue(self.in_vain("desk", PRINTER))
        (said,) = (each for each in self.laptop.status()["warnings"] if each.startswith(f"{LAN} "))
        self.assertIn(f"`morphnet routes approve laptop {LAN}`", said)
        self.approve()
        for node, address in product(("server", "world", "desk"), (PRINTER, PRINTER6)):
            if (node, address) != ("world", PRINTER6):  # it has no IPv6
                ours = "fd07::1" if address == PRINTER6 else "192.168.7.1"  # so the printer needs no way back
                self.assertEqual(self.seen(node, address), ours, node)
        wait_for("the desk knows", lambda: self.states(self.desk).get(("", LAN)) == "used")
        self.standby()
        self.own_network()
        self.routes("revoke", "laptop", LAN6)
        self.assertEqual(
            (self.in_vain("desk", PRINTER6), self.states(self.vpn.server)["laptop", LAN6]), (True, "asked")
        )
        wait_for("the desk knows", lambda: ("", LAN6) not in self.states(self.desk))
        self.spoofed()
        self.ports()
        self.laptop.stop()
        self.assertEqual(self.picture(self.laptop.node), self.before)
        wait_for("the desk takes over", lambda: self.states(self.vpn.server)["desk", LAN] == "used")

    def standby(self) -> None:
        """The desk offers the same, and what the gateway has: one waits, the other is refused, each in a sentence."""
        said = self.routes("approve", "desk", LAN)
        self.assertIn(f"stands by while laptop has {LAN} behind it", said)
        wait_for("it is told", lambda: any("stands by" in each for each in self.desk.status()["warnings"]))
        (said,) = (each for each in self.desk.status()["warnings"] if each.startswith("10.99.0.0/25"))
        self.assertIn("overlaps 10.99.0.0/24, which the gateway reaches by eth1", said)

    def own_network(self) -> None:
        """The desk leads to the network that it is on itself, though it shuns that for itself."""
        self.serve("router", 9100)
        self.routes("approve", "desk", HOME)
        self.assertEqual([self.seen(node, GATE) for node in ("server", "world")], ["192.168.5.2"] * 2)

    def spoofed(self) -> None:
        """What the laptop sends from an address that is nobody's, or was approved before, is dropped and counted."""

        def counted() -> int:
            (session,) = (each for each in self.vpn.server.status()["sessions"] if each["name"] == "laptop")
            return int(session["counters"].get("spoofed", 0))

        def answered(address: str, target: str) -> bool:
            words = ["ping", "-n", "-c1", "-W1", "-I", address, target]
            return self.laptop.node.run(words).returncode == 0

        before = counted()
        self.assertTrue(answered("192.168.7.1", "10.73.0.1"))
        self.assertFalse(answered("192.168.99.1", "10.73.0.1"))
        self.assertFalse(answered("fd07::1", "fd73::1"))
        self.assertGreaterEqual(counted() - before, 2)

    def ports(self) -> None:
        """A port of the gateway leads to a laptop with a split tunnel, which sees the caller's own address."""
        self.serve("client", 80)
        self.assertEqual(self.seen("isp", SERVER, 8080), OUTSIDE)
        self.assertEqual(self.seen("desk", SERVER, 8080), "10.73.0.3")
        self.assertTrue(self.seen("isp", SERVER, 80, 0.4).startswith("nobody"))
        self.box.node("server").run(["nft", "-f", "-"], input=DROPS)
        wait_for("it is said", lambda: any("for [[forward]]" in each for each in self.vpn.server.status()["warnings"]))
        self.assertTrue(self.seen("isp", SERVER, 8080, 0.4).startswith("nobody"))

    def test_killed(self) -> None:
        """Gateway and laptop are killed: what was approved is reached again, and a stop leaves nothing behind."""
        self.serve("printer", 9100)
        self.approve()
        self.vpn.server.kill()
        self.vpn.server.start()
        wait_for("it is used", lambda: self.states(self.vpn.server).get(("laptop", LAN)) == "used")
        self.assertEqual(self.seen("desk", PRINTER), "192.168.7.1")
        self.laptop.kill()
        self.assertNotEqual(self.picture(self.laptop.node), self.before)
        self.laptop.settings["advertise"] = ""
        self.laptop.start()
        wait_for("a path", lambda: "active" in self.laptop.states().values())
        self.assertNotIn("masquerade", self.picture(self.laptop.node))
        self.assertEqual(self.states(self.vpn.server)["laptop", LAN], "idle")
        self.laptop.stop()
        self.assertEqual(self.picture(self.laptop.node), self.before)


class PeersTests(BoxCase):
    """Two homes behind routers and no gateway: a peer is a way to the network that it is on, and to the world."""

    def known(self, node: str, name: str) -> str:
        return str(self.box.node(node).run(["getent", "ahosts", name]).stdout)

    def test_exit(self) -> None:
        """By bert's router anna reaches what bert is next to, and the world, for as long as bert is there."""
        self.box = Box(homes((Home(), Home())))
        self.box.start()
        self.addCleanup(self.box.stop)
        meeting = Meeting(self.box)
        self.addCleanup(meeting.stop)
        meeting.found()
        wanted = {"mesh-exit": "bert", "mesh-through": f"bert={NEXT_TO_BERT}"}
        anna = meeting.join("m0", "anna", wanted)
        self.serve("nat1", 9100)
        self.serve("isp", 9100)
        words = [sys.executable, "-m", "tests.lab.resolver", BACKBONE, "wiki.example=192.0.2.80"]
        resolver = self.box.node("isp").popen(words, stdout=subprocess.DEVNULL, cwd=ROOT)
        self.addCleanup(resolver.wait, 10)
        self.addCleanup(resolver.terminate)
        self.box.node("m1").resolv(f"nameserver {BACKBONE}\n")
        self.box.node("m0").resolv(HOTEL)
        before = str(self.box.node("m1").run(["sh", "-c", TOUCHED]).stdout)
        self.assertEqual(self.seen("m0", BACKBONE), "198.51.100.2")  # anna's own router
        bert = meeting.join("m1", "bert", {"mesh-exit-for": "anna", "advertise": NEXT_TO_BERT})
        meeting.wait_met(("anna", "bert"))
        used = {("bert", "default"): "used", ("bert", NEXT_TO_BERT): "used"}
        wait_for(
            "anna knows", lambda: {(e["client"], e["network"]): e["state"] for e in anna.status()["networks"]} == used
        )
        self.assertEqual(self.seen("m0", "192.168.2.1"), "192.168.2.2")  # bert's address there
        self.assertEqual(self.seen("m0", BACKBONE), "198.51.100.6")  # bert's router
        self.assertTrue(meeting.ways("anna", "bert"))
        wait_for("names are asked there", lambda: "192.0.2.80" in self.known("m0", "wiki.example"))
        self.assertEqual(self.known("m0", "nobody.morph"), "")
        bert.stop()
        self.assertEqual(str(bert.node.run(["sh", "-c", TOUCHED]).stdout), before)
        wait_for("her names are her own", lambda: self.box.node("m0").dir.joinpath("resolv.conf").read_text() == HOTEL)
        wait_for("anna is by herself", lambda: self.seen("m0", BACKBONE, patience=1.0) == "198.51.100.2")
