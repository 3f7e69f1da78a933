"""A port at the router: asked for, used from outside, given back. The product's code against the lab's real router."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.nft import Mapping
from morphnet.lab.portmapper import FIRST_PORT, LAST_PORT, Lease, Leases, PortMapper
from morphnet.lab.topologies import Uplink, uplinks
from morphnet.wire.pcp import UDP, MapRequest, PcpMapping, WrongVersion, decode_answer, encode_pcp
from tests.lab.scene import NOT_HERE

OUTSIDE, INSIDE = "198.51.100.2", "192.168.1.2"  # the router's address in `uplinks`, and the client's
PORT = 5000
QUIET = 0.4  # seconds in which what comes at all would have come

# Sends a datagram from a fresh socket to host and port, and prints the answer or nothing.
SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
    door.settimeout(float(sys.argv[3]))
    door.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
    try:
        print(door.recv(100).decode())
    except TimeoutError:
        pass
"""

# Takes a port of a router for port 7777 of ours, by NAT-PMP.
TAKE = """
import socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
    door.settimeout(5)
    door.sendto(struct.pack("!BBxxHHI", 0, 1, 7777, int(sys.argv[2]), 60), (sys.argv[1], 5351))
    door.recv(100)
"""


class Process:
    """A process in a node that says JSON lines."""

    def __init__(self, box: Box, node: str, *words: str) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", *words]
        # The sources of the tests are beside those of the product, and in no package that is installed.
        self.process = box.node(node).popen(command, stdin=pipe, stdout=pipe, bufsize=0, cwd=Path(__file__).parents[2])
        self._rest = b""

    def line(self, within: float = 10.0) -> str:
        """The next line; "" when there is none in so many seconds."""
        until = time.monotonic() + within
        while b"\n" not in self._rest:
            assert self.process.stdout is not None
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            said = self.process.stdout.read(4096) if ready else b""
            if not said:
                return ""
            self._rest += said
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def tells(self, within: float = 10.0) -> dict[str, Any]:
        """The next line."""
        return dict(json.loads(self.line(within) or "{}"))

    def order(self, word: str) -> None:
        """One line to its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.terminate()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


class PortMappingTests(SynchronousTestCase):
    """One home behind a hard NAT; the server is the outside."""

    rootless = False  # nothing of it depends on who one is

    skip = NOT_HERE
    timeout = 60

    def setUp(self) -> None:
        self.box = Box(uplinks([Uplink(nat="hard")]), wires=False)
        self.box.start()
        self.addCleanup(self.box.stop)

    def started(self, node: str, *words: str) -> Process:
        """It has said its first line."""
        process = Process(self.box, node, *words)
        self.addCleanup(process.close)
        self.assertIn("ready", process.line())
        return process

    def router(self, *words: str) -> Process:
        """The port mapper of the home."""
        ways = ("--inside", "lan", "--outside", "wan", "--address", OUTSIDE)
        return self.started("nat0", "morphnet.lab.portmapper", *ways, *words)

    def socket(self) -> Process:
        """The socket in the home."""
        return self.started("client", "tests.lab.mapped_socket", "wan0", str(PORT))

    def knock(self, port: int) -> str:
        """Send to the router from outside: the answer, or nothing."""
        command = [sys.executable, "-c", SEND, OUTSIDE, str(port), str(QUIET)]
        return self.box.node("server").run(command).stdout.strip()

    def test_both_protocols(self) -> None:
        """By PCP or by NAT-PMP: what comes to the port outside reaches the socket, until it is given back."""
        for speaks in ("pcp,pmp", "pmp"):
            router, ours = self.router("--speaks", speaks), self.socket()
            self.assertEqual(self.knock(PORT), "", "nobody may come in yet")
            ours.order("start")
            self.assertEqual(ours.tells(), {"mapped": [OUTSIDE, PORT]})
            self.assertEqual(router.tells(), {"mappings": [[17, PORT, INSIDE, PORT]]})
            self.assertEqual(self.knock(PORT), "hello", speaks)
            came = ours.tells()
            self.assertEqual((came.get("came"), came.get("source", [""])[0]), ("hello", "203.0.113.1"))
            ours.order("stop")
            self.assertEqual([ours.tells(), ours.tells()], [{"unmapped": "stopped"}, {"done": True, "strangers": 0}])
            self.assertEqual(router.tells(), {"mappings": []})
            self.assertEqual(self.knock(PORT), "", "it was given back")
            for process in (ours, router):
                process.close()

    def test_another_port(self) -> None:
        """When the port that we should like is taken, another is given, and leads to ours."""
        router, ours = self.router(), self.socket()
        self.box.node("client").run([sys.executable, "-c", TAKE, "192.168.1.1", str(PORT)])
        self.assertEqual(router.tells(), {"mappings": [[17, PORT, INSIDE, 7777]]})
        ours.order("start")
        self.assertEqual(ours.tells(), {"mapped": [OUTSIDE, 49152]})
        self.assertEqual((self.knock(49152), self.knock(PORT)), ("hello", ""))

    def test_renewed(self) -> None:
        """A mapping outlives its lifetime as long as it is renewed, and ends by itself when it is not."""
        router, ours = self.router("--longest", "8"), self.socket()
        ours.order("start")
        self.assertEqual(ours.tells(), {"mapped": [OUTSIDE, PORT]})
        self.assertEqual(len(router.tells()["mappings"]), 1)
        time.sleep(9)
        self.assertEqual(self.knock(PORT), "hello")
        ours.process.kill()
        self.assertEqual(router.tells(), {"mappings": []})

    def test_router_ends(self) -> None:
        """A router that ends takes its rules with it; the next one gives the port again as soon as it is asked."""
        router, ours = self.router(), self.socket()
        ours.order("start")
        self.assertEqual(ours.tells(), {"mapped": [OUTSIDE, PORT]})
        router.close()
        self.assertEqual(self.knock(PORT), "")
        self.router()
        ours.order("network_changed")
        self.assertEqual(self.until_knocked(), "hello")

    def until_knocked(self) -> str:
        """Knock until somebody answers, five times at most."""
        answers = (self.knock(PORT) for _ in range(5))
        return next((answer for answer in answers if answer), "")

    def test_kind_changed(self) -> None:
        """Mappings outlive a change of what the NAT is."""
        self.router()
        ours = self.socket()
        ours.order("start")
        self.assertEqual(ours.tells(), {"mapped": [OUTSIDE, PORT]})
        for kind in ("easy", "one2one", "hard"):
            self.box.set_nat("nat0", kind)
            self.assertEqual(self.knock(PORT), "hello", kind)


class RefusalTests(SynchronousTestCase):
    """What the lab's router says no to; no network is needed for it."""

    def said(self, request: MapRequest, source: str = INSIDE) -> int:
        """The result of a request in PCP."""
        answer = decode_answer(self.mapper.answer(encode_pcp(request), source, 5.0) or b"")
        assert isinstance(answer, PcpMapping)
        return answer.result

    def setUp(self) -> None:
        self.mapper = PortMapper(OUTSIDE, Leases(), ("pcp", "pmp"), 0.0)
        self.request = MapRequest(INSIDE, b"123456789012", UDP, PORT, 60)

    def test_refused(self) -> None:
        """Another source than the request tells, a mapping of somebody else, a protocol without ports."""
        self.assertEqual(self.said(self.request, "192.168.1.3"), 12)
        self.assertEqual(self.said(self.request), 0)
        self.assertEqual(self.said(replace(self.request, nonce=b"another one!")), 2)
        self.assertEqual(self.said(replace(self.request, protocol=1)), 3)

    def test_versions(self) -> None:
        """A version that it does not speak is answered in one that it does."""
        for speaks, request, version in (("pcp", b"\0\0", 2), ("pmp", encode_pcp(self.request), 0)):
            self.mapper = PortMapper(OUTSIDE, Leases(), (speaks,), 0.0)
            self.assertEqual(decode_answer(self.mapper.answer(request, INSIDE, 5.0) or b""), WrongVersion(version))

    def test_nonsense(self) -> None:
        """Answers and scraps get no answer; an opcode that it does not know does."""
        for nonsense in (b"", b"\0", b"\2\x81" + bytes(58), b"\2\1" + bytes(8), b"\0\1" + bytes(5)):
            self.assertIsNone(self.mapper.answer(nonsense, INSIDE, 5.0))
        self.assertEqual((self.mapper.answer(b"\2\2" + bytes(58), INSIDE, 5.0) or b"")[:4], b"\2\x82\0\4")
        self.assertEqual((self.mapper.answer(b"\0\7", INSIDE, 5.0) or b"")[:4], b"\0\x87\0\5")

    def test_no_ports_left(self) -> None:
        """When all ports are given out, that is said."""
        leases = self.mapper.leases
        for port in range(FIRST_PORT, LAST_PORT + 1):
            leases._leases[UDP, "192.168.1.9", port] = Lease(Mapping(UDP, port, "192.168.1.9", port), b"", 60.0)
        self.assertEqual(self.said(self.request), 8)
        leases.expire(61.0)
        self.assertEqual(self.said(self.request), 0)
