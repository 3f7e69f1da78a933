"""
A client whose UDP does not pass, and what TCP makes of it; and starts beside a captive portal.

    python -m tests.bench.bench_blocked [start speed ends bad portal] [--rounds 3]

Real `twistd` processes in a box. One uplink of 100 Mbit/s and 10 ms one way; for the portal two of 20 Mbit/s, of which
the better one is hijacked: its resolver lies, and somebody else answers in everybody's place. Speed and delay over TCP
are measured beside those over UDP on the same network.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Literal

from morphnet.lab.enter import why_not
from morphnet.lab.topologies import SERVER, two_uplinks
from morphnet.lab.vpn import SERVER_NAME
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell
from tests.lab.case import Actions, Plan, network_of, rest
from tests.lab.obstacles import portal_at, udp_loses, without_udp

PLAN = Plan(topology=lambda: two_uplinks((0.010,), (100e6,)))
HIJACKED = Plan(address=SERVER_NAME, names=((SERVER_NAME, SERVER),))
PORTAL = "192.168.1.1"  # the router on wan0
STARTS, LASTS = 12, 6.0  # seconds of each transfer
WAYS, QUANTILES = ("download", "upload"), ("p50", "p99")
MORE: Literal["more"] = "more"
LESS: Literal["less"] = "less"
Figures = dict[str, float]


def most(case: str, value: float, unit: str, wanted: float | None, rounds: list[float] | None = None) -> Measured:
    """A value of which less is better."""
    return Measured("blocked", case, round(value, 2), unit, wanted, "less", rounds=tuple(rounds or ()))


def compared(way: str, udp: list[Figures], tcp: list[Figures]) -> Iterator[Measured]:
    """What TCP makes of a transfer, beside UDP."""
    for name, case, unit in (("rate", "", "Mbit/s"), *((name, f", RTT meanwhile, {name}", "ms") for name in QUANTILES)):
        rounds = [each[name] for each in tcp]
        beside = middle([each[name] for each in udp])
        wanted, better = (round(beside / 2, 1), MORE) if name == "rate" else (round(2 * beside, 1), LESS)
        yield Measured(
            "blocked", f"{way} by TCP{case}", middle(rounds), unit, wanted, better, "UDP", beside, tuple(rounds)
        )


class Bench(Actions):
    """Each method yields what it measured."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def on(self, plan: Plan) -> None:
        """Stand on a network like this."""
        self.use(network_of(plan))
        self.both_active()

    def stream_is(self) -> str:
        """State of the path by TCP."""
        return next((state for uplink, state in self.client.states().items() if uplink.startswith("tcp")), "")

    def until_stream(self) -> float:
        """Seconds until it carries."""
        return self.until("the stream is active", lambda: self.stream_is() == "active", 20.0)

    def udp_again(self) -> float:
        """Seconds until UDP carries."""
        return self.until("UDP is used again", lambda: self.state_of("wan0") == "active", 30.0)

    def drop_stream(self) -> None:
        """End it, so that the next one is another."""
        for uplink, path in self.client.paths().items():
            if uplink.startswith("tcp"):
                self.client.ask({"ask": "cut", "path": path["path"]})
                self.client.ask({"ask": "restore", "path": path["path"]})

    def start(self) -> Iterator[Measured]:
        """UDP dropped from the start: from the start of the process to the tunnel."""
        self.on(PLAN)
        took = []
        for _ in range(self.rounds):
            self.client.stop()
            with without_udp(self.box):
                begun = time.monotonic()
                self.client.start(wait=False)
                self.until_stream()
                took.append(round(time.monotonic() - begun, 2))
            self.udp_again()
            self.drop_stream()
        yield most("no UDP from the start: tunnel", max(took), "s", 3, took)

    def _beside(self, way: str) -> Figures:
        """A transfer, with echoes beside it."""
        ping, fetch = self.ping(), self.fetch(*(["--upload"] if way == "upload" else []))
        rest(LASTS)
        moved, echoes = fetch.end(), ping.end()
        return {"rate": moved["mbit_s"], **{name: echoes["rtt_ms"][name] for name in QUANTILES}}

    def speed(self) -> Iterator[Measured]:
        """A transfer each way, and echoes beside it: by UDP, and by TCP."""
        self.on(PLAN)
        found: dict[tuple[str, str], list[Figures]] = {(kind, way): [] for kind in ("udp", "tcp") for way in WAYS}
        for _ in range(self.rounds):
            for way in WAYS:
                found["udp", way].append(self._beside(way))
            with without_udp(self.box):
                asks = self.ping()
                self.until_stream()
                asks.end()
                for way in WAYS:
                    found["tcp", way].append(self._beside(way))
            self.udp_again()
            self.drop_stream()
        for way in WAYS:
            yield from compared(way, found["udp", way], found["tcp", way])

    def ends(self) -> Iterator[Measured]:
        """UDP ends in the middle of a download, and comes back."""
        self.on(PLAN)
        gaps, lost, back, resets = list[float](), list[float](), list[float](), 0
        for _ in range(self.rounds):
            ping, fetch = self.ping(), self.fetch()
            rest(2.0)
            with without_udp(self.box):
                self.until_stream()
                rest(4.0)
            back.append(round(self.udp_again(), 2))
            rest(3.0)
            final, download = ping.end(), fetch.end()
            resets += download["resets"] + (not download["sha256_equal"])
            gaps.append(final["longest_gap_ms"])
            lost.append(final["lost"])
            self.drop_stream()
        yield most("UDP ends in a download: longest gap", max(gaps), "ms", 1000, gaps)
        yield most("UDP ends in a download: resets", resets, "connections", 0)
        yield most("UDP comes back: used after", max(back), "s", 10, back)
        yield most("UDP ends, and comes back: lost", sum(lost), "packets", 0, lost)

    def bad(self) -> Iterator[Measured]:
        """UDP loses 60 %, each way, in the middle of a download."""
        self.on(PLAN)
        took, rates = [], []
        for _ in range(self.rounds):
            ping, fetch = self.ping(), self.fetch()
            rest(2.0)
            with udp_loses(self.box, 60):
                took.append(round(self.until_stream(), 2))
                rest(1.0)
                rates.append(self._beside("download")["rate"])
            for traffic in (ping, fetch):
                traffic.end()
            self.udp_again()
            self.drop_stream()
        yield most("UDP loses 60 %: by TCP after", max(took), "s", 3, took)
        yield Measured("blocked", "UDP loses 60 %: a second download", middle(rates), "Mbit/s", rounds=tuple(rates))

    def portal(self) -> Iterator[Measured]:
        """Starts with one hijacked uplink: from the start of the process to a path by the other one."""
        self.on(HIJACKED)
        nodes, said = self.box.node, self.box.dir
        others = [portal_at(nodes("server"), said / "server.said", SERVER)]
        nodes("client").hosts({})
        nodes("client").resolv(f"nameserver {PORTAL}\nnameserver {SERVER}\n")
        self.client.stop()
        self.box.address("nat0", "lan", add=[f"{SERVER}/32"])
        others.append(portal_at(nodes("nat0"), said / "nat0.said", PORTAL, "443", "8000", "8443"))
        took = []
        for _ in range(STARTS):
            begun = time.monotonic()
            self.client.start(wait=False)
            self.until("wan1 is active", lambda: self.state_of("wan1") == "active", 30.0)
            took.append(round(time.monotonic() - begun, 2))
            self.client.stop()
        for each in others:
            each.terminate()
        self.network.failed = True  # nobody else wants it
        kept = sum(each <= 3.0 for each in took)
        yield Measured(
            "blocked", f"one uplink hijacked: of {STARTS} starts in 3 s", kept, "starts", STARTS, rounds=tuple(took)
        )
        yield most("one uplink hijacked: longest start", max(took), "s", 3)


PARTS = ("start", "speed", "ends", "bad", "portal")


def main() -> int:
    """Measure; 1 when a promise was broken."""
    options = argparse.ArgumentParser(prog="bench_blocked", description=__doc__.split("\n\n")[0].strip())
    options.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all when none is named")
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"bench_blocked: {reason}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_blocked")
    bench, broken = Bench(asked.rounds), 0
    for part in asked.parts or PARTS:
        for measured in getattr(bench, part)():
            tell(measured)
            broken += measured.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
