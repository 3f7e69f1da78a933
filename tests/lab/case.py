"""
A base for tests of real processes in a box: the box, a server and a client are made once for as many tests as want the
same, and made anew after a test that failed, so that one failure is one failure.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from morphnet.lab.box import Box, BoxNode
from morphnet.lab.topologies import SERVER, WORLD, Topology, two_uplinks
from morphnet.lab.vpn import INNER_SERVER, Daemon, NotInTime, Settings, Vpn, wait_for
from tests.lab.scene import PORT, Scene, SceneCase, Stage, Waiting, serve

DELAYS, RATES = (0.010, 0.030), (20e6, 20e6)


@dataclass(frozen=True)
class Plan:
    """What a test wants to stand on."""

    topology: Callable[[], Topology] = lambda: two_uplinks(DELAYS, RATES)
    address: str = SERVER  # where clients find the server; a name must be in `names`
    names: tuple[tuple[str, str], ...] = ()  # in /etc/hosts of every node
    settings: tuple[tuple[str, object], ...] = ()  # of both ends
    client: tuple[tuple[str, object], ...] = ()  # of the client besides
    server: tuple[tuple[str, object], ...] = ()  # of the server besides


class Network(Scene):
    """A box with a server, a client that has joined, and a TCP server behind."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.box = Box(plan.topology())
        self.box.start()
        self.fresh = True  # nobody did anything to it yet
        try:
            for node in self.box.nodes.values():
                node.hosts(dict(plan.names))
            self.vpn = Vpn(self.box, plan.address, dict(plan.settings) | dict(plan.server))
            self.vpn.found()
            self.client = self.vpn.enrol(settings=self.client_settings())
            self.client.start()
            self.serve_world()
        except BaseException:
            self.box.stop()
            raise

    def client_settings(self) -> Settings:
        """Of the client, as planned."""
        return dict(self.plan.settings) | dict(self.plan.client)

    def serve_world(self) -> None:
        """A TCP server behind the VPN server."""
        serve(self.box.node("world"))

    def daemons(self) -> Iterable[Daemon]:
        """Server and clients."""
        return (self.vpn.server, *self.vpn.clients)

    def stop(self) -> None:
        """End it all."""
        self.vpn.stop()
        self.box.stop()


network_of = Stage(Network)


class Traffic:
    """A traffic tool at work; what it says is read at once, so that it never waits for us."""

    def __init__(self, node: BoxNode, *words: str) -> None:
        """Returns when it is under way: it has said its first line."""
        command = [sys.executable, "-m", *words]
        self._process: subprocess.Popen[str] = node.popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # asked for above
        self._last = self._process.stdout.readline()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._last = line
        self._process.stdout.close()

    def end(self, within: float = 20.0) -> dict[str, Any]:
        """Tell it to end: its final line."""
        self._process.terminate()
        return self.wait(within)

    def wait(self, within: float = 30.0) -> dict[str, Any]:
        """
        Its final line, when it ends by itself.

        :raises NotInTime: it does not end; it is killed then.
        """
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise NotInTime(f"a traffic tool did not end within {within:g} s") from None
        self._reader.join()
        return dict(json.loads(self._last))


class Ping(Traffic):
    """Echoes through the tunnel, 100 a second unless told otherwise."""

    def __init__(self, node: BoxNode, host: str, *words: str) -> None:
        super().__init__(node, "morphnet.lab.ping", host, "--every", "0.2", *words)


class Fetch(Traffic):
    """A TCP transfer with `world` through the tunnel."""

    def __init__(self, node: BoxNode, *words: str) -> None:
        super().__init__(node, "morphnet.lab.transfer", "fetch", WORLD, str(PORT), "--every", "0.5", *words)


def rest(seconds: float) -> None:
    """Let the network run."""
    time.sleep(seconds)


