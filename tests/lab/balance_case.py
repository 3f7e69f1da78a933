"""A client with two uplinks in a box, for tests of flows without a server; the box is made once for all of them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, two_uplinks
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.balance_flows import Flows
from tests.lab.balance_world import FLOWS
from tests.lab.scene import NOT_HERE

SECOND = "203.0.113.254"  # of the router before the server: another target
SEEN = {"wan0": "198.51.100.2", "wan1": "198.51.100.6"}  # at which the world sees each uplink
WITHIN = 20.0
LAN_NODE = ("ip", "netns", "exec", "lan")
NO_VPN = """
ip link del vpn0 2>&1 || true
ip rule del table 51820 2>&1 || true; ip rule del table main suppress_prefixlength 0 2>&1 || true
"""
LAN = """
sysctl -qw net.ipv4.ip_forward=1
ip netns add lan; ip link add lan0 type veth peer name eth0 netns lan
ip addr add 10.5.0.1/24 dev lan0; ip link set lan0 up
ip -n lan link set lo up; ip -n lan addr add 10.5.0.2/24 dev eth0; ip -n lan link set eth0 up
ip -n lan route add default via 10.5.0.1
"""
TIDY = {
    "nat0": "for each in 'ip portal' 'ip inw' 'ip6 x'; do nft add table $each; nft delete table $each; done",
    "isp": "for each in 'ip cgn' 'ip deaf'; do nft add table $each; nft delete table $each; done",
    "server": "nft add table ip deaf; nft delete table ip deaf; ip addr del 203.0.113.9/24 dev eth0 2>&1 || true",
    "client": "ip netns del lan 2>&1 || true; sysctl -qw net.ipv4.ip_forward=0;"
    " nft add table ip before; nft delete table ip before" + NO_VPN,
}


_boxes: list[Box] = []  # none or one


def _the_box() -> Box:
    """For all tests here: it is left as it was found."""
    if not _boxes:
        box = Box(two_uplinks((0.005, 0.010), (None, None), v6=True))
        box.start()
        _boxes.append(box)
        for node in ("server", "isp"):
            world(box, node)
    return _boxes[0]


def world(box: Box, node: str, *words: str) -> subprocess.Popen[str]:
    """Servers there; they have begun."""
    command = [sys.executable, "-m", "tests.lab.balance_world", *words]
    process: subprocess.Popen[str] = box.node(node).popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


class BalanceCase(SynchronousTestCase):
    """A client with two uplinks behind NATs, and a world with name servers and a TCP service."""

    rootless = False  # what it sets on a host, `test_host` sets there too
    skip = NOT_HERE
    timeout = 120

    def setUp(self) -> None:
        self.box = _the_box()
        self.addCleanup(self.tidy)
        self.here = self.box.node("client")

    def tidy(self) -> None:
        """What one test has done is nothing to the next."""
        for wire in ("wan0", "wan1"):
            self.box.wire(wire).both(black_hole=False, rate=0.0)
        for node, commands in TIDY.items():
            self.shell(node, commands)

    def shell(self, node: str, commands: str) -> str:
        """What they print in a node."""
        done = self.box.node(node).run(["sh", "-ec", commands])
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(done.stdout)

    def balancing(self, **settings: object) -> Daemon:
        """A client that balances; both uplinks lead out."""
        given = {"mode": "balance", "balance.targets": [SERVER, SECOND], **settings}
        daemon = Daemon(self.here, "morph-client", "laptop", {name.replace(".", "-"): v for name, v in given.items()})
        self.addCleanup(shutil.rmtree, daemon.dir)
        daemon.etc.mkdir(parents=True)
        here = "".join(f"{each}_dir = '{daemon.etc}/{each}'\n" for each in ("state", "run", "pki"))
        (daemon.etc / "client.toml").write_text(here)
        daemon.start()
        self.addCleanup(self.end, daemon)
        return daemon

    def end(self, daemon: Daemon) -> None:
        """Stop it; nothing went wrong in it that nobody had thought of."""
        daemon.stop()
        self.assertNotIn("Traceback", daemon.log.read_text())

    def until(self, what: str, holds: Callable[[], bool], within: float = WITHIN) -> float:
        """Seconds until it holds."""
        return wait_for(what, holds, within)

    def states(self, daemon: Daemon) -> dict[str, str]:
        """Of each uplink."""
        return {each["name"]: each["state"] for each in daemon.status()["uplinks"]}

    def all_up(self, daemon: Daemon) -> None:
        """Wait for it."""
        self.until("both lead out", lambda: self.states(daemon) == {"wan0": "up", "wan1": "up"})

    @contextlib.contextmanager
    def pulled(self, uplink: str) -> Iterator[None]:
        """It has no carrier meanwhile."""
        self.box.link_down("client", uplink)
        try:
            yield
        finally:
            self.box.link_up("client", uplink)

    def flows(self, host: str = SERVER, *under: str, port: int = FLOWS) -> Flows:
        """None yet."""
        flows = Flows(self.here, host, under, port)
        self.addCleanup(flows.end)
        return flows

    def piped(self, node: str, program: str) -> subprocess.Popen[str]:
        """That program in a node; it has begun."""
        pipe = subprocess.PIPE
        process = self.box.node(node).popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process
