"""Debian's wireguard-go, untouched, over a carry: figure A9."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import ClassVar

from morphnet.config.wgquick import OVERHEAD
from morphnet.lab.topologies import Route
from morphnet.lab.vpn import Daemon
from tests.lab.case import LabCase, Ping, Plan, rest
from tests.lab.pcap import Packet, packets
from tests.lab.users import only_one
from tests.lab.wireguard import INNER, MTU, WireGuard, lacking

TABLE = 51820  # and mark, as wg-quick takes them
LISTEN, SERVICE, NAMES, MORE_NAMES = 51821, 51820, 5353, 5354  # UDP ports on loopback
NOBODY = 65534
ECHOES, NARROW = 20, 1280
IN_HAND = 2  # echoes that WireGuard has been given, or has answered, when a process is killed
FULL = 1472  # bytes of UDP payload that a link of 1500 takes by IPv4
FINE = 40  # bytes: how fine the search for the largest datagram goes, and some
LARGE = 300  # bytes: no heartbeat, and no acknowledgement
AS_NOBODY = (str(Path(__file__).with_name("as_nobody.sh")),)

# Answers every question with the address of who asks, so that each asker knows its own answer; UDP port as argument.
DNS = """
import socket, sys
from twisted.names import dns
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, sender = door.recvfrom(4096)
    asked = dns.Message()
    asked.fromStr(data)
    reply = dns.Message(asked.id, answer=True)
    reply.queries = asked.queries
    name = asked.queries[0].name.name
    number = int(name.split(b".")[0])
    reply.answers.append(dns.RRHeader(name, dns.A, payload=dns.Record_A(f"10.1.0.{number}")))
    door.sendto(reply.toStr(), sender)
"""

# Asks from several sockets at once, each for a name of its own; prints how many were told what they had asked for.
ASK = """
import socket, sys
from twisted.names import dns
askers, right = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)], 0
for number, door in enumerate(askers):
    question = dns.Message(number)
    question.addQuery(f"{number}.example", dns.A)
    door.settimeout(5)
    door.sendto(question.toStr(), ("127.0.0.1", int(sys.argv[1])))
for number, door in enumerate(askers):
    reply = dns.Message()
    reply.fromStr(door.recv(4096))
    right += reply.id == number and reply.answers[0].payload.dottedQuad() == f"10.1.0.{number}"
