"""The server is reached and no data path works: the machine is not cut off from the world, or all of it is held."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import ClassVar

from morphnet.lab.topologies import SERVER
from morphnet.lab.vpn import BIN, Daemon, Settings, wait_for
from morphnet.roles.client.carrying import PATIENCE
from tests.lab.laptop import BEFORE, LaptopCase

OUTSIDE = "203.0.113.254"  # a host of the world: it answers with the tunnel and without


class NoPathTests(LaptopCase):
    """A laptop behind a router."""

    settings: ClassVar[Settings] = {"dns": ("10.73.0.1",)}

    def setUp(self) -> None:
        """The server runs."""
        super().setUp()
        self.vpn.found()

    def reaches(self, host: str = OUTSIDE, *words: str) -> bool:
        """Whether a ping comes back."""
        return self.laptop.run(["ping", "-n", "-c1", "-W1", *words, host]).returncode == 0

    def way(self, *words: str) -> str:
        """The device by which packets to the world leave."""
        told = self.laptop.run(["ip", "route", "get", OUTSIDE, *words]).stdout.split()
        return str(told[told.index("dev") + 1])

    def connected(self, client: Daemon) -> None:
        wait_for("the control link is up", lambda: client.status()["state"] == "connected")

    def test_udp_blocked(self) -> None:
        """Traffic goes on outside while UDP is blocked, into the tunnel with the first path, and out again later."""
        client = self.vpn.enrol(settings={"streams": False})
        self.box.set_nat("nat0", "udp_blocked")
        client.start()
        self.connected(client)
        self.assertEqual((self.way(), self.reaches(), client.states()), ("wan0", True, {"wan0": "probing"}))
        self.assertEqual(self.laptop.run(["cat", "/etc/resolv.conf"]).stdout, BEFORE)
        self.box.set_nat("nat0", "easy")
        wait_for("a path", lambda: client.states() == {"wan0": "active"})
        self.assertEqual((self.way(), self.reaches()), ("morph0", True))
        self.assertIn("10.73.0.1", self.laptop.run(["cat", "/etc/resolv.conf"]).stdout)
        self.box.set_nat("nat0", "udp_blocked")
        self.reaches()  # something asks for an answer
        wait_for("the way out is free", lambda: self.way() == "wan0", PATIENCE + 5)
        self.assertEqual((self.reaches(), self.way("from", "10.73.0.2")), (True, "morph0"))
        self.assertEqual(self.laptop.run(["cat", "/etc/resolv.conf"]).stdout, BEFORE)
        self.box.set_nat("nat0", "easy")
        wait_for("it is used again", lambda: self.way() == "morph0")

    def says(self, client: Daemon, *words: str) -> tuple[int, list[str]]:
        """Exit code and lines of a command."""
        done = self.laptop.run([str(BIN / "morphnet"), *words, "--dir", str(client.etc)])
        return done.returncode, done.stdout.splitlines()

    def test_words(self) -> None:
        """What is wrong is said: by `status` and its exit code, by `events`, and in the log, which has nothing else."""
        client = self.vpn.enrol(settings={"log_json": True, "streams": False})
        self.box.set_nat("nat0", "udp_blocked")
        client.start()
        self.connected(client)
        code, lines = self.says(client, "status")
        self.assertEqual(code, 3)
        self.assertIn("no data path: UDP 8000 does not get through on wan0;", " ".join(lines[1:3]))
        self.box.set_nat("nat0", "easy")
        wait_for("a path", lambda: client.states() == {"wan0": "active"})
        self.says(client, "console", "paths()")
        self.vpn.server.stop()
        wait_for("it is called", lambda: "call-failed" in [each["kind"] for each in client.happenings()])
        self.assertIn("control link: ", " ".join(self.says(client, "status")[1][1:4]))
        self.assertIn("is not reached", self.says(client, "events", "--last", "1")[1][0])
        client.stop()
        logged = [json.loads(line) for line in client.log.read_text().splitlines()]
        kinds = [each["kind"] for each in logged if "kind" in each]
        wanted = ["uplinks", "control-up", "path-active", "traffic-tunnel", "control-down", "call-failed"]
        self.assertEqual([kind for kind in kinds if kind in wanted], wanted)
        self.assertEqual({each["source"].partition(".")[0] for each in logged}, {"morphnet"})
        self.assertEqual([each["text"] for each in logged if "SSH" in each["text"] or "ssh" in each["source"]], [])

    def test_strict(self) -> None:
        """With `strict` nothing leaves but to the server: before it is there, with it, and when we are killed."""
        client = self.vpn.enrol(settings={"strict": True})
        self.vpn.server.stop()
        self.reaches()  # the router's address is known: ARP says nothing from now on
        seen = Path(self.laptop.dir) / "seen.pcap"
        sniffer = self.laptop.popen(
            ["tcpdump", "-ni", "wan0", "-Qout", "-U", "-w", str(seen), "ip or ip6"], stderr=subprocess.PIPE, text=True
        )
        assert sniffer.stderr is not None
        sniffer.stderr.readline()  # it listens
        client.start()
        self.assertEqual([self.reaches(), self.reaches("192.168.1.1"), self.reaches(OUTSIDE, "-Iwan0")], [False] * 3)
        self.vpn.server.start()
        wait_for("a path", lambda: client.states() == {"wan0": "active"}, 30)
        self.assertEqual((self.way(), self.reaches(), self.reaches("192.168.1.1")), ("morph0", True, False))
        self.vpn.server.morphnet("pki", "revoke", "laptop", "--dir", str(self.vpn.server.etc))
        wait_for("it is revoked", lambda: "refused" in client.status()["state"])
        self.assertFalse(self.reaches())
        client.kill()
        self.assertFalse(self.reaches())
        client.start()
        self.assertFalse(self.reaches())
        sniffer.terminate()
        sniffer.wait()
        others = self.laptop.run(["tcpdump", "-nr", str(seen), f"not host {SERVER} and not icmp6"]).stdout
        self.assertEqual(others, "")
        self.assertNotEqual(self.laptop.run(["tcpdump", "-c1", "-nr", str(seen), f"host {SERVER}"]).stdout, "")
        client.stop()
        self.assertTrue(self.reaches())

    def test_strict_no_more(self) -> None:
        """What a strict one that was killed has left is undone by the next start that is not strict."""
        client = self.vpn.join(settings={"strict": True})
        client.kill()
        self.assertFalse(self.reaches())
        client.settings["strict"] = False
        self.vpn.server.stop()
        client.start()
        self.assertTrue(self.reaches())
