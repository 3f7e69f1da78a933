"""What a client takes a server's word for, and what comes of two clients with one certificate; real processes."""

from __future__ import annotations

import shutil

from morphnet.lab.topologies import WORLD
from morphnet.lab.vpn import Daemon, wait_for
from morphnet.rendezvous.rivals import CLONED
from tests.lab.street import StreetCase, log_lines, told, until_active

WITHIN = 20.0  # seconds for a clone to be told what it is


class SplitTests(StreetCase):
    """A split tunnel, and a server that would have more."""

    rootless = False

    def test_pool_of_the_world(self) -> None:
        """Whatever the server's pool is: the world, the local network and names are reached as before; routes go in."""
        street = self.own({"pool4": "64.0.0.0/3", "pool6": "2000::/3", "dns": (WORLD,), "names_serve": False})
        settings = {"routes": ["10.99.0.0/24", "64.0.0.1/32"], "uplinks": ["wan0"]}
        client = street.vpn.enrol(settings=settings)
        targets = ("66.1.2.3", "93.184.216.34", "198.51.100.1", "2606:4700::1")

        def seen() -> list[str]:
            ways = [client.node.run(["ip", "route", "get", each]).stdout.split(" uid")[0] for each in targets]
            return [*ways, client.node.run(["cat", "/etc/resolv.conf"]).stdout]

        before = seen()
        client.start()
        until_active(client)
        self.assertEqual(seen(), before)
        self.assertEqual((street.ping(host=WORLD), street.ping(host="64.0.0.1")), (0, 0))
        self.assertEqual(len(told(client, "left-out")), 3)  # two networks, and DNS


class CloneTests(StreetCase):
    """The disk of a machine was copied to another one."""

    rootless = False

    def test_one_works(self) -> None:
        """The one that was there goes on; history, status and log of all three say why the other one does not."""
        street = self.shared()
        original, server = street.vpn.clients[0], street.server
        clone = Daemon(street.box.node("second"), "morph-client", "laptop", {})
        shutil.copytree(original.etc, clone.etc, ignore=shutil.ignore_patterns("run", "*.sock"))
        toml = clone.etc / "client.toml"
        toml.write_text(toml.read_text().replace(str(original.etc), str(clone.etc)))
        ends = len(told(original, "control-down"))
        self.addCleanup(clone.stop)
        clone.start()
        wait_for("the clone knows", lambda: CLONED in clone.status()["state"], WITHIN)
        wait_for("the original knows", lambda: bool(told(original, "notice")), WITHIN)
        self.assertEqual(street.ping(count=50), 0)
        self.assertEqual(len(told(original, "control-down")), ends)
        self.assertEqual(len(told(server, "rival")), 1)
        for daemon, words in ((original, "the server says"), (clone, "refuses us"), (server, "turned away")):
            lines = [line for line in log_lines(daemon, CLONED) if words in line]
            self.assertEqual(len(lines), 1, lines)
        for daemon in (original, server):
            self.assertIn("certificate", daemon.status()["warnings"][0])
        original.stop()
        until_active(clone, 40.0)
