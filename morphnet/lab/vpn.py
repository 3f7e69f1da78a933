"""
A network of real `twistd` processes in a box: a server, and clients that were invited and joined as a user would do it.

Source: docs/lab, "A tunnel in the box".
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from morphnet.lab.box import Box, BoxNode

BIN = Path(sys.executable).parent  # where `twistd` and `morphnet` of this environment are
TWISTD = (sys.executable, "-P", "-m", "morphnet.tap.twistd")
READY_WITHIN = 20.0  # seconds for a process to answer on its feed, on a loaded machine
SERVER_NAME = "gw.example"
INNER_SERVER = "10.73.0.1"

Settings = Mapping[str, object]


class NotInTime(Exception):
    """What was waited for did not come about."""


def wait_for(what: str, holds: Callable[[], bool], within: float = READY_WITHIN, every: float = 0.02) -> float:
    """
    Wait until `holds()`.

    :returns: seconds that it took.
    :raises NotInTime: it does not hold after `within` seconds.
    """
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > within:
            raise NotInTime(f"{what}: not within {within:g} s")
        time.sleep(every)
    return time.monotonic() - begun


def _typed(settings: Settings) -> list[str]:
    """Settings as command-line options: {"scheduler": "best"} -> ["--scheduler", "best"]."""
    typed: list[str] = []
    for name, value in settings.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            typed.append(f"--{option}" if value else f"--no-{option}")
        else:
            typed += [f"--{option}", ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)]
    return typed


class Daemon:
    """One `twistd` process in a node."""

    def __init__(self, node: BoxNode, role: str, name: str, settings: Settings) -> None:
        self.node, self.role, self.name = node, role, name
        self.settings = dict(settings)
        self.dir = Path(node.dir) / name
        self.log = self.dir / "log"
        self.process: subprocess.Popen[str] | None = None
        self.under: tuple[str, ...] = ()  # a command that it is started by, with its options

    @property
    def etc(self) -> Path:
        """Its configuration directory."""
        return self.dir / "etc"

    @property
    def run_dir(self) -> Path:
        """Where its sockets are."""
        return self.etc / ("run-relay" if self.role == "morph-relay" else "run")

    def morphnet(self, *words: str, within: float = 30.0) -> str:
        """
        Run `morphnet ...` in the node: what it printed.

        :raises RuntimeError: it failed.
        """
        done = self.node.run([str(BIN / "morphnet"), *words], timeout=within)
        if done.returncode:
            raise RuntimeError(f"morphnet {' '.join(words)}: {done.stdout}{done.stderr}")
        return str(done.stdout)

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait`, until it answers."""
        self.dir.mkdir(parents=True, exist_ok=True)
        role = self.role.removeprefix("morph-")
        options = ["--config", str(self.etc / f"{role}.toml"), *_typed(self.settings)]
        with self.log.open("a") as log:
            self.process = self.node.popen(
                [*self.under, *TWISTD, "--nodaemon", "--pidfile=", "--logfile=-", self.role, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if wait:
            try:
                wait_for(f"{self.role} {self.name} answers", self.answers)
            except NotInTime as late:
                raise NotInTime(f"{late}; its log ends: {self.log.read_text()[-2000:]}") from None

    def answers(self) -> bool:
        """Whether its feed answers now."""
        try:
            return "role" in self.ask({"ask": "status"})
        except OSError:
            return False

    def ask(self, request: Mapping[str, object], timeout: float = 5.0) -> dict[str, Any]:
        """
        One question to its feed.

        :raises OSError: nobody answers.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as feed:
            feed.settimeout(timeout)
            feed.connect(str(self.run_dir / "feed.sock"))
            feed.sendall(json.dumps(request).encode() + b"\n")
            line = feed.makefile("rb").readline()
        if not line:
            raise OSError("the feed said nothing")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def status(self) -> dict[str, Any]:
        """Its NodeStatus, as JSON values."""
        return self.ask({"ask": "status"})

    def session(self) -> dict[str, Any]:
        """Its only session, or {} when there is none."""
        sessions = self.status()["sessions"]
        return sessions[0] if sessions else {}

    def paths(self) -> dict[str, dict[str, Any]]:
        """Paths of its only session by uplink name, on a server by path id."""
        return {path["uplink"] or str(path["path"]): path for path in self.session().get("paths", [])}

    def states(self) -> dict[str, str]:
        """State of each path by uplink name."""
        return {uplink: path["state"] for uplink, path in self.paths().items()}

    def happenings(self, after: int = 0) -> list[dict[str, Any]]:
        """What happened since number `after`."""
        found: list[dict[str, Any]] = self.ask({"ask": "happenings", "after": after})["happenings"]
        return found

    def pid(self) -> int:
        """Process id of `twistd` itself."""
        return int(self.status()["pid"])

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def hand_over(self) -> None:
        """End it as who starts it anew at once would."""
        self._end(signal.SIGUSR2)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Vpn:
    """A server in one node, clients in others."""

    def __init__(self, box: Box, server_address: str, server: Settings | None = None) -> None:
        """
        :param server_address: where clients reach the server.
        :param server: settings of the server, as on its command line.
        """
        self.box = box
        self.address = server_address
        self.server = Daemon(box.node("server"), "morph-server", "gw", server or {})
        self.clients: list[Daemon] = []

    def found(self, also: Sequence[str] = ()) -> None:
        """Make the network's CA and start the server."""
        more = [word for address in also for word in ("--address", address)]
        self.server.morphnet(
            "init", "--name", SERVER_NAME, "--address", self.address, *more, "--dir", str(self.server.etc)
        )
        self.server.start()

    def enrol(self, node: str = "client", name: str = "laptop", settings: Settings | None = None) -> Daemon:
        """Invite a client and let it join; it is not started."""
        client = Daemon(self.box.node(node), "morph-client", name, settings or {})
        invitation = Path(self.server.node.dir) / f"{name}.invite"
        self.server.morphnet("invite", name, "--dir", str(self.server.etc), "--file", str(invitation))
        client.morphnet("join", str(invitation), "--dir", str(client.etc))
        self.clients.append(client)
        return client

    def join(self, node: str = "client", name: str = "laptop", settings: Settings | None = None) -> Daemon:
        """Enrol a client, start it, and wait until a path is active."""
        client = self.enrol(node, name, settings)
        client.start()
        wait_for(f"{name} has an active path", lambda: "active" in client.states().values())
        return client

    def stop(self) -> None:
        """End every process."""
        for daemon in (*self.clients, self.server):
            daemon.stop()


def json_lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """The JSON lines that a traffic tool prints, as they come."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            yield json.loads(line)


def last_line(process: subprocess.Popen[str], within: float) -> dict[str, Any]:
    """
    Wait for a traffic tool to end: its last JSON line.

    :raises NotInTime: it does not end.
    """
    try:
        out, _ = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise NotInTime(f"a traffic tool did not end within {within:g} s") from None
    lines = [line for line in out.splitlines() if line.startswith("{")]
    answer: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return answer