print(right)
"""


CARRY = f"127.0.0.1:{LISTEN}=wireguard,127.0.0.1:{NAMES}=dns"
PLAN = Plan(
    server=(("carry_services", f"wireguard=127.0.0.1:{SERVICE},dns=127.0.0.1:{NAMES}"),),
    client=(("tun", ""), ("carry", CARRY)),
)


class CarryCase(LabCase):
    """A client that carries to a name server, which tells who asks what was asked."""

    plan: ClassVar[Plan] = PLAN

    def serve_names(self) -> None:
        """At the server's own port."""
        serving = self.server.node.popen([sys.executable, "-c", DNS, str(NAMES)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(serving.wait, 10)
        self.addCleanup(serving.terminate)
        assert serving.stdout is not None
        self.addCleanup(serving.stdout.close)
        serving.stdout.readline()

    def asking(self, port: int) -> subprocess.Popen[str]:
        """Twenty askers at that port of the client's; it says how many were told what they had asked for."""
        asking: subprocess.Popen[str] = self.here.popen(
            [sys.executable, "-c", ASK, str(port)], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(asking.wait)
        self.addCleanup(asking.kill)
        return asking


class CarryTests(CarryCase):
    """A client without a TUN device, with two uplinks; wireguard-go at both ends knows nothing of it."""

    rootless = False  # what ordinary users can is shown below
    skip = LabCase.skip or lacking("wireguard-go", "wg")

    def setUp(self) -> None:
        super().setUp()
        self.octet = 2
        here, there = (WireGuard(self.box.node(name), name) for name in INNER)
        for end in (here, there):
            self.addCleanup(end.end)
        there.listen(SERVICE)
        there.meet(here)
        here.meet(there, "endpoint", f"127.0.0.1:{LISTEN}")
        for name, inner in INNER.items():
            self.box.change(name, [("up", "wg0", MTU), ("add_address", "wg0", f"{inner}/24")])
        self.wg, self.there = here, there
        self.breathes(INNER["server"])
        self.first = here.handshake_at()
        self.assertGreater(self.first, 0)

    def echoes(self, *words: str) -> Ping:
        return self.ping(*words, host=INNER["server"])

    def nothing_lost(self, ping: Ping, most: int = 0) -> None:
        """And WireGuard has not noticed: there was no handshake but the first."""
        rest(1.0)
        self.lost_at_most(ping.end(), most)
        self.assertEqual(self.wg.handshake_at(), self.first)

    def test_cuts(self) -> None:
        """Each uplink in turn is pulled, then swallows everything: no echo is lost, and there is no other handshake."""
        ping = self.echoes()
        for uplink in ("wan0", "wan1"):
            with self.no_uplink_but(uplink):
                rest(0.5)
            self.both_active()
        self.box.wire("wan0").black_hole()
        rest(2.0)
        self.box.wire("wan0").heal()
        self.both_active()
        self.nothing_lost(ping)

    def test_roaming(self) -> None:
        """The client's address changes, and both NATs forget: the same."""
        ping = self.echoes()
        for octet in (77, 2):
            was, self.octet = self.octet, octet
            self.box.address("client", "wan0", remove=[f"192.168.1.{was}/24"])
            self.box.address("client", "wan0", add=[f"192.168.1.{octet}/24"])
            self.box.route("client", add=[Route("default", "192.168.1.1", "wan0", 100)])
            rest(1.0)
        for nat in ("nat0", "nat1"):
            self.box.remap_nat(nat)
        rest(1.5)
        self.both_active()
        self.nothing_lost(ping)

    def test_server_restarted(self) -> None:
        """morph-server is told to end: no echo is lost; it is killed: at most those in hand. No other handshake."""
        for end, most in ((self.server.stop, 0), (self.server.kill, IN_HAND)):
            ping = self.echoes()
            rest(0.5)
            end()
            self.server.start()
            self.both_active()
            self.nothing_lost(ping, most)

    def test_default_route(self) -> None:
        """As wg-quick does for 0.0.0.0/0: all goes into wg0, and the carry, begun anew behind it, is not drawn in."""
        self.wg.meet(self.there, "allowed-ips", "0.0.0.0/0")
        self.here.run(["wg", "set", "wg0", "fwmark", str(TABLE)], check=True)
        rules = (f"not fwmark {TABLE} table {TABLE}", "table main suppress_prefixlength 0")
        self.ip(f"route add default dev wg0 table {TABLE}")
        for rule in rules:
            self.ip(f"rule add {rule}")
            self.addCleanup(self.ip, f"rule del {rule}")
        self.assertIn("dev wg0", self.ip("route get 198.18.0.1"))
        self.client.stop()
        self.client.start()
        self.both_active()
        self.breathes(INNER["server"])
        self.assertEqual(self.wg.handshake_at(), self.first)

    def ip(self, words: str) -> str:
        return str(self.here.run(["ip", *words.split()], check=True).stdout)

    def test_large(self) -> None:
        """
        Full packets of 1420 bytes pass links of 1500, each as two datagrams of ours, of which IP cuts none; with the
        MTU of `morphnet wrap` each is one.
        """
        for end in (self.client, self.server):
            self.until("the largest datagram is found", partial(self.carries_full, end))
        for mtu, parts in ((MTU, 2), (1500 - OVERHEAD, 1)):
            self.box.change("client", [("up", "wg0", mtu)])
            found = self.passing(mtu)
            large, wanted = [each for each in found if each.size > LARGE], 2 * ECHOES * parts
            self.assertTrue(wanted <= len(large) <= wanted * 1.25, found)  # one that is late is sent again
            self.assertEqual([each for each in found if each.fragment or each.size > 1500], [])

    def test_narrow(self) -> None:
        """When both links begin to swallow what is larger than 1280 bytes, no full packet is lost."""
        full = str(1500 - OVERHEAD - 28)
        self.box.change("client", [("up", "wg0", 1500 - OVERHEAD)])
        ping, wires = self.echoes("--size", full), [self.box.wire(name) for name in ("wan0", "wan1")]
        for wire in wires:
            wire.both(mtu=NARROW)
            self.addCleanup(wire.both, mtu=None)
        rest(1.5)
        self.nothing_lost(ping)
        self.assertTrue(all(wire.counters()["there"]["dropped_mtu"] for wire in wires))

    def carries_full(self, end: Daemon) -> bool:
        """Whether each path takes what a link of 1500 does."""
        return all(FULL - FINE < path["mtu"] <= FULL for path in end.paths().values())

    def passing(self, mtu: int) -> list[Packet]:
        """What is on both wires while ECHOES as large as that pass."""
        wires = {self.box.wire(name): Path(self.box.dir) / f"{name}.pcap" for name in ("wan0", "wan1")}
        for wire, captured in wires.items():
            wire.capture(str(captured))
            self.addCleanup(captured.unlink, missing_ok=True)
        try:
            self.assertEqual(self.echoes("--count", str(ECHOES), "--size", str(mtu - 28)).wait()["lost"], 0)
        finally:
            for wire in wires:
                wire.capture(None)
        return [each for captured in wires.values() for each in packets(captured)]

    def test_names(self) -> None:
        """Twenty askers at one port are each told what they have asked for."""
        self.serve_names()
        self.assertEqual(self.asking(NAMES).communicate()[0], "20\n")
        carries = {each["service"]: each for each in self.server.status()["carries"]}
        self.assertEqual((carries["dns"]["users"], carries["wireguard"]["users"] > 0), (20, True))
        (dns,) = (each for each in self.client.status()["carries"] if each["service"] == "dns")
        self.assertEqual((dns["users"], dns["received_bytes"] > 0), (20, True))


class OrdinaryTests(CarryCase):
    """A client that is somebody else's, or has a tunnel as well."""

    rootless = False  # it takes two users
    skip = LabCase.skip or only_one()

    def test_ordinary_user(self) -> None:
        """A user without any privilege or TUN device has three carries at once by both uplinks, and changes nothing."""
        before = self.here.run(["sh", "-c", "ip link; ip rule; ip route show table all"]).stdout
        self.client.stop()
        self.addCleanup(self.client.start)
        self.client = self.ordinary()
        self.both_active()
        pid = self.client.pid()
        told = Path(f"/proc/{pid}/status").read_text()
        self.assertIn(f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}", told)
        self.assertIn("CapPrm:\t0000000000000000", told)
        self.assertNotIn("/dev/net/tun", {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()})
        self.serve_names()
        asking = [self.asking(port) for port in (NAMES, MORE_NAMES, LISTEN)]
        self.assertEqual([each.communicate()[0] for each in asking], ["20\n"] * 3)
        users = {each["address"]: each["users"] for each in self.client.status()["carries"]}
        self.assertEqual(list(users.values()), [20, 20, 20], users)
        self.assertEqual(self.here.run(["sh", "-c", "ip link; ip rule; ip route show table all"]).stdout, before)

    def ordinary(self) -> Daemon:
        """The same client, of another user from now on."""
        place = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, place)
        here = Daemon(self.here, "morph-client", "laptop", self.client.settings)
        here.settings["carry"] = ",".join(f"127.0.0.1:{port}=dns" for port in (NAMES, MORE_NAMES, LISTEN))
        here.dir, here.log, here.under = place / "laptop", place / "log", AS_NOBODY
        shutil.copytree(self.client.etc, here.etc, ignore=shutil.ignore_patterns("*.sock"))
        toml = here.etc / "client.toml"
        toml.write_text(toml.read_text().replace(str(self.client.etc), str(here.etc)))
        for each in (place, *place.rglob("*")):
            os.chown(each, NOBODY, NOBODY)
        here.start()
        self.addCleanup(self.end, here)
        return here

    def end(self, daemon: Daemon) -> None:
        """The shell that it is under waits for it."""
        assert daemon.process is not None
        os.kill(daemon.pid(), signal.SIGTERM)
        daemon.process.wait(15)
        self.assertNotIn("Traceback", daemon.log.read_text())

    def test_beside_a_tunnel(self) -> None:
        """Echoes pass by the TUN while names are asked for by a carry."""
        self.client.stop()
        without = self.client.settings.pop("tun")
        self.client.start()
        self.addCleanup(self.client.start)
        self.addCleanup(self.client.settings.update, tun=without)
        self.addCleanup(self.client.stop)
        self.both_active()
        self.serve_names()
        ping = self.ping()
        self.assertEqual(self.asking(NAMES).communicate()[0], "20\n")
        self.lost_at_most(ping.end(), 0)