class Actions(Waiting):
    """What can be done on a network, for tests and for benchmarks."""

    network: Network

    def use(self, network: Network) -> None:
        """Act on this one from now on."""
        self.network = network
        self.box, self.vpn = network.box, network.vpn
        self.server, self.client = self.vpn.server, network.client
        self.here = self.box.node("client")

    # -- what is waited for

    def both_active(self, within: float = 20.0) -> float:
        """Seconds until every uplink is an active path, seen from both ends; there may be one by TCP besides."""

        def holds() -> bool:
            try:
                ours = [state for name, state in self.client.states().items() if not name.startswith("tcp")]
                paths = self.server.session().get("paths", [])
                theirs = [path["state"] for path in paths if path["uplink"] != "tcp"]
            except OSError:
                return False
            wires = len(self.box.topology.wires)
            return ours == ["active"] * wires and theirs == ["active"] * wires

        return wait_for("every uplink is an active path", holds, within)

    def open_anew(self) -> None:
        """Close and open every path, one after the other: what one test did to it is nothing to the next."""
        if self.network.fresh:
            self.network.fresh = False
            self.both_active()
            return
        for number in sorted(path["path"] for path in self.client.paths().values()):
            self.client.ask({"ask": "cut", "path": number})
            rest(0.1)
            self.client.ask({"ask": "restore", "path": number})
            rest(0.1)
        self.both_active()

    def state_of(self, uplink: str) -> str:
        """State of the client's path over an uplink; "" when there is none."""
        return self.client.states().get(uplink, "")

    # -- what is done

    def schedule(self, name: str) -> None:
        """Let both ends use this scheduler."""
        if self.client.session()["scheduler"] == name == self.server.session()["scheduler"]:
            return
        self.client.ask({"ask": "scheduler", "name": name})
        self.until(f"the server uses {name}", lambda: self.server.session()["scheduler"] == name)

    def ping(self, *words: str, host: str = INNER_SERVER) -> Ping:
        """Start to ping from the client."""
        return Ping(self.here, host, *words)

    def ping_down(self, *words: str) -> Ping:
        """Start to ping the client from the server."""
        return Ping(self.server.node, self.client.session()["inner"][0], *words)

    def fetch(self, *words: str) -> Fetch:
        """Start a download; `--upload` turns it round."""
        return Fetch(self.here, *words)

    @contextlib.contextmanager
    def no_uplink_but(self, uplink: str) -> Iterator[None]:
        """The other uplinks are down meanwhile."""
        others = [f"wan{i}" for i in range(len(self.box.topology.wires)) if f"wan{i}" != uplink]
        for other in others:
            self.box.link_down("client", other)
        self.until("one path is left", lambda: list(self.client.states()) == [uplink])
        self.until("the server knows it", lambda: list(self.server.states().values()).count("active") == 1)
        try:
            yield
        finally:
            for other in others:
                self.box.link_up("client", other)

    def changes(self, daemon: Daemon, after: int) -> list[str]:
        """What a daemon says of its paths since happening `after`."""
        return [each["text"] for each in daemon.happenings(after) if each["kind"].startswith("path-")]

    def last_happening(self, daemon: Daemon) -> int:
        """The number of the latest."""
        return max((each["number"] for each in daemon.happenings()), default=0)


class LabCase(Actions, SceneCase):
    """Tests on the network of `plan`; each finds both uplinks active and the scheduler as the plan has it."""

    timeout = 120
    plan: ClassVar[Plan] = Plan()

    def scene(self) -> Scene:
        return self.network

    def setUp(self) -> None:
        self.use(network_of(self.plan))
        with self.network.doubted(self.id()):
            self.open_anew()
            self.schedule(str(dict(self.plan.settings).get("scheduler", "bond")))

    # -- what is asserted

    def breathes(self, host: str = INNER_SERVER) -> None:
        """A few echoes pass, and all of them."""
        final = self.ping("--count", "20", host=host).wait()
        self.assertEqual(final["lost"], 0, final)

    def lost_at_most(self, final: dict[str, Any], most: int) -> None:
        """Of the echoes of one ping."""
        self.assertLessEqual(final["lost"], most, {name: final[name] for name in ("sent", "losses", "longest_gap_ms")})
