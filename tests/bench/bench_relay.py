"""
A relay: what idle nodes cost it, and what it forwards, beside coturn.

    python -m tests.bench.bench_relay [--nodes 10000] [--seconds 3] [--rounds 3] [--watching 1000]

With --watching, only: so many nodes that all want to know of all the others come at once, in namespaces likewise.

The relay, the nodes (tests/bench/relay_crowd.py) and the rival share this machine, so that what counts is what one
second of the relay's processor does. coturn relays between two clients by TLS, as ours does, and also UDP without TLS
(tests/bench/turn.py).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.gauge import most_resident
from morphnet.lab.homes import RELAYS, Home, homes
from morphnet.lab.meeting import RELAY_NAME, Meeting
from morphnet.lab.topologies import Route
from tests.bench.bench_clients import worked
from tests.bench.crowd import CROWD
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell
from tests.bench.turn import PORT, TLS_PORT

SIZE, RUN = 1200, 40  # bytes of a datagram, and how many are in a run
PER_NODE = 256.0  # KB
ALL_KNOWN, PATIENCE = 5.0, 120.0  # seconds


class Talk:
    """A crowd at the isp."""

    def __init__(self, box: Box, pki: Path, count: int, *watch: str) -> None:
        box.node("isp").run(["ip", "route", "add", "local", CROWD, "dev", "lo"], check=True)
        self._process: subprocess.Popen[str] = box.node("isp").popen(
            [sys.executable, "-m", "tests.bench.relay_crowd", str(pki), RELAYS[0], str(count), *watch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def ask(self, line: str) -> dict[str, Any]:
        """Have it do that, and wait for the end of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._answer()


class Rival:
    """coturn on the relay's host, if it is here; with the relay's key and certificate."""

    def __init__(self, box: Box, pki: Path) -> None:
        self._box = box
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        if shutil.which("turnserver") is None:
            return
        words = ["--listening-port", str(PORT), "--listening-ip", RELAYS[0], "--relay-ip", RELAYS[0]]
        words += ["--lt-cred-mech", "--user", "bench:bench", "--realm", "bench", "--no-dtls", "--no-cli"]
        words += ["--tls-listening-port", str(TLS_PORT), "--cert", str(pki / f"{RELAY_NAME}.pem")]
        words += ["--pkey", str(pki / f"{RELAY_NAME}.key")]
        words += ["--simple-log", "--log-file", "/dev/null", "--pidfile", "", "--allow-loopback-peers"]
        self._process = box.node("relay").popen(
            ["turnserver", "-n", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(1.0)
        self.pid = self._process.pid

    def load(self, seconds: float, how: str) -> dict[str, Any]:
        """What it relayed by "udp" or "tls", and seconds of its processor; {} without a rival."""
        if not self.pid:
            return {}
        before = worked(self.pid)
        words = [sys.executable, "-m", "tests.bench.turn", RELAYS[0], str(seconds), str(SIZE), how]
        done = self._box.node("isp").run(words, timeout=seconds + 30)
        if done.returncode:
            print(f"bench_relay: {done.stderr[-300:]}", file=sys.stderr)
            return {}
        return {**json.loads(done.stdout), "worked": worked(self.pid) - before}


def idle(talk: Talk, pid: int, count: int) -> Iterator[Measured]:
    """What nodes cost that say nothing."""
    before = most_resident(pid)
    connected = talk.ask("connect")
    yield Measured("relay", f"{count} nodes: registered", connected["registered"], "nodes", count)
    yield Measured("relay", f"{count} nodes: time for all", connected["seconds"], "s")
    each = (most_resident(pid) - before) / 1000 / count
    yield Measured("relay", f"{count} nodes: memory for each", round(each, 1), "KB", PER_NODE, "less")
    used, began = worked(pid), time.monotonic()
    talk.ask("rest 30")
    share = 100 * (worked(pid) - used) / (time.monotonic() - began)
    yield Measured("relay", f"{count} nodes: processor, idle", round(share, 1), "%")


def watching(talk: Talk, pid: int, count: int) -> Iterator[Measured]:
    """Until all of those who watch all know all."""
    used, began = worked(pid), time.monotonic()
    connected = talk.ask("connect")
    yield Measured("presence", f"{count} nodes: registered", connected["registered"], "nodes", count)
    yield Measured("presence", f"{count} nodes: time for all", connected["seconds"], "s")
    pairs = count * (count - 1)
    known = 0
    while known < pairs and time.monotonic() - began < PATIENCE:
        known = talk.ask("rest 0.1")["known"]
    passed = time.monotonic() - began if known >= pairs else float("inf")
    yield Measured("presence", f"{count} nodes: until all know all", round(passed, 2), "s", ALL_KNOWN, "less")
    yield Measured("presence", f"{count} nodes: the relay's processor", round(worked(pid) - used, 2), "s")


def forwarding(talk: Talk, pid: int, rival: Rival, options: argparse.Namespace) -> Iterator[Measured]:
    """What one second of its processor forwards, in turn with the rival."""
    ours: dict[int, list[tuple[float, float, float]]] = {1: [], RUN: []}
    theirs: dict[str, list[float]] = {"tls": [], "udp": []}
    for _ in range(options.rounds):
        for count, rounds in ours.items():
            before = worked(pid)
            told = talk.ask(f"send {options.seconds} {SIZE} {count}")
            rounds.append((told["messages"], told["bytes"], worked(pid) - before))
        for how, seconds in theirs.items():
            if (told := rival.load(options.seconds, how)) and told["worked"]:
                seconds.append(told["bytes"] / 1e6 / told["worked"])
    rivals: dict[str, float | None] = {}
    for how, values in theirs.items():
        if values:
            rivals[f"coturn, {how.upper()}"] = middle(values)
    for count, rounds in ours.items():
        name = f"envelopes of {count} datagram{'s' if count > 1 else ''}"
        per_second = [messages / options.seconds for messages, _, _ in rounds]
        yield Measured("relay", f"{name}: forwarded", middle(per_second, 0), "messages/s", rounds=tuple(per_second))
        rates = [size / 1e6 / options.seconds for _, size, _ in rounds]
        yield Measured("relay", f"{name}: rate", middle(rates), "MB/s", rounds=tuple(rates))
        each = middle([size / 1e6 / used for _, size, used in rounds if used])
        for rival_name, value in (rivals or {"": None}).items():
            yield Measured("relay", f"{name}: by a second of processor", each, "MB", None, "more", rival_name, value)


def cases(talk: Talk, box: Box, pid: int, pki: Path, options: argparse.Namespace) -> Iterator[Measured]:
    """What was asked for."""
    if options.watching:
        yield from watching(talk, pid, options.watching)
        return
    yield from idle(talk, pid, options.nodes)
    yield from forwarding(talk, pid, Rival(box, pki), options)


def main() -> int:
    """Run; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_relay")
    parser.add_argument("--nodes", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--watching", type=int, default=0, help="so many nodes that all watch all, and nothing else")
    options = parser.parse_args()
    if why_not():
        print(f"bench_relay: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_relay")
    broken = 0
    with Box(homes([Home()])) as box:
        box.route("relay", add=[Route(CROWD, "203.0.113.2")])
        meeting = Meeting(box, {"node-rate": 1e12, "max-nodes": 50000})
        meeting.found()
        pid = meeting.relay.pid()
        pki = meeting.relay.etc / "pki"
        talk = Talk(box, pki, options.watching or options.nodes, *("*" if options.watching else ""))
        for measured in cases(talk, box, pid, pki, options):
            tell(measured)
            broken += measured.kept is False
        meeting.stop()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
