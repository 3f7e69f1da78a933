"""
One server and many clients: 1, 100, 1000.

    python -m tests.bench.bench_clients [COUNT ...] [--seconds 4]

Real sessions of the real client (tests/bench/crowd.py), all in one process on the other end of a cable; each from an
address of its own, as the server limits how often one may call. What the server carries is counted behind its TUN, and
what it costs by its own processor time: the crowd is the busier one. At the end the server is killed, and started anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.gauge import most_resident
from morphnet.lab.topologies import SERVER, Cable, End, Node, Route, Topology
from morphnet.lab.vpn import Daemon, Vpn
from tests.bench.crowd import CROWD
from tests.bench.measured import CANNOT, Measured, enter_lab, tell

COUNTS = (1, 100, 1000)
SETTLE = 10.0  # seconds in which path MTUs are found
AT_REST = 20.0  # seconds of which the idle server's processor time is taken: every control link is pinged within
PER_CLIENT = 200.0  # KB
BACK = 5.0  # seconds
IDLE = 3.0  # % of a processor
MANY = 100  # clients, from which their memory can be told from other things


def village() -> Topology:
    """client -- server; the client has all the crowd's addresses."""
    a, b = End("client", "wan0", ("203.0.113.2/24",)), End("server", "eth0", (f"{SERVER}/24",))
    nodes = (Node("client"), Node("server", routes=(Route(CROWD, "203.0.113.2", "eth0"),)))
    return Topology("village", nodes, (Cable(a, b),))


class Talk:
    """A crowd in the client's node."""

    def __init__(self, box: Box, vpn: Vpn, count: int) -> None:
        box.node("client").run(["ip", "route", "add", "local", CROWD, "dev", "lo"], check=True)
        words = (str(vpn.server.etc / "pki"), SERVER, str(count))
        self._process: subprocess.Popen[str] = box.node("client").popen(
            [sys.executable, "-m", "tests.bench.crowd", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def tell(self, line: str) -> None:
        """Have it do that."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def ask(self, line: str) -> dict[str, Any]:
        """Have it do that, and wait for the end of it."""
        self.tell(line)
        return self._answer()

    def back(self, server: Daemon) -> float:
        """Seconds from a kill of the server, whose successor starts at once, until everybody is with that."""
        self.tell("again")
        began = time.monotonic()
        server.kill()
        server.start(wait=False)
        answer = self._answer()
        return time.monotonic() - began if answer["active"] == answer["of"] else float("inf")


def worked(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def written(vpn: Vpn) -> float:
    """Bytes that the server has given to its TUN."""
    return float(vpn.server.status()["counters"].get("written_bytes", 0))


def clients(count: int, seconds: float) -> Iterator[Measured]:
    """What `count` of them cost and carry."""
    with Box(village()) as box:
        vpn = Vpn(box, SERVER, {"pool4": "10.73.0.0/16"})
        vpn.found()
        pid = vpn.server.pid()
        before, crowd = most_resident(pid), Talk(box, vpn, count)
        connected = crowd.ask("connect")
        if connected["active"] < count:
            print(f"bench_clients: only {connected['active']} of {count} have a path", file=sys.stderr)
        yield Measured("clients", f"{count}: connected", connected["active"], "clients", count)
        yield Measured("clients", f"{count}: time for all to connect", connected["seconds"], "s")
        crowd.ask(f"rest {SETTLE}")
        memory = (most_resident(pid) - before) / 1000 / count
        wanted = PER_CLIENT if count >= MANY else None
        yield Measured("clients", f"{count}: memory for each, idle", round(memory, 1), "KB", wanted, "less")
        idle, began = worked(pid), time.monotonic()
        crowd.ask(f"rest {AT_REST}")
        share = 100 * (worked(pid) - idle) / (time.monotonic() - began)
        yield Measured("clients", f"{count}: processor, idle", round(share, 1), "%", IDLE, "less")
        carried, busy, began = written(vpn), worked(pid), time.monotonic()
        crowd.ask(f"send {seconds}")
        carried, busy, passed = written(vpn) - carried, worked(pid) - busy, time.monotonic() - began
        yield Measured("clients", f"{count}: UDP up, all together", round(carried * 8e-9 / passed, 2), "Gbit/s")
        yield Measured("clients", f"{count}: the server's processor", round(busy / carried * 1e9, 2), "s/GB")
        yield Measured("clients", f"{count}: it was busy", round(100 * busy / passed, 1), "%")
        memory = (most_resident(pid) - before) / 1000 / count
        yield Measured("clients", f"{count}: memory for each, loaded", round(memory, 1), "KB")
        back = crowd.back(vpn.server)
        yield Measured("clients", f"{count}: all back after a kill", round(back, 2), "s", BACK, "less")


def main() -> int:
    """Run what was asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_clients")
    parser.add_argument("counts", nargs="*", type=int, metavar="COUNT", help=", ".join(map(str, COUNTS)))
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    options = parser.parse_args()
    if why_not():
        print(f"bench_clients: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_clients")
    broken = 0
    for count in options.counts or COUNTS:
        for measured in clients(count, options.seconds):
            tell(measured)
            broken += measured.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
