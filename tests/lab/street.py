"""
A street in a box: a server, two clients, a world behind the server, and a stranger who has ten thousand addresses.

    client (two uplinks), second, stranger -- isp -- server -- world

Real `twistd` processes throughout; no wires, since nothing here depends on delay.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab import enter
from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, WORLD, Cable, End, Node, Route, Topology, Way, Wire
from morphnet.lab.vpn import Daemon, Settings, Vpn, last_line, wait_for
from morphnet.net.knock import NONCE, key_of, knock

NOT_HERE = enter.why_not() or (None if enter.privileged() else "not inside `python -m morphnet.lab.enter --`")
CROWD = "198.18.0.0/16"  # all of them the stranger's (RFC 2544)
STRANGER = "198.51.100.10"
CONTROL, DATA = 8443, 8000  # ports of the server


def street(rate: float | None = None) -> Topology:
    """:param rate: bit/s of a wire for the client's first uplink; None makes that a cable too."""
    home = (End("client", "wan0", ("198.51.100.2/30",)), End("isp", "home0", ("198.51.100.1/30",)))
    cables = [
        Cable(End("client", "wan1", ("198.51.100.14/30",)), End("isp", "home1", ("198.51.100.13/30",))),
        Cable(End("second", "wan0", ("198.51.100.6/30",)), End("isp", "home2", ("198.51.100.5/30",))),
        Cable(End("stranger", "eth0", (f"{STRANGER}/30",)), End("isp", "dark", ("198.51.100.9/30",))),
        Cable(End("server", "eth0", (f"{SERVER}/24",)), End("isp", "hosting", ("203.0.113.254/24",))),
        Cable(End("server", "eth1", ("10.99.0.1/24",)), End("world", "eth0", (f"{WORLD}/24",))),
    ]
    wires = () if rate is None else (Wire("wan0", *home, Way(0.01, rate), Way(0.01, rate)),)
    nodes = (
        Node("client", routes=(_out("198.51.100.1", "wan0", 100), _out("198.51.100.13", "wan1", 101))),
        Node("second", routes=(_out("198.51.100.5", "wan0", 100),)),
        Node("stranger", routes=(_out("198.51.100.9", "eth0", 100),)),
        Node("isp", True, (Route(CROWD, STRANGER),)),
        Node("server", routes=(_out("203.0.113.254", "eth0", 100),)),
        Node("world"),
    )
    return Topology("street", nodes, (*cables, *(() if wires else (Cable(*home),))), wires)


def _out(via: str, device: str, metric: int) -> Route:
    return Route("default", via, device, metric)


