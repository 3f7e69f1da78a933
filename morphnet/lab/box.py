"""
A Box makes a Topology real, and leaves nothing of it behind.

Each node is a process that holds a network namespace with its own /run, /etc/hosts and /etc/resolv.conf. The maker of
a box must be root, or inside `python -m morphnet.lab.enter --`; it makes the box in its main thread, since the nodes
end with the thread that made them.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from morphnet.errors import BugError, ConfigError, HostError
from morphnet.lab import enter
from morphnet.lab.routers import Routers, Step, routing
from morphnet.lab.topologies import Cable, Route, Topology

if TYPE_CHECKING:
    from morphnet.lab.wireclient import WireClient

ROOT = Path(__file__).resolve().parents[2]
ENTER = (sys.executable, "-I", "-S", enter.__file__)  # without site: half the time
PATIENCE = 5.0  # seconds for a process of ours to end by itself

# Set before there are devices: each device starts with these.
_QUIET = (
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/conf/all/promote_secondaries", "1"),  # else the first address takes its siblings with it
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/router_solicitations", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    ("net/ipv6/conf/all/disable_ipv6", "0"),
)
_FORWARDING = (("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1"))


def environment() -> dict[str, str]:
    """Ours, with this checkout on the path."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path}


class BoxNode:
    """
    One machine in a box.

    `dir` is its directory, open to us and to it: for its files, and with its `run`, `hosts` and `resolv.conf`.
    `pid` is the process that holds its namespaces.
    """

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.dir = name, directory
        (directory / "run").mkdir(parents=True)
        self.hosts({})
        (directory / "resolv.conf").write_text("")
        command = [*ENTER, "--hold", str(directory)]
        pipe = subprocess.PIPE
        self.holder = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        self.pid = self.holder.pid
        self.started: list[subprocess.Popen[Any]] = []

    def wait_ready(self) -> None:
        """:raises HostError: the kernel refused the namespaces."""
        assert self.holder.stdout is not None and self.holder.stderr is not None  # asked for above
        if self.holder.stdout.readline() != b"ready\n":
            said = self.holder.stderr.read().decode().strip().splitlines()
            raise HostError(f"the node {self.name} did not start: {said[-1] if said else 'it said nothing'}")

    def hosts(self, names: Mapping[str, str]) -> None:
        """Let its /etc/hosts know these names (name to address), and no others."""
        lines = ["127.0.0.1 localhost", "::1 localhost", *(f"{address} {name}" for name, address in names.items())]
        (self.dir / "hosts").write_text("\n".join(lines) + "\n")

    def resolv(self, text: str) -> None:
        """Its /etc/resolv.conf."""
        (self.dir / "resolv.conf").write_text(text)

    def command(self, argv: Sequence[str]) -> list[str]:
        """What to execute so that `argv` runs in this node."""
        return [*ENTER, "--join", str(self.pid), "--", *argv]

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start `argv` in this node; `options` are those of Popen. What still runs at the end of the box is killed."""
        options.setdefault("env", environment())
        process = subprocess.Popen(self.command(argv), **options)
        self.started = [*(each for each in self.started if each.poll() is None), process]
        return process

    def run(self, argv: Sequence[str], *, timeout: float = 30.0, **more: Any) -> subprocess.CompletedProcess[str]:
        """
        Run `argv` in this node to its end, as text; `more` are options of subprocess.run.

        :param timeout: seconds.
        :raises subprocess.TimeoutExpired: it was killed.
        """
        options: dict[str, Any] = {
            "env": environment(),
            "capture_output": True,
            "text": True,
            "timeout": timeout,
        } | more
        done: subprocess.CompletedProcess[str] = subprocess.run(self.command(argv), **options)
        return done

    def end(self) -> None:
        """Kill all that runs in it, also what its processes left behind, then let the namespaces go."""
        for pid in _inhabitants(self.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.started:
            process.kill()
            process.wait()
        _end(self.holder)


def _inhabitants(pid: int) -> list[int]:
    """The processes in the network of `pid`, without itself. The network is ours alone, so they are too."""

    def network(of: object) -> str:
        try:
            return os.readlink(f"/proc/{of}/ns/net")
        except OSError:
            return ""

    ours = network(pid)
    if not ours or ours == network("self"):
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != pid and network(name) == ours]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its stdin, which ends it; kill it when that does not."""
    if process.stdin is not None:
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


