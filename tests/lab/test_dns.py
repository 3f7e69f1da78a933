"""Names, as the C library of each machine finds them: of machines, of a split domain, of the world."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import ROOT, Box
from morphnet.lab.topologies import SERVER, WORLD
from morphnet.lab.vpn import Daemon, Settings, Vpn, wait_for
from tests.lab.scene import NOT_HERE
from tests.lab.test_networks import OUTSIDE, office

HOTEL = f"search hotel.example\nnameserver {OUTSIDE}\n"  # what both clients come with
CORP = "10.99.0.1"  # the gateway's own address there


class DnsTests(SynchronousTestCase):
    """
    A gateway in front of a resolver and of one for corp.example; a laptop that sends everything through it, and a desk
    with a split tunnel. Their own resolver, in the hotel, writes down what it is asked.
    """

    skip = NOT_HERE
    rootless = False
    timeout = 120
    server: ClassVar[Settings] = {"names_domains": f"corp.example={CORP}"}
    split: ClassVar[Settings] = {"routes": ("10.73.0.0/24", "fd73::/64"), "names_domains": "corp.example"}

    def setUp(self) -> None:
        self.box = Box(office())
        self.box.start()
        self.addCleanup(self.box.stop)
        self.asked: dict[str, Path] = {}
        self.resolver("world", WORLD, "wiki.example=192.0.2.80", "steals.example=10.73.0.1")
        self.resolver("server", CORP, "wiki.corp.example=10.99.0.80")
        self.resolver("isp", OUTSIDE, "wiki.example=192.0.2.66", "wiki.corp.example=192.0.2.66")
        for node in ("client", "desk"):
            self.box.node(node).resolv(HOTEL)
        self.box.node("server").resolv(f"nameserver {WORLD}\n")
        self.vpn = Vpn(self.box, SERVER, self.server)
        self.addCleanup(self.vpn.stop)
        self.vpn.found()
        self.laptop = self.vpn.join()
        self.desk = self.vpn.join("desk", "desk", self.split)
        for daemon in (self.laptop, self.desk):
            wait_for(f"{daemon.name} asks by the tunnel", lambda: "morph" in self.conf(daemon))  # noqa: B023

    def resolver(self, node: str, address: str, *known: str) -> None:
        words = [sys.executable, "-m", "tests.lab.resolver", address, *known]
        self.asked[node] = Path(self.box.node(node).dir) / "asked"
        with self.asked[node].open("w") as said:
            serving = self.box.node(node).popen(words, stdout=said, cwd=ROOT)
        self.addCleanup(serving.wait, 10)
        self.addCleanup(serving.terminate)
        wait_for(f"the resolver at {node}", lambda: "ready" in self.asked[node].read_text())

    def conf(self, daemon: Daemon) -> str:
        return (Path(daemon.node.dir) / "resolv.conf").read_text()

    def known(self, daemon: Daemon, *names: str) -> list[str]:
        """The first address that any program there finds for each name; "" for none."""
        words = (
            f"for name in {' '.join(names)}; do getent ahosts $name | head -n1 | cut -d' ' -f1 | grep . || echo; done"
        )
        return str(daemon.node.run(["sh", "-c", words]).stdout).split("\n")[: len(names)]

    def names_at(self, node: str) -> set[str]:
        return set(self.asked[node].read_text().split()) - {"ready"}

    def test_names(self) -> None:
        """Machines by name everywhere, a domain at its resolver, the world's names; nothing leaks, all is undone."""
        inner = {name: self.inner(daemon) for name, daemon in (("laptop", self.laptop), ("desk", self.desk))}
        for daemon in (self.laptop, self.desk):
            names = ("laptop.morph", "desk", "DESK.Morph", "gateway", "gw.morph", "phone.morph", "phone")
            own = [inner["laptop"][1], *[inner["desk"][1]] * 2, *["fd73::1"] * 2, "", ""]
            self.assertEqual(self.known(daemon, *names), own, self.conf(daemon))
            self.assertEqual(self.known(daemon, "wiki.corp.example"), ["10.99.0.80"])
        self.assertEqual(self.known(self.vpn.server, "laptop", "desk.morph"), [inner["laptop"][1], inner["desk"][1]])
        back = self.desk.node.run(["getent", "hosts", inner["laptop"][0]]).stdout
        self.assertEqual(back.split(), [inner["laptop"][0], "laptop.morph"])
        self.assertEqual(self.known(self.laptop, "wiki.example", "steals.example"), ["192.0.2.80", ""])
        self.assertEqual(self.known(self.desk, "wiki.example"), ["192.0.2.66"])  # as the hotel says
        asked = self.names_at("world") | self.names_at("isp") | self.names_at("server")
        self.assertEqual({each for each in asked if each.endswith((".morph", "73.10.in-addr.arpa"))}, set())
        self.assertNotIn("wiki.corp.example", self.names_at("world") | self.names_at("isp"))
        self.assertNotIn("wiki.example", self.names_at("server"))
        self.live()
        self.killed()

    def inner(self, daemon: Daemon) -> list[str]:
        return list(daemon.session()["inner"])

    def live(self) -> None:
        """Without a resolver of the world the gateway is asked for its own names alone, at once."""
        self.vpn.server.settings["dns"] = ""
        self.box.node("server").resolv("")
        wait_for(
            "the laptop asks the hotel again", lambda: self.known(self.laptop, "wiki.example") == ["192.0.2.66"], 15
        )
        self.assertEqual(self.known(self.laptop, "desk"), [self.inner(self.desk)[1]])

    def killed(self) -> None:
        """What a killed client has left is undone by its next start, and a stop leaves the file byte for byte."""
        self.desk.kill()
        self.assertNotEqual(self.conf(self.desk), HOTEL)
        self.desk.start()
        wait_for("the desk asks by the tunnel", lambda: "morph" in self.conf(self.desk))
        self.assertEqual(self.known(self.desk, "laptop"), [self.inner(self.laptop)[1]])
        for daemon in (self.laptop, self.desk):
            daemon.stop()
            self.assertEqual(self.conf(daemon), HOTEL)
        hosts = Path(self.vpn.server.node.dir) / "hosts"
        self.assertIn("laptop", hosts.read_text())
        self.vpn.server.stop()
        self.assertNotIn("laptop", hosts.read_text())
