"""
How soon a client is there, and what it takes of the machine: from its start to the first echo through the tunnel, and
the memory that it has had at the most, before and after a download.

    python -m tests.bench.bench_start [--rounds 5] [--seconds 10] [--routes 4000]

Two namespaces and a bare cable. The echo is asked for every 2 ms from the start on; nothing else is under way.
"""

from __future__ import annotations

import argparse
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from morphnet.lab import gauge
from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.rivals import Ways
from morphnet.lab.topologies import SERVER, direct
from morphnet.lab.vpn import Daemon, Vpn, wait_for
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell

INNER, CLIENT = "10.73.0.1", "10.73.0.2"
EVERY = 0.002  # seconds between two echoes that are asked for
PATIENCE = 20.0  # seconds
FIRST = 0.5  # seconds to the first echo, at most
MEMORY = 60.0  # MB that a client may have had after a download
_ECHO, _ANSWER = 8, 0  # types of ICMP


def first_answer() -> None:
    """In the client's node: ask until somebody answers, and print when that was, on the machine's monotonic clock."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as line:
        line.settimeout(EVERY)
        request = struct.pack("!BBHHH", _ECHO, 0, 0xF7FF - 73, 73, 0)
        print("ready", flush=True)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                line.sendto(request, (INNER, 0))
                if line.recv(256)[20] == _ANSWER:
                    break
            except OSError:  # no way there yet, or no answer
                time.sleep(EVERY / 2)
        print(time.monotonic(), flush=True)


def seconds_to_first(client: Daemon) -> float:
    """From its exec to the first echo."""
    words = [sys.executable, "-c", "from tests.bench.bench_start import first_answer; first_answer()"]
    asking = client.node.popen(words, stdout=subprocess.PIPE, text=True)
    assert asking.stdout is not None  # asked for
    asking.stdout.readline()
    began = time.monotonic()
    client.start(wait=False)
    answered = float(asking.stdout.readline())
    asking.wait()
    return answered - began


def shared_out(pid: int) -> float:
    """MB that are its own, and its part of what it shares (Pss)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def measured(rounds: int, seconds: float, routes: int) -> Iterator[Measured]:
    """In one box."""
    with Box(direct(v6=False)) as box:
        vpn = Vpn(box, SERVER)
        vpn.found()
        client = vpn.enrol(settings={"uplinks": ["wan0"], "dns": False})
        first = []
        for _ in range(rounds):
            first.append(seconds_to_first(client))
            wait_for("the client answers", client.answers)
            pid = client.pid()
            rest = gauge.most_resident(pid) / 1e6
            if _ < rounds - 1:
                client.stop()
        yield Measured("start", "to the first echo", middle(first, 3), "s", FIRST, "less", rounds=tuple(first))
        yield Measured("start", "memory of a client, before", round(rest, 1), "MB")
        rate = gauge.bulk(box, Ways(CLIENT, INNER, (pid, vpn.server.pid())), "down", seconds).rate / 1e9
        yield Measured("start", "a download", round(rate, 2), "Gbit/s")
        most = gauge.most_resident(pid) / 1e6
        yield Measured("start", "memory of a client, at the most", round(most, 1), "MB", MEMORY, "less")
        yield Measured("start", "memory of a client, shared out (Pss)", round(shared_out(pid), 1), "MB")
        most = gauge.most_resident(vpn.server.pid()) / 1e6
        yield Measured("start", "memory of its server, at the most", round(most, 1), "MB")
        client.stop()
        client.settings["routes"] = [f"10.{100 + n // 250}.{n % 250}.0/24" for n in range(routes)] + ["10.73.0.0/24"]
        yield Measured("start", f"to the first echo, {routes} routes", round(seconds_to_first(client), 3), "s")
        vpn.stop()


def main() -> int:
    """1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_start")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the download")
    parser.add_argument("--routes", type=int, default=4000)
    options = parser.parse_args()
    if why_not():
        print(f"bench_start: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_start")
    broken = 0
    for each in measured(options.rounds, options.seconds, options.routes):
        tell(each)
        broken += each.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
