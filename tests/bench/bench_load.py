"""
Load by strangers, in full: figures E1, E3 and E7.

    python -m tests.bench.bench_load [E1] [E3] [E7]

E1: 10 000 datagrams a second from spoofed addresses for 10 s, on a tunnel with 20 Mbit/s: goodput before and during,
    lost echoes, memory. Generator and wire share the machine's processors with both ends.
E7: 3000 connections a second for 10 s, each from another address of one network, at a closed port and at the control
    port: goodput and round trips in both, how long a client takes to come in.
E3: 2000 sockets from 500 addresses sit on the control port, twice: handshakes of others meanwhile, until all are out.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from morphnet.lab.enter import why_not
from morphnet.lab.topologies import SERVER, WORLD
from morphnet.lab.vpn import wait_for
from tests.bench.measured import CANNOT, Measured, enter_lab, tell
from tests.lab.street import CONTROL, DATA, Street, counter, descriptors, final, name_for, resident, until_active

SECONDS = 10.0
RATE = 20e6  # bit/s of the client's wire
CLOSED = 9  # a port at which nobody listens
CAME = ("control_half_open", "callers_waiting", "callers_turned_away")  # counters of callers


def goodput(street: Street, seconds: float) -> dict[str, Any]:
    """TCP from the world for so long, beside a ping."""
    echoes = street.tool("client", "ping", "10.73.0.1", "--seconds", seconds, "--grace", 2)
    fetch = street.tool("client", "transfer", "fetch", WORLD, 5000, "--seconds", seconds)
    got, pinged = final(fetch, seconds + 20), final(echoes, seconds + 20)
    return {"mbit_s": got["mbit_s"], "lost": pinged["lost"], "sent": pinged["sent"], "p99": pinged["rtt_ms"]["p99"]}


def processor(pid: int) -> float:
    """Seconds of processor that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flooded() -> dict[str, Any]:
    """Figure E1."""
    street = Street(rate=RATE)
    try:
        client = street.vpn.join(settings={"uplinks": ["wan0"]})
        until_active(client)
        street.tool("world", "transfer", "serve", "--port", 5000)
        time.sleep(1.0)
        goodput(street, 3.0)  # the rate of the path is found
        quiet, pid = goodput(street, SECONDS), street.server.pid()
        memory, used, begun = resident(pid), processor(pid), time.monotonic()
        flood = street.stranger("flood", SERVER, DATA, "--seconds", SECONDS)
        loud = goodput(street, SECONDS - 1.0)
        busy = (processor(pid) - used) / (time.monotonic() - begun)
        told = final(flood, 30.0)
        return {
            "quiet": quiet,
            "flooded": loud,
            "goodput_loss": round(1 - loud["mbit_s"] / quiet["mbit_s"], 4),
            "growth_mb": round((resident(pid) - memory) / 2**20, 2),
            "server_cpu": round(busy, 2),
            "per_second": told["per_second"],
            "answers": told["answers"],
            "counted": {name: counter(street.server, name) for name in ("stranger", "malformed")},
        }
    finally:
        street.close()


def handshakes(street: Street) -> float:
    """Milliseconds, the 95th percentile, from TCP to the end of a TLS handshake of somebody healthy."""
    words = "--count", 60, "--rate", 10.0, "--name", name_for(street.server)
    calls = street.stranger("knock", SERVER, CONTROL, *words, node="second")
    return float(final(calls, 30.0)["p95_ms"])


def sat_upon() -> dict[str, Any]:
    """Figure E3."""
    street = Street()
    try:
        street.vpn.join()
        pid = street.server.pid()
        quiet = handshakes(street)
        memory, files, rounds = resident(pid), descriptors(pid), []
        for _ in range(2):
            crowd = street.stranger("crowd", SERVER, CONTROL, "--sockets", 2000, "--sources", 500, "--seconds", 70.0)
            wait_for("they are there", lambda: sum(counter(street.server, name) for name in CAME) >= 1000, 15.0)
            loud = handshakes(street)
            out = final(crowd, 80.0)
            rounds.append(
                {
                    "p95_ms": loud,
                    "last_out_s": out["last_after"],
                    "left": out["left"],
                    "growth_mb": round((resident(pid) - memory) / 2**20, 1),
                    "files": descriptors(pid) - files,
                }
            )
        return {"quiet_p95_ms": quiet, "rounds": rounds}
    finally:
        street.close()


