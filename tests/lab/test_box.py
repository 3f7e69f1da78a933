"""Boxes: what the topologies promise, seen by processes in the nodes, and that nothing of them stays."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, HostError
from morphnet.lab import enter
from morphnet.lab.box import Box, environment
from morphnet.lab.topologies import SECOND, SERVER, SERVER6, WORLD, Route, Topology, Way, direct, two_uplinks
from tests.lab.test_enter import gone

PYTHON = (sys.executable, "-c")
NOT_HERE = enter.why_not() or (None if enter.privileged() else "not inside `python -m morphnet.lab.enter --`")

# Answers everybody, by UDP and TCP on port 7000 of the addresses in its arguments, with the address it was asked from.
# Each has its socket: one for all of them would answer from the first, whichever was asked.
ECHO = """
import json, selectors, socket, sys
chosen = selectors.DefaultSelector()
for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
    for host in sys.argv[1:]:
        door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host, 7000))
        if kind == socket.SOCK_STREAM:
            door.listen()
        chosen.register(door, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in chosen.select():
        if key.fileobj.type == socket.SOCK_DGRAM:
            _, asker = key.fileobj.recvfrom(100)
            key.fileobj.sendto(json.dumps(asker[:2]).encode(), asker)
        else:
            connection, asker = key.fileobj.accept()
            connection.sendall(json.dumps(asker[:2]).encode())
            connection.close()
"""

# Asks ECHO once for each line on stdin: [device, "udp" or "tcp", host, own port]; prints its answer or null.
ASK = """
import json, socket, sys
doors = {}
for line in sys.stdin:
    device, kind, host, port = json.loads(line)
    if (device, kind, port) not in doors:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        door = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        door.settimeout(0.5)
        if device:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        door.bind(("", port))
        if port:
            doors[device, kind, port] = door
    else:
        door = doors[device, kind, port]
    try:
        if kind == "udp":
            door.sendto(b"?", (host, 7000))
        else:
            door.connect((host, 7000))
        print(door.recv(100).decode(), flush=True)
    except OSError:
        print("null", flush=True)
"""


class Asker:
    """A process in a node that asks ECHO."""

    def __init__(self, box: Box, node: str) -> None:
        pipe = subprocess.PIPE
        self._process = box.node(node).popen([*PYTHON, ASK], stdin=pipe, stdout=pipe, text=True)

    def ask(self, device: str, kind: str, host: str, port: int = 0) -> list[Any] | None:
        """
        The address (host and port) that the other side saw, or None when no answer came.

        :param port: our own, kept open from one question to the next; 0: any, once.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([device, kind, host, port]), file=self._process.stdin, flush=True)
        seen: list[Any] | None = json.loads(self._process.stdout.readline())
        return seen

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def echo(box: Box, node: str, *hosts: str) -> None:
    """Start ECHO in a node, on these addresses."""
    process = box.node(node).popen([*PYTHON, ECHO, *hosts], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()


@functools.cache
def uplinks_box() -> tuple[Box, Asker]:
    """One box for many tests; it ends with the process."""
    box = Box(two_uplinks(v6=True, second_address=True), wires=False)
    box.start()
    echo(box, "server", SERVER, SECOND, SERVER6)
    echo(box, "client", "192.168.1.2")
    return box, Asker(box, "client")


class UplinksTests(SynchronousTestCase):
    """One box for all of these; whoever changes it puts it back."""

    skip = NOT_HERE

    def setUp(self) -> None:
        self.box, self.asker = uplinks_box()

    def ask(self, device: str, kind: str, host: str = SERVER, port: int = 0) -> list[Any] | None:
        return self.asker.ask(device, kind, host, port)

    def seen_host(self, device: str, kind: str, host: str = SERVER) -> str:
        """The public address by which the server saw the client; "" when it did not."""
        seen = self.ask(device, kind, host)
        return str(seen[0]) if seen else ""

    def test_each_uplink(self) -> None:
        """Each uplink leads to the server, by UDP and TCP, from the public address of its own router."""
        for kind in ("udp", "tcp"):
            seen = [self.seen_host(device, kind) for device in ("wan0", "wan1", "")]
            self.assertEqual(seen, ["198.51.100.2", "198.51.100.6", "198.51.100.2"])

    def test_second_address(self) -> None:
        """The server's other address is reached by both uplinks."""
        seen = [self.seen_host(device, "tcp", SECOND) for device in ("wan0", "wan1")]
        self.assertEqual(seen, ["198.51.100.2", "198.51.100.6"])

    def test_v6(self) -> None:
        """IPv6 is forwarded and not translated."""
        seen = [self.seen_host(device, "tcp", SERVER6) for device in ("wan0", "wan1")]
        self.assertEqual(seen, ["2001:db8:1::2", "2001:db8:2::2"])

    def test_world(self) -> None:
        """The world behind the server knows no way to the client, nor the client to it."""
        self.assertIsNone(self.ask("wan0", "udp", WORLD))

    def test_easy_nat(self) -> None:
        """An easy NAT keeps the port, for every destination."""
        seen = [self.ask("wan0", "udp", host, 5001) for host in (SERVER, SECOND)]
        self.assertEqual(seen, [["198.51.100.2", 5001]] * 2)

    def test_hard_nat(self) -> None:
        """A hard NAT gives every destination another port, and none the client's own."""
        self.box.set_nat("nat1", "hard")
        self.addCleanup(self.box.set_nat, "nat1", "easy")
        ports = {seen[1] for host in (SERVER, SECOND) if (seen := self.ask("wan1", "udp", host, 5002))}
        self.assertEqual(len(ports - {5002}), 2)

    def test_filtering(self) -> None:
        """Who reaches the client behind its router: nobody, those at an address that was sent to, everybody."""
        self.addCleanup(self.box.set_nat, "nat0", "easy")
        known, unknown = Asker(self.box, "server"), Asker(self.box, "isp")
        for asker in (known, unknown):
            self.addCleanup(asker.close)
        for kind, comes_in in (("easy", (False, False)), ("easy_af", (True, False)), ("one2one", (True, True))):
            self.box.set_nat("nat0", kind)
            self.assertEqual(self.ask("wan0", "udp", SERVER, 5005), ["198.51.100.2", 5005], kind)
            reached = tuple(asker.ask("", "udp", "198.51.100.2", 0) is not None for asker in (known, unknown))
            self.assertEqual(reached, comes_in, kind)

    def test_udp_blocked(self) -> None:
        """A router that blocks UDP lets TCP through."""
        self.box.set_nat("nat1", "udp_blocked")
        self.addCleanup(self.box.set_nat, "nat1", "easy")
        self.assertEqual((self.seen_host("wan1", "udp"), self.seen_host("wan1", "tcp")), ("", "198.51.100.6"))

    def test_firewall(self) -> None:
        """A firewall translates nothing and lets only answers in; without one, strangers come in too."""
        home = Route("192.168.1.0/24", "198.51.100.2")
        self.box.route("isp", add=[home])
        self.addCleanup(self.box.route, "isp", remove=[home])
        self.addCleanup(self.box.set_nat, "nat0", "easy")
        stranger = Asker(self.box, "server")
        self.addCleanup(stranger.close)
        for kind, answer in (("firewall", None), ("none", "203.0.113.1")):
            self.box.set_nat("nat0", kind)
            seen = stranger.ask("", "udp", "192.168.1.2", 0)
            self.assertEqual(seen[0] if seen else None, answer, kind)
            self.assertEqual(self.seen_host("wan0", "udp"), "192.168.1.2", kind)

    def test_flush(self) -> None:
        """A NAT that forgot its mappings makes them anew; an easy one comes to the same port."""
        before = self.ask("wan0", "udp", SERVER, 5003)
        self.box.flush_nat("nat0")
        self.assertEqual(self.ask("wan0", "udp", SERVER, 5003), before)

    def test_remap(self) -> None:
        """After each remapping the client's packets come from another public port; the other NAT keeps its own."""
        ports = []
        for _ in range(3):
            ports += (self.ask("wan0", "udp", SERVER, 5004) or [0, 0])[1:]
            other = self.ask("wan1", "udp", SERVER, 5005)
            self.box.remap_nat("nat0")
            self.assertEqual(self.ask("wan1", "udp", SERVER, 5005), other)
        self.assertEqual(len({*ports} - {0}), 3, ports)
        self.box.set_nat("nat0", "easy")

    def test_link(self) -> None:
        """A device that went down leads nowhere; up again it leads where it did, by IPv6 too."""
        self.box.link_down("client", "wan0")
        try:
            self.assertEqual(self.seen_host("", "udp"), "198.51.100.6")
        finally:
            self.box.link_up("client", "wan0")
        self.assertEqual(self.seen_host("", "udp"), "198.51.100.2")
        self.assertEqual(self.seen_host("wan0", "tcp", SERVER6), "2001:db8:1::2")

    def test_address(self) -> None:
        """A device can change its address; what is not there cannot be taken away, and that is said."""
        self.box.set_nat("nat1", "none")
        self.addCleanup(self.box.set_nat, "nat1", "easy")
        home, way = Route("192.168.2.0/24", "198.51.100.6"), Route("default", "192.168.2.1", "wan1", 101)
        self.box.route("isp", add=[home])
        self.addCleanup(self.box.route, "isp", remove=[home])
        for new, old in (("192.168.2.77/24", "192.168.2.2/24"), ("192.168.2.2/24", "192.168.2.77/24")):
            self.box.address("client", "wan1", add=[new], remove=[old])
            self.box.route("client", add=[way])
            self.assertEqual(self.seen_host("wan1", "udp"), new.partition("/")[0])
        error = self.assertRaises(HostError, self.box.address, "client", "wan1", remove=["192.168.2.99/24"])
        self.assertIn("remove_address wan1 192.168.2.99/24", str(error))

    def test_names(self) -> None:
        """Each node has names of its own."""
        self.box.node("client").hosts({"gw.example": SERVER})
        code = "import socket; print(socket.gethostname(), socket.gethostbyname('gw.example'))"
        self.assertEqual(self.box.node("client").run([*PYTHON, code]).stdout, f"client {SERVER}\n")
        self.assertNotEqual(self.box.node("server").run([*PYTHON, code]).returncode, 0)

    def test_wrong_names(self) -> None:
        """A node, wire or NAT that is not there is our own mistake."""
        for wrong in (self.box.node, self.box.wire, self.box.remap_nat):
            self.assertRaises(BugError, wrong, "nowhere")


class WireTests(SynchronousTestCase):
    skip = NOT_HERE

    def test_wire(self) -> None:
        """A wire of the topology has its delay, and can be changed while it is in use."""
        with Box(direct(Way(delay=0.05))) as box:
            echo(box, "server", SERVER)
            asker = Asker(box, "client")
            asker.ask("wan0", "udp", SERVER, 5001)  # neighbours get to know each other
            begun = time.monotonic()
            self.assertEqual(asker.ask("wan0", "udp", SERVER, 5001), ["203.0.113.2", 5001])
            self.assertGreater(time.monotonic() - begun, 0.1)
            box.wire("wan0").black_hole()
            self.assertIsNone(asker.ask("wan0", "udp", SERVER, 5001))
            box.wire("wan0").heal()
            self.assertEqual(asker.ask("wan0", "udp", SERVER, 5001), ["203.0.113.2", 5001])
            asker.close()


class EndTests(SynchronousTestCase):
    skip = NOT_HERE

    def test_nothing_stays(self) -> None:
        """Afterwards there is no process of it, not even one that went into the background, and no file."""
        detach = (
            "import os, time\nos.fork() and os._exit(0); os.setsid()\nprint(os.getpid(), flush=True); time.sleep(60)"
        )
        with Box(direct()) as box:
            done = box.node("client").popen([*PYTHON, detach], stdout=subprocess.PIPE)
            assert done.stdout is not None
            pids = [int(done.stdout.readline()), *(node.pid for node in box.nodes.values())]
            done.stdout.close()
            place = box.dir
        self.assertFalse(place.exists())
        self.assertTrue(all(gone(pid) for pid in pids))
        self.assertRaises(BugError, box.change, "client", [])
        box.stop()

    def test_maker_ended(self) -> None:
        """By SIGTERM nothing stays; by kill -9 no process does."""
        code = """
import time
from morphnet.lab.box import Box
from morphnet.lab.topologies import Way, direct
with Box(direct(Way(delay=0.01))) as box:
    print(*(node.pid for node in box.nodes.values()), box._wire.pid, box._configure.pid, box.dir, flush=True)
    time.sleep(60)
"""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with subprocess.Popen([*PYTHON, code], stdout=subprocess.PIPE, env=environment(), text=True) as maker:
                assert maker.stdout is not None
                *pids, place = maker.stdout.readline().split()
                maker.send_signal(number)
                maker.wait(10)
            self.assertEqual([pid for pid in pids if not gone(int(pid))], [])
            if number == signal.SIGTERM:
                self.assertFalse(Path(place).exists())
                self.assertEqual(maker.returncode, 128 + number)
            else:
                subprocess.run(["rm", "-r", place], check=True)

    def test_handler_kept(self) -> None:
        """Who answered SIGTERM before does so again afterwards."""
        before = signal.getsignal(signal.SIGTERM)
        with Box(direct()):
            pass
        self.assertEqual(signal.getsignal(signal.SIGTERM), before)

    def test_refused(self) -> None:
        """A network that cannot be made is an error that names the step, and nothing of it stays."""
        wanted = direct()
        twice = Topology("twice", wanted.nodes, (*wanted.cables, *wanted.cables))
        box = Box(twice)
        error = self.assertRaises(HostError, box.start)
        self.assertIn("veth", str(error))
        self.assertTrue(all(gone(node.pid) for node in box.nodes.values()))
        self.assertFalse(any(os.path.exists(node.dir) for node in box.nodes.values()))
