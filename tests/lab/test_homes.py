"""What the homes of the lab promise besides their routers' tables (tests/lab/test_nat_table.py)."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError
from morphnet.lab.box import Box
from morphnet.lab.homes import RELAYS, Home, homes
from tests.lab.test_box import NOT_HERE

PYTHON = (sys.executable, "-c")

# Counts what arrives at UDP port 7000 until nothing does for a second.
COUNT = """
import socket
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind(("", 7000))
door.settimeout(10)
print("ready", flush=True)
count = 0
try:
    while True:
        count += len(door.recv(2000)) == 100
        door.settimeout(1)
except TimeoutError:
    print(count)
"""

# Ten datagrams of 100 bytes in one call (UDP_SEGMENT).
SEND = """
import socket, sys
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.setsockopt(socket.IPPROTO_UDP, 103, 100)
door.sendto(bytes(1000), (sys.argv[1], 7000))
"""


class HomesTests(SynchronousTestCase):
    skip = NOT_HERE

    def test_runs_are_packets(self) -> None:
        """A router that drops long packets drops no run of short ones that a machine sent in one go."""
        with Box(homes([Home("udp_small")])) as box:
            counting = box.node("relay").popen([*PYTHON, COUNT], stdout=subprocess.PIPE, text=True)
            assert counting.stdout is not None
            counting.stdout.readline()
            box.node("m0").run([*PYTHON, SEND, RELAYS[0]])
            self.assertEqual(counting.communicate()[0], "10\n")

    def test_unknown_kind(self) -> None:
        """There is no router of a kind that nobody has described."""
        with Box(homes([Home()])) as box, self.assertRaisesRegex(BugError, "no NAT kind eazy"):
            box.set_nat("nat0", "eazy")
