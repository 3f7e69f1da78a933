"""
Many clients of one server, each a real `twistd` in a node and on a cable of its own, all on one machine: it is the
processor that they share. Each sends one TCP stream to the server's inner address.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, Cable, End, Node, Route, Topology
from morphnet.lab.vpn import Daemon, Vpn, json_lines, wait_for
from morphnet.pki.files import load_authority, write_certificate, write_key

INNER = "10.73.0.1"
START_WITHIN = 300.0  # seconds for all of them, which share the machine's processors
PORT = 5100


def market(count: int) -> Topology:
    """server -- `c0`, `c1` .., a cable each."""
    cables = tuple(
        Cable(
            End(f"c{i}", "wan0", (f"192.168.{i + 1}.2/24",)),
            End("server", f"eth{i}", (f"192.168.{i + 1}.1/24", *((f"{SERVER}/24",) if not i else ()))),
        )
        for i in range(count)
    )
    clients = (Node(f"c{i}", routes=(Route("default", f"192.168.{i + 1}.1", "wan0"),)) for i in range(count))
    return Topology("market", (Node("server"), *clients), cables)


class Spent(NamedTuple):
    """What a process had of the processors until now, in seconds."""

    ran: float
    waited: float  # it was ready to run, and another one ran

    @classmethod
    def by(cls, pids: Sequence[int]) -> Spent:
        """All of these together. Source: Documentation/scheduler/sched-stats, /proc/PID/schedstat."""
        each = [Path(f"/proc/{pid}/schedstat").read_text().split() for pid in pids]
        return cls(sum(int(words[0]) for words in each) / 1e9, sum(int(words[1]) for words in each) / 1e9)

    def since(self, before: Spent) -> Spent:
        """What came to it."""
        return Spent(self.ran - before.ran, self.waited - before.waited)


class Market:
    """A server and so many clients, all connected."""

    def __init__(self, box: Box, count: int) -> None:
        self._box = box
        self._vpn = Vpn(box, SERVER, {"pool4": "10.73.0.0/16"})
        self._vpn.found()
        first = self._vpn.enrol("c0", "m0", {"routes": ["10.73.0.0/16"]})
        self.clients = [first, *(self._like(first, number) for number in range(1, count))]
        self._vpn.clients = self.clients
        for client in self.clients:
            client.start(wait=False)
        wait_for("all have a path", lambda: self._active() == count, START_WITHIN, 0.5)
        self.server, self.callers = [self._vpn.server.pid()], [client.pid() for client in self.clients]

    def _like(self, first: Daemon, number: int) -> Daemon:
        """Another client, whose certificate is issued here: so many invitations take a minute."""
        client = Daemon(self._box.node(f"c{number}"), "morph-client", f"m{number}", first.settings)
        shutil.copytree(first.etc, client.etc)
        authority, key = load_authority(self._vpn.server.etc / "pki"), generate_private_key(SECP256R1())
        write_key(client.etc / "pki", client.name, key)
        certificate = authority.client(key.public_key(), client.name, now=time.time())
        write_certificate(client.etc / "pki", client.name, certificate)
        path = client.etc / "client.toml"
        text = path.read_text().replace(str(first.dir), str(client.dir))
        path.write_text(text.replace('name = "m0"', f'name = "{client.name}"'))
        return client

    def _active(self) -> int:
        sessions = self._vpn.server.status()["sessions"]
        return sum(any(path["state"] == "active" for path in session["paths"]) for session in sessions)

    def silences(self) -> int:
        """How often a path fell silent, at either end."""
        happened = [each for node in (self._vpn.server, *self.clients) for each in node.happenings()]
        return sum("silent" in str(each) for each in happened)

    def stop(self) -> None:
        """End it: all clients at once, then the server."""
        for client in self.clients:
            if client.process is not None:
                client.process.terminate()
        self._vpn.stop()

    @contextmanager
    def sending(self) -> Iterator[Iterator[dict[str, Any]]]:
        """What the server takes of a TCP stream from each client: lines of lab/streams."""
        taking = self._tool("server", "serve", "take", str(PORT))
        assert taking.stdout is not None
        taking.stdout.readline()
        giving = [self._tool(client.node.name, "connect", "give", str(PORT), INNER) for client in self.clients]
        try:
            yield json_lines(taking)
        finally:
            for process in (*giving, taking):
                process.kill()
            for process in (*giving, taking):
                process.communicate()

    def _tool(self, node: str, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "morphnet.lab.streams", *words]
        return self._box.node(node).popen(command, stdout=subprocess.PIPE, text=True)
