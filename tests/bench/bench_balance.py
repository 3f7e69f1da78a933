"""
What balancing without a server costs: throughput, new connections a second, and the processor's time of the daemon; and
how soon a dead uplink is found.

    python -m tests.bench.bench_balance [--rounds 3] [--seconds 3]

Two cables that are as fast as the machine. Each round measures with and without `twistd morph-client`, one after the
other, so that both have the same machine. Then two uplinks behind NATs (RTT 10 and 20 ms), of which one falls silent,
at another moment of a second each round.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.topologies import SERVER, cables, two_uplinks
from morphnet.lab.vpn import Daemon, wait_for
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell
from tests.lab.balance_case import world
from tests.lab.balance_flows import Flows

PORT, SECOND = 5009, "192.168.2.1"
SEEN = "198.51.100.2"  # where the world sees the first of the uplinks behind NATs
THROUGHPUT, CONNECTIONS, IDLE = "one TCP flow", "new connections", "processor while idle"
NEW_FLOWS, OLD_FLOWS = (
    "an uplink falls silent: new flows are fine after",
    "an uplink falls silent: its flows are reset after",
)
SINK = f"""
import socket, threading
opened = socket.create_server(("", {PORT}), backlog=512)
print("ready", flush=True)
def read(flow):
    try:
        while flow.recv(1 << 18):
            pass
    except OSError:  # reset
        pass
    flow.close()
while True:
    threading.Thread(target=read, args=(opened.accept()[0],), daemon=True).start()
"""
SEND = f"""
import socket, sys, time
flow, part, sent = socket.create_connection(("{SERVER}", {PORT})), bytes(1 << 18), 0
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    flow.sendall(part)
    sent += len(part)
print(sent * 8 / float(sys.argv[1]) / 1e9)
"""
CONNECT = f"""
import socket, struct, sys, time
count, until = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    flow = socket.create_connection(("{SERVER}", {PORT}))
    flow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves no port in TIME_WAIT
    flow.close()
    count += 1
print(count / float(sys.argv[1]))
"""


def balancing(box: Box, second: str) -> Daemon:
    """Both uplinks lead out."""
    settings = {"mode": "balance", "balance-targets": [SERVER, second], "balance-portal": False}
    daemon = Daemon(box.node("client"), "morph-client", "laptop", settings)
    daemon.etc.mkdir(parents=True, exist_ok=True)
    here = "".join(f"{each}_dir = '{daemon.etc}/{each}'\n" for each in ("state", "run", "pki"))
    (daemon.etc / "client.toml").write_text(here)
    daemon.start()
    wait_for("both lead out", lambda: [each["state"] for each in daemon.status()["uplinks"]] == ["up", "up"], 20.0)
    return daemon


def busy(pid: int, seconds: float) -> float:
    """Percent of one processor that a process takes."""

    def used() -> int:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])  # nanoseconds

    before = used()
    time.sleep(seconds)
    return (used() - before) / 1e9 / seconds * 100


def measure(box: Box, rounds: int, seconds: float) -> Iterator[Measured]:
    """All of it."""
    found = defaultdict[tuple[str, bool], list[float]](list)

    def told(program: str) -> float:
        done = box.node("client").run([sys.executable, "-c", program, str(seconds)], timeout=seconds + 30)
        return float(done.stdout)

    for _ in range(rounds):
        for balanced in (False, True):
            daemon = balancing(box, SECOND) if balanced else None
            found[THROUGHPUT, balanced].append(told(SEND))
            found[CONNECTIONS, balanced].append(told(CONNECT))
            if daemon is not None:
                found[IDLE, True].append(busy(daemon.pid(), max(5.0, seconds)))
                daemon.stop()
                shutil.rmtree(daemon.dir)
    for case, unit, digits in ((THROUGHPUT, "Gbit/s", 2), (CONNECTIONS, "a second", 0)):
        value, beside = (middle(found[case, balanced], digits) for balanced in (True, False))
        rounded = tuple(round(each, digits) for each in found[case, True])
        yield Measured("balance", case, value, unit, None, "more", "without", beside, rounded)
    yield Measured("balance", IDLE, middle(found[IDLE, True], 2), "%", None, "less")


def death(box: Box, moment: float) -> tuple[float, float]:
    """Seconds after which new flows are fine, and after which those of the dead uplink have been reset."""
    daemon, flows, fresh = (
        balancing(box, "203.0.113.254"),
        Flows(box.node("client"), SERVER),
        Flows(box.node("client"), SERVER),
    )
    try:
        first = flows.open(4)
        time.sleep(moment)
        box.wire("wan0").black_hole()
        begun = time.monotonic()
        wait_for("it is found", lambda: daemon.status()["uplinks"][0]["state"] == "lost", 20.0)
        assert "" not in fresh.open(4)
        found = time.monotonic() - begun
        flows.until_reset(first.count(SEEN), within=20.0)
        return found, time.monotonic() - begun
    finally:
        box.wire("wan0").heal()
        fresh.end()
        flows.end()
        daemon.stop()
        shutil.rmtree(daemon.dir)


def deaths(box: Box, rounds: int) -> Iterator[Measured]:
    """One uplink falls silent."""
    found = [death(box, turn / rounds) for turn in range(rounds)]
    for number, (case, wanted) in enumerate(((NEW_FLOWS, 3.0), (OLD_FLOWS, 5.0))):
        took = [round(each[number], 2) for each in found]
        yield Measured("balance", case, max(took), "s", wanted, "less", rounds=tuple(took))


def main() -> int:
    """Run it; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_balance")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    unfit = why_not()
    if unfit:
        print(f"bench_balance: {unfit}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_balance")
    broken = 0
    with Box(cables(2)) as box:
        world(box, "server")
        sink = box.node("server").popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True)
        assert sink.stdout is not None
        sink.stdout.readline()
        for line in measure(box, options.rounds, options.seconds):
            tell(line)
        sink.kill()
        sink.communicate()
    with Box(two_uplinks((0.005, 0.010), (None, None))) as box:
        world(box, "server")
        world(box, "isp")
        for line in deaths(box, options.rounds):
            tell(line)
            broken += line.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