class Street:
    """A box with a running server; `close` ends all of it."""

    def __init__(self, server: Settings | None = None, *, rate: float | None = None) -> None:
        self.box = Box(street(rate), wires=rate is not None)
        self.box.start()
        self.vpn = Vpn(self.box, SERVER, server)
        self.server = self.vpn.server
        try:
            self.vpn.found()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every process, then the box."""
        self.vpn.stop()
        self.box.stop()

    def stranger(self, *words: object, node: str = "stranger") -> subprocess.Popen[str]:
        """Start a command of tests.lab.strangers."""
        command = [sys.executable, "-m", "tests.lab.strangers", *map(str, words)]
        started: subprocess.Popen[str] = self.box.node(node).popen(command, stdout=subprocess.PIPE, text=True)
        return started

    def tool(self, node: str, *words: object) -> subprocess.Popen[str]:
        """Start a traffic tool of morphnet.lab."""
        command = [sys.executable, "-m", f"morphnet.lab.{words[0]}", *map(str, words[1:])]
        started: subprocess.Popen[str] = self.box.node(node).popen(command, stdout=subprocess.PIPE, text=True)
        return started

    def ping(self, node: str = "client", *, count: int = 3, host: str = "10.73.0.1", grace: float = 1.0) -> int:
        """Echoes lost of `count` through the tunnel."""
        words = ("ping", host, "--count", count, "--interval", 0.02, "--grace", grace)
        return int(last_line(self.tool(node, *words), 20.0 + count * 0.02)["lost"])


_shared: list[tuple[dict[str, object], Street]] = []  # at most one, with the settings of its server


def _close_shared() -> None:
    while _shared:
        _shared.pop()[1].close()


def _only_the_laptop(street: Street) -> None:
    """End what other clients a test has started, and their sessions."""
    while len(street.vpn.clients) > 1:
        guest = street.vpn.clients.pop()
        guest.stop()
        if street.server.answers():
            street.server.ask({"ask": "drop", "session": guest.name})


atexit.register(_close_shared)


class StreetCase(SynchronousTestCase):
    """A case whose tests share one street, with other cases of the same settings too, or ask for their own."""

    skip = NOT_HERE
    server_settings: Settings = {}

    def shared(self) -> Street:
        """A street with a client `laptop` that is connected; what other clients a test starts is stopped after it."""
        if not _shared or _shared[0][0] != dict(self.server_settings):
            _close_shared()
            made = Street(self.server_settings)
            _shared.append((dict(self.server_settings), made))
            made.vpn.enrol()
        street = _shared[0][1]
        self.addCleanup(_only_the_laptop, street)
        for daemon in (street.server, laptop := street.vpn.clients[0]):
            if not daemon.answers():
                daemon.stop()
                daemon.start()
        until_active(laptop, paths=2)
        return street

    def own(self, server: Settings | None = None) -> Street:
        """A street for this test alone."""
        made = Street(server)
        self.addCleanup(made.close)
        return made

    def assert_quiet(self, *daemons: Daemon) -> None:
        """No daemon has met anything that its programmer did not expect."""
        for daemon in daemons:
            for word in ("Traceback", "Unhandled"):
                self.assertNotIn(word, daemon.log.read_text())


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def counter(daemon: Daemon, name: str) -> int:
    """One of a node's counters."""
    status = daemon.status()
    return int({**status["counters"], **status["levels"]}.get(name, 0))


def session_counter(daemon: Daemon, name: str) -> int:
    """One of the counters of a node's only session."""
    return int(daemon.session().get("counters", {}).get(name, 0))


def told(daemon: Daemon, kind: str) -> list[str]:
    """The sentences of one kind in a node's history."""
    return [each["text"] for each in daemon.happenings() if each["kind"] == kind]


def until_active(client: Daemon, within: float = 20.0, paths: int = 1) -> float:
    """Wait until a client has active paths; the seconds that it took."""
    return wait_for(
        f"{client.name} has {paths} active paths",
        lambda: list(client.states().values()).count("active") >= paths,
        within,
    )


def final(process: subprocess.Popen[str], within: float) -> dict[str, Any]:
    """The last JSON line of a tool."""
    return last_line(process, within)


def settle(daemon: Daemon, values: Sequence[tuple[str, str]]) -> None:
    """Change lines `KEY = ...` of a daemon's configuration; the values are TOML."""
    file = daemon.etc / f"{daemon.role.removeprefix('morph-')}.toml"
    lines = file.read_text().splitlines()
    for key, value in values:
        places = [i for i, line in enumerate(lines) if line.split("=")[0].strip(" #") == key]
        lines[places[0]] = f"{key} = {value}"
    file.write_text("\n".join(lines) + "\n")


def log_lines(daemon: Daemon, word: str) -> list[str]:
    """The lines of a daemon's log with `word` in them."""
    return [line for line in daemon.log.read_text().splitlines() if word in line]


def name_for(daemon: Daemon) -> str:
    """A name that whoever knows the CA of a daemon may ask for in TLS."""
    ca = x509.load_pem_x509_certificate((daemon.etc / "pki" / "ca.pem").read_bytes())
    return knock(key_of(ca), os.urandom(NONCE)).decode()


def read_json(path: Path) -> Any:
    """What a file holds."""
    return json.loads(path.read_text())