class Box(Routers):
    """
    `with Box(topology) as box:` has that network inside.

    :param wires: False makes plain cables of the wires: quicker, but nothing is in their way.
    :raises ConfigError: we are not privileged here; `python -m morphnet.lab.enter --` helps.
    :raises HostError: the machine refused a part of it; nothing is left.
    """

    def __init__(self, topology: Topology, *, wires: bool = True) -> None:
        super().__init__(topology)
        self.nodes: dict[str, BoxNode] = {}
        self._wired = wires and bool(topology.wires)
        self._routes = {node.name: list(node.routes) for node in topology.nodes}
        self._addresses = {(end.node, end.device): list(end.addresses) for end, _ in topology.ends()}
        self._configure: subprocess.Popen[bytes] | None = None
        self._wire: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._before: Any = None  # what answered SIGTERM

    # The life of it

    def __enter__(self) -> Box:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Make it all; `stop` undoes it, and so does our end in any way."""
        if not enter.privileged():
            raise ConfigError("a box needs privileges: start this with `python -m morphnet.lab.enter --` before it")
        atexit.register(self.stop)
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._terminated)
        try:
            self._make()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process in it, and remove its files. Harmless when done already."""
        for node in self.nodes.values():
            node.end()
        for process in (self._wire, self._configure):
            if process is not None:
                process.terminate()
                _end(process)
        self._wire = self._configure = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        # == and not `is`: a bound method is a new object each time
        if self._before is not None and signal.getsignal(signal.SIGTERM) == self._terminated:
            signal.signal(signal.SIGTERM, self._before)
        self._before = None
        atexit.unregister(self.stop)  # at last: had we been interrupted, it would go on from there

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        """Never `stop` here: we may be in the middle of it, and it waits for processes under a lock."""
        if callable(self._before):
            self._before(number, frame)
        else:
            raise SystemExit(128 + number)  # ends the `with`; atexit does what is left

    def _make(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="morphnet-lab-"))
        command = [sys.executable, "-m", "morphnet.lab.configure"]
        self._configure = _tied(command)
        for node in self.topology.nodes:  # all at once, then wait for each
            self.nodes[node.name] = BoxNode(node.name, self._directory / node.name)
            self.nodes[node.name].hosts(node.hosts or {})
        for node in self.topology.nodes:
            self.nodes[node.name].wait_ready()
            settings = [*_QUIET, *(_FORWARDING if node.forward else ())]
            self.change(node.name, [("sysctl", *setting) for setting in settings])
        cables = [*self.topology.cables]
        if self._wired:
            self._start_wires()
        else:
            cables += [Cable(wire.a, wire.b, wire.mtu) for wire in self.topology.wires]
        for cable in cables:
            peer = self.node(cable.b.node).pid
            self.change(cable.a.node, [("veth", cable.a.device, peer, cable.b.device)])
            if not cable.offloads:
                for end in (cable.a, cable.b):
                    self.change(end.node, [("no_offloads", end.device)])
        for bridge in self.topology.bridges:
            addresses = [("add_address", bridge.device, address) for address in bridge.addresses]
            self.change(bridge.node, [("bridge", bridge.device, bridge.ports), *addresses])
        for node in self.topology.nodes:
            self.change(node.name, self._addressing(node.name))
        for nat in self.topology.nats:
            self.change(nat.node, routing(nat))

    def _start_wires(self) -> None:
        """Hand all wires to one process, and wait until their devices are in their nodes."""
        command = [sys.executable, "-m", "morphnet.lab.wire", str(self._wire_socket)]
        wires = [
            {
                "name": wire.name,
                "ends": [{"pid": self.node(end.node).pid, "device": end.device} for end in (wire.a, wire.b)],
                "there": wire.there.parameters(),
                "back": wire.back.parameters(),
            }
            for wire in self.topology.wires
        ]
        self._wire = _tied(command)
        assert self._wire.stdin is not None and self._wire.stdout is not None  # pipes, in _tied
        self._wire.stdin.write(json.dumps({"wires": wires}).encode() + b"\n")
        self._wire.stdin.flush()  # and not closed: that ends it
        if self._wire.stdout.readline() != b"ready\n":
            raise HostError("the wires of the box did not start; what they said is above")

    def _addressing(self, name: str) -> list[Step]:
        steps: list[Step] = []
        for end, mtu in self.topology.ends():
            if end.node == name:
                steps.append(("up", end.device, mtu))
                steps += [("add_address", end.device, address) for address in end.addresses]
        return [*steps, *(("add_route", asdict(route)) for route in self._routes[name])]

    # What is in it

    @property
    def dir(self) -> Path:
        """Its temporary directory, which ends with it."""
        if self._directory is None:
            raise BugError("this box is closed")
        return self._directory

    @property
    def _wire_socket(self) -> Path:
        return self.dir / "wires"

    def node(self, name: str) -> BoxNode:
        """:raises BugError: there is none of that name."""
        if name not in self.nodes:
            raise BugError(f"no node {name} in this box; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def wire(self, name: str) -> WireClient:
        """What changes the wire `name` while it is in use."""
        if not self._wired or name not in {wire.name for wire in self.topology.wires}:
            raise BugError(f"no wire {name} in this box")
        from morphnet.lab.wireclient import WireClient

        return WireClient(str(self._wire_socket), name)

    # What can happen to it

    def change(self, name: str, steps: Sequence[Step]) -> None:
        """
        Take steps in a node, as `("add_address", "wan0", "192.168.1.3/24")`; lab/configure.py has them all.

        :raises HostError: one was refused; those before it are done.
        """
        process = self._configure
        if process is None:
            raise BugError("this box is closed")
        assert process.stdin is not None and process.stdout is not None  # pipes, in _tied
        request = {"pid": self.node(name).pid, "steps": [list(step) for step in steps]}
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        error = json.loads(answer)["error"] if answer else "the configuring process is gone"
        if error:
            raise HostError(f"the node {name} cannot be configured: {error}")

    def link_down(self, name: str, device: str) -> None:
        """Take a device down."""
        self.change(name, [("down", device)])

    def link_up(self, name: str, device: str) -> None:
        """Bring it up again, with its addresses and the routes that were lost."""
        again: list[Step] = [("add_address", device, address) for address in self._addresses[name, device]]
        routes: list[Step] = [("restore_route", asdict(route)) for route in self._routes[name]]
        self.change(name, [("up", device), *again, *routes])

    def address(self, name: str, device: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Give a device other addresses (CIDR notation). The kernel drops routes that need a removed one."""
        steps: list[Step] = [("add_address", device, address) for address in add]
        self.change(name, [*steps, *(("remove_address", device, address) for address in remove)])
        kept = [each for each in self._addresses[name, device] if each not in remove]
        self._addresses[name, device] = [*kept, *add]

    def route(self, name: str, *, add: Sequence[Route] = (), remove: Sequence[Route] = ()) -> None:
        """Give a node other routes."""
        steps: list[Step] = [("remove_route", asdict(route)) for route in remove]
        self.change(name, [*steps, *(("add_route", asdict(route)) for route in add)])
        self._routes[name] = [*(each for each in self._routes[name] if each not in remove), *add]


def _tied(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process that ends when we do and not by Ctrl-C, in our own namespaces."""
    tied = [*ENTER, "--join", str(os.getpid()), "--", *command]
    pipe = subprocess.PIPE
    return subprocess.Popen(tied, stdin=pipe, stdout=pipe, env=environment(), start_new_session=True)
