"""What a process holds does not grow, however often links break and addresses change; figure H3."""

from __future__ import annotations

import ast
import os
from collections import Counter
from pathlib import Path

from morphnet.lab.topologies import Route
from morphnet.lab.vpn import Daemon
from morphnet.tunnel.connection_ids import MAX_IN_HAND
from morphnet.tunnel.tunnel import IDS_PER_SESSION
from tests.lab.case import LabCase, rest

WARM, CYCLES = 3, 12  # each with a control link cut, a session dropped, two moves, a path closed and opened
# Of anything: sockets of who asks or is asked just now; a stream and its path, which are kept for a minute after UDP
# works again. One left behind by each cycle would be CYCLES of them.
COMING_AND_GOING = 2
OURS = ("Session", "Path", "UdpDoor", "ServerLink", "ClientLink", "TLSMemoryBIOProtocol", "Connection", "_Race")
CLIENTS = 1
# What may vary below these. `_counted` and `_owed` change with each write of traffic.
BOUNDS = {"_shown": IDS_PER_SESSION, "in_hand": MAX_IN_HAND, "_timers": 64, "_counted": CLIENTS, "_owed": CLIENTS}

# In the process: the sizes of its tables, and how many it has of what comes and goes with links, paths and sessions. An
# object of a compiled class has no __dict__.
SIZES = f"""
(__import__("gc").collect(), [
    {{name: len(table) for name in (vars(one) if hasattr(one, "__dict__") else dir(one))
     if not name.startswith("__") and isinstance(table := getattr(one, name, None), (dict, list, set))}}
    for one in (node, getattr(node, "traffic", node), node.tunnel, *node.tunnel.sessions.values())
], {{kind: sum(type(one).__name__ == kind for one in __import__("gc").get_objects()) for kind in {OURS}}})[1:]
"""


class FlatTests(LabCase):
    """Real processes, and a network that does not rest."""

    rootless = False  # nothing of it depends on who one is
    alone = True

    def test_reconnects_and_moves(self) -> None:
        """After many reconnects and moves both ends have as many files, tables, sessions and links as before."""
        self.octet = 2
        for _ in range(WARM):
            self.cycle()
        before = self.settled()
        for _ in range(CYCLES):
            self.cycle()
        for (files, held), (files_before, held_before) in zip(self.settled(), before, strict=True):
            more = {name: count - held_before[name] for name, count in held.items()}
            self.assertEqual({name: count for name, count in more.items() if count > COMING_AND_GOING}, {})
            sockets = files.pop("socket") - files_before.pop("socket")
            self.assertLessEqual(abs(sockets), COMING_AND_GOING)
            self.assertEqual(files, files_before)

    def test_clock(self) -> None:
        """Both ends live by the clock that goes on while the machine sleeps."""
        for daemon in (self.client, self.server):
            told = daemon.morphnet("console", "--dir", str(daemon.etc), "node.pump.now.__name__")
            self.assertEqual(ast.literal_eval(told), "since_boot")

    def settled(self) -> list[tuple[Counter[str], Counter[str]]]:
        """The sizes of both, once nothing is under way: when they are the same twice, a while apart."""
        sizes: list[tuple[Counter[str], Counter[str]]] = []
        for _ in range(6):
            before, sizes = sizes, [self.sizes(each) for each in (self.client, self.server)]
            if sizes == before:
                break
            rest(1.5)
        return sizes

    def cycle(self) -> None:
        """All that may happen, once."""
        self.move()
        self.server.morphnet("console", "--dir", str(self.server.etc), "node.hang_up('laptop', 'test')")
        self.until("the link is up again", self.both_up)
        self.client.ask({"ask": "cut", "path": self.client.paths()["wan1"]["path"]})
        rest(0.1)
        self.move()
        self.client.ask({"ask": "restore", "path": 1})
        self.server.ask({"ask": "drop", "session": "laptop"})
        self.until("the session is up again", self.both_up)
        self.both_active()

    def move(self) -> None:
        """The client gets another address on wan0."""
        before, self.octet = self.octet, 3 if self.octet == 2 else 2
        self.box.address("client", "wan0", add=[f"192.168.1.{self.octet}/24"], remove=[f"192.168.1.{before}/24"])
        self.box.route("client", add=[Route("0.0.0.0/0", "192.168.1.1", "wan0", 100)])

    def both_up(self) -> bool:
        """Whether both ends have a control link, and the server no other than that one."""
        links = self.server.status()["levels"].get("control_links")
        return bool(self.client.session()["control"] == self.server.session()["control"] == "up" and links == 1)

    def sizes(self, daemon: Daemon) -> tuple[Counter[str], Counter[str]]:
        """Open files, and what SIZES says."""
        self.both_active()
        told = daemon.morphnet("console", "--dir", str(daemon.etc), SIZES.replace("\n", ""))
        tables, counts = ast.literal_eval(told)
        for table in tables:
            for name in table.keys() & BOUNDS.keys():
                self.assertLessEqual(table.pop(name), BOUNDS[name], name)
        files = Path(f"/proc/{daemon.pid()}/fd")
        rest(0.5)  # the connections that asked are closed by then
        kinds = Counter(os.readlink(file).partition(":")[0] for file in files.iterdir())
        held = Counter(
            {f"{number} {name}": size for number, table in enumerate(tables) for name, size in table.items()}
        )
        return kinds, held + Counter(counts)