def called_upon() -> dict[str, Any]:
    """Figure E7."""
    street = Street(rate=RATE)
    try:
        client = street.vpn.join(settings={"uplinks": ["wan0"]})
        street.tool("world", "transfer", "serve", "--port", 5000)
        second = street.vpn.enrol("second", "desk")
        goodput(street, 3.0)  # the rate of the path is found
        found: dict[str, Any] = {}
        for name, port in (("closed", CLOSED), ("control", CONTROL)):
            calling, pid = street.stranger("call", SERVER, port, "--seconds", SECONDS), street.server.pid()
            used, begun = processor(pid), time.monotonic()
            found[name] = goodput(street, SECONDS - 2.0)
            found[name]["cpu"] = (processor(pid) - used) / (time.monotonic() - begun)
            found[name] |= final(calling, 30.0)
        street.stranger("call", SERVER, CONTROL, "--seconds", SECONDS)
        begun = time.monotonic()
        second.start(wait=False)
        wait_for("the second is in", lambda: second.answers() and "active" in second.states().values(), 30.0)
        return found | {"in_after": time.monotonic() - begun, "states": client.states()}
    finally:
        street.close()


def e1() -> Iterator[Measured]:
    """A flood of datagrams."""
    got = flooded()
    yield Measured("E1", "goodput falls by", round(100 * got["goodput_loss"], 1), "%", 10.0, "less")
    yield Measured("E1", "memory grows by", got["growth_mb"], "MB", 16.0, "less")
    yield Measured("E1", "answers to strangers", got["answers"], "", 0.0, "less")
    yield Measured("E1", "flood", got["per_second"], "datagrams/s")
    yield Measured("E1", "the server's processor", round(100 * got["server_cpu"]), "%")


def e7() -> Iterator[Measured]:
    """Callers without end."""
    got = called_upon()
    calm, loud = got["closed"], got["control"]
    yield Measured("E7", "goodput falls by", round(100 * (1 - loud["mbit_s"] / calm["mbit_s"]), 1), "%", 10.0, "less")
    yield Measured("E7", "round trips, p99, grow by", round(loud["p99"] - calm["p99"], 1), "ms", 5.0, "less")
    yield Measured("E7", "a client is in after", round(got["in_after"], 1), "s", 5.0, "less")
    yield Measured("E7", "callers", round(loud["called"] / SECONDS), "a second")
    yield Measured("E7", "the server's processor, more", round(100 * (loud["cpu"] - calm["cpu"])), "%")


def e3() -> Iterator[Measured]:
    """Those who sit on the control port."""
    got = sat_upon()
    worst = max(got["rounds"], key=lambda each: each["p95_ms"])["p95_ms"]
    yield Measured("E3", "healthy p95", round(worst / got["quiet_p95_ms"], 2), "x the quiet one", 2.0, "less")
    yield Measured("E3", "the last is out after", max(each["last_out_s"] for each in got["rounds"]), "s", 60.0, "less")
    yield Measured("E3", "memory grows by", got["rounds"][-1]["growth_mb"], "MB")
    yield Measured("E3", "files left open", got["rounds"][-1]["files"], "")


def main(arguments: list[str]) -> int:
    """Both, one after the other; 0, 1 when a promise was broken, or 77 where there can be no lab."""
    reason = why_not()
    if reason is not None:
        print(f"bench_load: {reason}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_load")
    broken = 0
    for name, act in {"E1": e1, "E3": e3, "E7": e7}.items():
        if name in arguments or not arguments:
            for measured in act():
                tell(measured)
                broken += measured.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
