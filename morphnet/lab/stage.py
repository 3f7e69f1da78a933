"""
What both demos share: events that are done to a network while a ping and a TCP download run, and what they cost.

Source: docs/lab, "Demos".
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live

from morphnet.lab.box import Box, BoxNode
from morphnet.lab.playing import options_of, play
from morphnet.lab.scene import Scene, draw
from morphnet.lab.topologies import Topology
from morphnet.lab.vpn import json_lines, wait_for

PORT = 5000  # of the TCP server


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


class Stage:
    """
    A box, and the list of what happens in it; a demo says which box, what it prepares and what the events are.

    :param pause: seconds between two events.
    """

    events: list[Event]

    def __init__(self, box: Box, pause: float) -> None:
        self.box, self._pause = box, pause
        self.scene = Scene()

    def prepare(self) -> Traffic:
        """Bring everything up, then traffic."""
        raise NotImplementedError

    def watch(self, traffic: Traffic) -> None:
        """Bring the picture up to date."""
        self.scene.latest = traffic.latest

    def counters(self) -> dict[str, Any]:
        """What else was counted."""
        return {}

    def stop(self) -> None:
        """End every process."""
        raise NotImplementedError

    def start_traffic(self, here: BoxNode, there: BoxNode, ping: str, fetch: str) -> Traffic:
        """
        A ping and a download.

        :param ping: whom to ping from `here`, and `fetch` where the TCP server on `there` is reached.
        """
        there.popen(
            [sys.executable, "-m", "morphnet.lab.transfer", "serve", "--port", str(PORT)], stdout=subprocess.DEVNULL
        )
        time.sleep(0.5)
        words = (
            ["morphnet.lab.ping", ping, "--every", "0.25"],
            ["morphnet.lab.transfer", "fetch", fetch, str(PORT), "--every", "0.5"],
        )
        started = [here.popen([sys.executable, "-m", *each], stdout=subprocess.PIPE, text=True) for each in words]
        return Traffic(started[0], started[1])

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
            "counters": self.counters(),
        }


def report(console: Console, verdict: dict[str, Any]) -> None:
    """One line per event, then the sums."""
    console.print("\n")
    for event in verdict["events"]:
        kept = event["longest_gap_ms"] <= event["promise_ms"] and not event["lost"]
        way = f"  now {event['way']}" if event.get("way") else ""
        mark = "[green]kept[/]" if kept else "[red]BROKEN[/]"
        gap = f"{event['longest_gap_ms']} ms" if event["longest_gap_ms"] else "none over 30 ms"
        told = f"{mark:>6}  {event['name']:<47} lost {event['lost']}, longest gap {gap}{way}"
        console.print(told, highlight=False, soft_wrap=True)
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


def perform(make: Callable[[Box, float], Stage], topology: Topology, arguments: list[str], doc: str | None) -> int:
    """
    Run a demo: 0, 1 or 77.

    :param doc: of its module.
    """
    parser = options_of(doc)
    parser.add_argument("--short", action="store_true", help="shorter pauses between the events")
    options = parser.parse_args(arguments)

    def act(console: Console) -> dict[str, Any]:
        with Box(topology) as box:
            stage = make(box, 1.5 if options.short else 3.0)
            try:
                with Live(console=console, refresh_per_second=5, get_renderable=lambda: draw(stage.scene)):
                    traffic = stage.prepare()
                    traffic.listen()
                    stage.run(traffic, lambda: stage.watch(traffic))
                return stage.verdict(traffic)
            finally:
                stage.stop()

    return play(options, act, report)
