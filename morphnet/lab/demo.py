"""
The main job on real traffic: break the network under a tunnel in every usual way, and count what is lost.

    python -m morphnet.lab.enter -- python -m morphnet.lab.demo [--json] [--short]

Exit code 0 if nothing was lost, 1 if a promise was broken, 77 if this machine has no room for a box.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live

from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.scene import Scene, draw
from morphnet.lab.topologies import Route, two_uplinks
from morphnet.lab.vpn import INNER_SERVER, Vpn, json_lines, wait_for

WORLD = "10.99.0.2"  # behind the server
PORT = 5000
DELAYS, RATES = (0.010, 0.030), (20e6, 20e6)
SILENCE_LIMIT = 0.2  # seconds: max(3 RTT, 200 ms) with these delays


@dataclass
class Event:
    """One thing that is done to the network."""

    name: str
    promise: float  # seconds that the ping may be interrupted
    break_it: Callable[[], None]
    mend_it: Callable[[], None] = lambda: None
    lasts: float = 3.0  # seconds between the two
    begun_at: float = 0.0  # monotonic
    ended_at: float = 0.0
    lost: int = 0
    gap: float = 0.0  # seconds, the longest without an answer


@dataclass
class Traffic:
    """What runs through the tunnel meanwhile, and what it says."""

    ping: subprocess.Popen[str]
    transfer: subprocess.Popen[str]
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    final: dict[str, dict[str, Any]] = field(default_factory=dict)

    def listen(self) -> list[threading.Thread]:
        """Follow both in threads of their own."""
        threads = []
        for name, process in (("ping", self.ping), ("transfer", self.transfer)):
            thread = threading.Thread(target=self._follow, args=(name, process), daemon=True)
            thread.start()
            threads.append(thread)
        return threads

    def _follow(self, name: str, process: subprocess.Popen[str]) -> None:
        for line in json_lines(process):
            (self.final if line.get("final") else self.latest)[name] = line


class Demo:
    """The box, the tunnel in it, and the list of what happens to them."""

    def __init__(self, box: Box, pause: float) -> None:
        self.box, self._pause = box, pause
        self.vpn = Vpn(box, "203.0.113.1")
        self.scene = Scene()
        self.events = self._plan()

    def _plan(self) -> list[Event]:
        box = self.box
        return [
            Event("uplink wan0 goes down", SILENCE_LIMIT, self._down, self._up),
            Event(
                "uplink wan1 swallows everything, carrier stays",
                SILENCE_LIMIT,
                lambda: box.wire("wan1").black_hole(),
                lambda: box.wire("wan1").heal(),
            ),
            Event("the client's address on wan0 changes", SILENCE_LIMIT, self._renumber, lasts=2.0),
            Event("both NATs forget and map to other ports", SILENCE_LIMIT, self._forget, lasts=2.0),
            Event("the server is killed and started again", 3.0, self._restart, lasts=3.0),
        ]

    # -- what is done ----------------------------------------------------------------------------------------------

    def _down(self) -> None:
        self.box.link_down("client", "wan0")

    def _up(self) -> None:
        self.box.link_up("client", "wan0")

    def _renumber(self) -> None:
        self.box.address("client", "wan0", remove=["192.168.1.2/24"])
        self.box.address("client", "wan0", add=["192.168.1.77/24"])
        self.box.route("client", add=[Route("default", "192.168.1.1", "wan0", 100)])

    def _forget(self) -> None:
        self.box.remap_nat("nat0")
        self.box.remap_nat("nat1")

    def _restart(self) -> None:
        self.vpn.server.kill()
        self.vpn.server.start(wait=False)

    # -- the run -----------------------------------------------------------------------------------------------------

    def prepare(self) -> Traffic:
        """Bring the tunnel up over both uplinks, then traffic."""
        self.scene.say("making a network, its certificates, a server and a client")
        self.vpn.found()
        client = self.vpn.join()
        wait_for("both paths are active", lambda: list(client.states().values()) == ["active", "active"])
        self.box.node("world").popen(
            [sys.executable, "-m", "morphnet.lab.transfer", "serve", "--port", str(PORT)], stdout=subprocess.DEVNULL
        )
        here = self.box.node("client")
        time.sleep(0.5)
        ping = here.popen(
            [sys.executable, "-m", "morphnet.lab.ping", INNER_SERVER, "--every", "0.25"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        fetch = here.popen(
            [sys.executable, "-m", "morphnet.lab.transfer", "fetch", WORLD, str(PORT), "--every", "0.5"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return Traffic(ping, fetch)

    def watch(self, traffic: Traffic) -> None:
        """Bring the picture up to date."""
        try:
            self.scene.session = self.vpn.clients[0].session()
        except OSError:
            pass
        self.scene.latest = traffic.latest

    def run(self, traffic: Traffic, tick: Callable[[], None]) -> None:
        """Every event, with a pause before each."""
        self._wait(self._pause + 1.0, tick)
        for event in self.events:
            event.begun_at = time.monotonic()
            self.scene.say(event.name)
            event.break_it()
            self._wait(event.lasts, tick)
            event.mend_it()
            self._wait(self._pause, tick)
            event.ended_at = time.monotonic()
        self.scene.say("waiting for the last packets")
        traffic.ping.terminate()
        traffic.transfer.terminate()
        wait_for("traffic ends", lambda: len(traffic.final) == 2, 30.0)
        self._judge(traffic.final["ping"])

    def _wait(self, seconds: float, tick: Callable[[], None]) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            tick()
            time.sleep(0.2)

    def _judge(self, ping: dict[str, Any]) -> None:
        """Share losses and gaps out among the events that they fell into."""
        start = ping["started_at"]
        for event in self.events:
            for first, last, at in ping["losses"]:
                if event.begun_at <= start + at < event.ended_at:
                    event.lost += last - first + 1
            for at, milliseconds in ping["gaps"]:
                if event.begun_at - 0.05 <= start + at < event.ended_at:
                    event.gap = max(event.gap, milliseconds / 1000)

    def verdict(self, traffic: Traffic) -> dict[str, Any]:
        """Everything that was counted, as JSON values."""
        ping, transfer = traffic.final["ping"], traffic.final["transfer"]
        kept = ping["lost"] == 0 and transfer["sha256_equal"] and not transfer["resets"]
        return {
            "kept": kept and all(event.gap <= event.promise for event in self.events),
            "ping": {name: ping[name] for name in ("sent", "received", "lost", "duplicates", "rtt_ms")},
            "transfer": {name: transfer[name] for name in ("bytes", "mbit_s", "sha256_equal", "resets")},
            "events": [
                {"name": e.name, "lost": e.lost, "longest_gap_ms": round(1000 * e.gap), "promise_ms": 1000 * e.promise}
                for e in self.events
            ],
            "counters": self.vpn.clients[0].session().get("counters", {}),
        }


def report(console: Console, verdict: dict[str, Any]) -> None:
    """One line per event, then the sums."""
    for event in verdict["events"]:
        kept = event["longest_gap_ms"] <= event["promise_ms"] and not event["lost"]
        mark = "[green]kept[/]" if kept else "[red]BROKEN[/]"
        gap = f"{event['longest_gap_ms']} ms" if event["longest_gap_ms"] else "none over 30 ms"
        console.print(
            f"{mark:>6}  {event['name']:<47} lost {event['lost']}, longest gap {gap}", highlight=False, soft_wrap=True
        )
    ping, transfer = verdict["ping"], verdict["transfer"]
    told = "equal" if transfer["sha256_equal"] else "DIFFERENT"
    console.print(
        f"\nTCP download: {transfer['bytes'] / 1e6:.1f} MB at {transfer['mbit_s']:.1f} Mbit/s on average, "
        f"SHA-256 {told}, {transfer['resets']} resets",
        highlight=False,
    )
    console.print(
        f"ping: RTT p50 {ping['rtt_ms']['p50']:.1f} ms, p99 {ping['rtt_ms']['p99']:.1f} ms, "
        f"{ping['duplicates']} duplicates",
        highlight=False,
    )
    console.print(f"[bold]lost {ping['lost']} of {ping['sent']}[/]", highlight=False)


def main(arguments: list[str]) -> int:
    """Run the demo; 0, 1 or 77."""
    parser = argparse.ArgumentParser(prog="morphnet.lab.demo", description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--short", action="store_true", help="shorter pauses between the events")
    options = parser.parse_args(arguments)
    reason = why_not()
    if reason is not None:
        print(f"demo: {reason}", file=sys.stderr)
        return 77
    console = Console(stderr=options.json, quiet=options.json)
    with Box(two_uplinks(DELAYS, RATES)) as box:
        demo = Demo(box, 1.5 if options.short else 3.0)
        try:
            with Live(console=console, refresh_per_second=5, transient=False, get_renderable=lambda: draw(demo.scene)):
                traffic = demo.prepare()
                traffic.listen()
                demo.run(traffic, lambda: demo.watch(traffic))
            verdict = demo.verdict(traffic)
        finally:
            demo.vpn.stop()
    if options.json:
        print(json.dumps(verdict))
    else:
        console.print("\n")
        report(console, verdict)
    return 0 if verdict["kept"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
