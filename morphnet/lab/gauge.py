"""
What a tunnel in a box can do, measured from outside: bulk TCP, packets a second, round trips, processor and memory.

The processor's time is that of the whole machine, kernel and traffic tools included, so that nobody's share is
forgotten; the machine should have nothing else to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any

from morphnet.lab import crowded, streams
from morphnet.lab.box import Box
from morphnet.lab.rivals import Ways
from morphnet.lab.vpn import NotInTime, json_lines, last_line

SETTLE = 1.5  # seconds of a load that are not counted
PATIENCE = 10.0  # seconds that a load may take longer than it should
CONNECTED = 20.0  # seconds that it may take until thousands of connections are open
ECHO = 0.02  # seconds between echoes beside a load
LATE = 0.5  # seconds after the last packet was sent until all have come that will
LOSS = 0.01  # share of packets that may be lost
FLOOD = 1e6  # packets a second, more than any tunnel here takes
STEPS = 6  # of the search for a rate, which halve what is not known: the last is 3 %
_ports = iter(range(5100, 60000))


@dataclass(frozen=True)
class Bulk:
    """TCP through a tunnel."""

    rate: float  # bit/s of payload
    per_gigabyte: float  # seconds of processor time, all of the machine


def busy() -> float:
    """Seconds that the processors of this machine have worked since boot."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # without idle and iowait


def most_resident(pid: int) -> int:
    """The most bytes that a process has had in memory so far; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _tool(box: Box, node: str, module: str, *words: str) -> subprocess.Popen[Any]:
    command = [sys.executable, "-m", f"morphnet.lab.{module}", *words]
    return box.node(node).popen(command, stdout=subprocess.PIPE, text=True)


def bulk(box: Box, ways: Ways, direction: str, seconds: float, count: int = 1) -> Bulk:
    """
    TCP streams with nothing else on the way.

    :param direction: "down" to the client, or "up".
    :raises NotInTime: nothing arrives.
    """
    port = str(next(_ports))
    taker, giver = ("client", "server") if direction == "down" else ("server", "client")
    taking = _tool(box, taker, "streams", "serve", "take", port)
    assert taking.stdout is not None  # asked for in _tool
    taking.stdout.readline()
    address = ways.client if direction == "down" else ways.server
    giving = _tool(box, giver, "streams", "connect", "give", port, address, "--streams", str(count))
    watch = threading.Timer(SETTLE + seconds + PATIENCE, taking.kill)
    watch.start()
    lines = json_lines(taking)
    try:
        for _ in range(round(SETTLE / streams.EVERY)):
            next(lines)
        began, worked = time.monotonic(), busy()
        rates = [next(lines)["mbit_s"] * 1e6 for _ in range(max(1, round(seconds / streams.EVERY)))]
        worked, passed = busy() - worked, time.monotonic() - began
    except StopIteration:
        raise NotInTime(f"TCP {direction} stood still") from None
    finally:
        watch.cancel()
        for process in (giving, taking):
            process.kill()
            process.communicate()
    rate = fmean(rates)
    return Bulk(rate, worked / (rate * passed / 8e9))


def by_many(
    box: Box, ways: Ways, connections: int, seconds: float, settle: float = 2 * SETTLE
) -> tuple[Bulk, dict[str, float]]:
    """
    TCP by so many connections from the client to the server, with an echo every ECHO seconds.

    :param settle: seconds of the load, from when all are connected, that are not counted.
    :returns: what passed, and what quantiles of the echoes took, in ms; see `lab/ping`.
    :raises NotInTime: nothing arrives.
    """
    port = str(next(_ports))
    taking = _tool(box, "server", "crowded", "take", port)
    assert taking.stdout is not None  # asked for in _tool
    taking.stdout.readline()
    giving = _tool(box, "client", "crowded", "give", port, ways.server, "--connections", str(connections))
    watch = threading.Timer(CONNECTED + settle + seconds + PATIENCE, taking.kill)
    watch.start()
    started = [taking, giving]
    try:
        assert giving.stdout is not None
        if not giving.stdout.readline():
            raise NotInTime(f"no {connections} connections")
        lines, began_at = json_lines(taking), time.monotonic() + settle
        began = next(line for line in lines if line["at"] >= began_at)["at"]
        worked = busy()
        echoing = _tool(box, "client", "ping", ways.server, "--seconds", str(seconds), "--interval", str(ECHO))
        started.append(echoing)
        rates = [next(lines) for _ in range(max(1, round(seconds / crowded.EVERY)))]
        worked, passed = busy() - worked, rates[-1]["at"] - began
        echoes = last_line(echoing, PATIENCE)["rtt_ms"]
    except StopIteration:
        raise NotInTime(f"TCP by {connections} connections stood still") from None
    finally:
        watch.cancel()
        for process in started:
            process.kill()
            process.communicate()
    rate = fmean([line["mbit_s"] * 1e6 for line in rates])
    return Bulk(rate, worked / (rate * passed / 8e9)), echoes


def offered(box: Box, ways: Ways, size: int, rate: float, seconds: float, flows: int = 1) -> tuple[float, float]:
    """
    (share lost, packets a second that arrived) at a rate, from the client to the server.

    :param flows: among which packets take turns; one flow is sent many a system call, several are not.
    """
    port = str(next(_ports))
    taking = _tool(box, "server", "flood", "take", port)
    assert taking.stdout is not None
    taking.stdout.readline()
    words = (
        ways.server,
        port,
        "--size",
        str(size),
        "--rate",
        str(rate),
        "--seconds",
        str(seconds),
        "--flows",
        str(flows),
    )
    giving = _tool(box, "client", "flood", "give", *words)
    said, _ = giving.communicate()
    sent = json.loads(said)
    time.sleep(LATE)
    taking.kill()
    told = [json.loads(line)["taken"] for line in taking.communicate()[0].splitlines() if line.startswith('{"taken"')]
    last = max(told, default=0)
    return 1 - last / max(1, sent["sent"]), last / sent["seconds"]


def packets(box: Box, ways: Ways, size: int, seconds: float = 1.0) -> float:
    """
    The most packets a second that pass with at most LOSS of them lost: what arrived, not what was asked for.

    What arrives of a flood is where the search begins; a rate that fails has a second try, for the machine is noisy.

    :param size: bytes of UDP payload.
    """
    _, arrived = offered(box, ways, size, FLOOD, seconds)
    low, high, best = arrived / 4, min(FLOOD, 2 * arrived), 0.0
    for _ in range(STEPS):
        rate = sqrt(low * high)
        for _ in range(2):
            lost, arrived = offered(box, ways, size, rate, seconds)
            if lost <= LOSS:
                break
        if lost <= LOSS:
            low, best = rate, max(best, arrived)
        else:
            high = rate
    return best


def round_trip(box: Box, ways: Ways, count: int = 200) -> float:
    """The median of echoes, ten milliseconds apart, with nothing else on the way: seconds."""
    pinging = _tool(box, "client", "ping", ways.server, "--count", str(count), "--interval", "0.01")
    final = last_line(pinging, count * 0.01 + PATIENCE)
    return float(final["rtt_ms"]["p50"]) / 1000
