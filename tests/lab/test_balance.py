"""Flows over several uplinks without a server: what leaves by which, what becomes of it, and what is left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, two_uplinks
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.balance_flows import Flows
from tests.lab.case import NOT_HERE

SECOND = "203.0.113.254"  # of the router before the server: another target
SEEN = {"wan0": "198.51.100.2", "wan1": "198.51.100.6"}  # at which the world sees each uplink
WITHIN = 20.0
SHOWN = (  # of routing and nftables, but for what counts
    "ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; nft list ruleset;"
    " cat /proc/sys/net/ipv4/fib_multipath_hash_policy /proc/sys/net/ipv4/conf/*/rp_filter"
)


class BalanceTests(SynchronousTestCase):
    """A client with two uplinks behind NATs, and a world with name servers and a TCP service."""

    skip = NOT_HERE
    timeout = 120

    def setUp(self) -> None:
        self.box = Box(two_uplinks((0.005, 0.010), (None, None), v6=True))
        self.box.start()
        self.addCleanup(self.box.stop)
        self.here = self.box.node("client")
        for node in ("server", "isp"):
            self.world(node)

    def world(self, node: str, *words: str) -> subprocess.Popen[str]:
        """Servers there; they have begun."""
        command = [sys.executable, "-m", "tests.lab.balance_world", *words]
        process: subprocess.Popen[str] = self.box.node(node).popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        process.stdout.readline()
        return process

    def shell(self, node: str, commands: str) -> str:
        """What they print in a node."""
        done = self.box.node(node).run(["sh", "-ec", commands])
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(done.stdout)

    def balancing(self, **settings: object) -> Daemon:
        """A client that balances; both uplinks lead out."""
        given = {"mode": "balance", "balance.targets": [SERVER, SECOND], **settings}
        daemon = Daemon(self.here, "morph-client", "laptop", {name.replace(".", "-"): v for name, v in given.items()})
        daemon.etc.mkdir(parents=True)
        here = "".join(f"{each}_dir = '{daemon.etc}/{each}'\n" for each in ("state", "run", "pki"))
        (daemon.etc / "client.toml").write_text(here)
        daemon.start()
        self.addCleanup(daemon.stop)
        return daemon

    def until(self, what: str, holds: Callable[[], bool], within: float = WITHIN) -> float:
        """Seconds until it holds."""
        return wait_for(what, holds, within)

    def states(self, daemon: Daemon) -> dict[str, str]:
        """Of each uplink."""
        return {each["name"]: each["state"] for each in daemon.status()["uplinks"]}

    def all_up(self, daemon: Daemon) -> None:
        """Wait for it."""
        self.until("both lead out", lambda: self.states(daemon) == {"wan0": "up", "wan1": "up"})

    def flows(self) -> Flows:
        """Nobody's yet."""
        flows = Flows(self.here, SERVER)
        self.addCleanup(flows.end)
        return flows

    def test_both_and_one_dies(self) -> None:
        """
        Of four flows two go by each uplink. One uplink falls silent: its flows are reset within 5 s, the others stay;
        new flows are fine; when it is back, living flows stay where they are, and new ones use both.
        """
        daemon = self.balancing()
        self.all_up(daemon)
        flows = self.flows()
        first = flows.open(4)
        self.assertEqual(sorted(first), sorted([*SEEN.values()] * 2))
        self.box.wire("wan0").black_hole()
        flows.until_reset(first.count(SEEN["wan0"]), within=5.0)
        self.assertEqual(flows.alive(), {SEEN["wan1"]: 2})
        self.assertEqual(flows.open(4), [SEEN["wan1"]] * 4)
        self.assertEqual(self.states(daemon), {"wan0": "lost", "wan1": "up"})
        self.box.wire("wan0").heal()
        self.all_up(daemon)
        self.assertIn(SEEN["wan0"], flows.open(4))
        self.assertEqual(flows.alive()[SEEN["wan1"]], 8)
