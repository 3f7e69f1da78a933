"""
What migration and failover cost: figures A1 to A8 and A10 to A12, at their full length.

    python -m tests.bench.bench_failover [A1 A2 ...] [--short]

Real `twistd` processes in a box, two uplinks of 20 Mbit/s with 10 and 30 ms one way, 100 echoes a second. All of it
takes half an hour; `--short` shortens what only lasts, and repeats less often.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from morphnet.lab.enter import why_not
from morphnet.lab.topologies import SECOND, SERVER, Route, two_uplinks
from morphnet.lab.vpn import SERVER_NAME
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell
from tests.lab.case import DELAYS, RATES, Actions, Plan, network_of, rest

RTT = 2000 * DELAYS[0]  # ms, of the better uplink
SILENCE = max(3 * RTT, 200.0)  # ms, figure A2
MOVE = RTT + 100.0  # ms, figure A7
PLAN = Plan()


def least(figure: str, case: str, value: float, unit: str, wanted: float | None) -> Measured:
    """A value of which less is better."""
    return Measured(figure, case, value, unit, wanted, "less")


class Bench(Actions):
    """
    The figures; each is a method that yields what it measured.

    :param short: do not last, and repeat little.
    """

    def __init__(self, short: bool) -> None:
        self.short = short

    def on(self, plan: Plan, scheduler: str = "bond") -> None:
        """Stand on a network like this, with both uplinks alive."""
        self.use(network_of(plan))
        self.both_active()
        self.schedule(scheduler)

    def cut(self, uplink: str, seconds: float) -> None:
        """A silent black hole for so long."""
        self.box.wire(uplink).black_hole()
        rest(seconds)
        self.box.wire(uplink).heal()
        self.both_active()

    # -- uplinks die

    def a1(self) -> Iterator[Measured]:
        """Redundant, link down."""
        self.on(PLAN, "redundant")
        repeats, lasts = (4, 6.0) if self.short else (20, 30.0)
        calm = self.ping("--seconds", str(lasts)).wait(lasts + 30)["rtt_ms"]["p99"]
        lost = sent = 0
        added = []
        for number in range(repeats):
            uplink, ping = f"wan{number % 2}", self.ping("--seconds", str(lasts))
            rest(lasts / 3)
            self.box.link_down("client", uplink)
            rest(lasts / 3)
            self.box.link_up("client", uplink)
            final = ping.wait(lasts + 30)
            lost, sent = lost + final["lost"], sent + final["sent"]
            # While the better uplink is down, the other one's RTT is all there is to have.
            if uplink == "wan1":
                added.append(final["rtt_ms"]["p99"] - calm)
            self.both_active()
        yield least("A1", f"lost of {sent}", lost, "packets", 0)
        yield least("A1", "p99 added", middle(added), "ms", 5)

    def a2(self) -> Iterator[Measured]:
        """Bonding, silent black hole, nothing sent again."""
        self.on(replace(PLAN, settings=(("resend", False),)))
        lost, outages = [], []
        for _ in range(3 if self.short else 10):
            ping = self.ping()
            rest(1.0)
            self.cut("wan0", 2.0)
            final = ping.end()
            lost.append(final["lost"])
            outages.append(final["longest_gap_ms"])
        yield least("A2", "lost in a cut, most", max(lost), "packets", 20)
        yield least("A2", "outage, longest", max(outages), "ms", SILENCE)
        yield least("A2", "outage, median", middle(outages), "ms", SILENCE)

    def a3(self) -> Iterator[Measured]:
        """The same, and what was in flight is sent again."""
        self.on(PLAN)
        ping, most = self.ping(), 0.0
        for _ in range(3 if self.short else 10):
            rest(1.0)
            self.cut("wan0", 2.0)
        final = ping.end()
        most = final["rtt_ms"]["max"] - final["rtt_ms"]["p50"]
        yield least("A3", f"lost of {final['sent']}", final["lost"], "packets", 0)
        yield least("A3", "extra delay, most", round(most, 1), "ms", 300)

    def a4(self) -> Iterator[Measured]:
        """The first packet after an idle time in which an uplink died."""
        self.on(PLAN)
        idle = 8.0 if self.short else 60.0
        for seconds in (2.0, idle):
            rest(2.0)
            self.box.wire("wan0").black_hole()
            rest(seconds)
            final = self.ping("--count", "1", "--grace", "15", "--every", "60").wait()
            self.box.wire("wan0").heal()
            delay = final["rtt_ms"]["max"] / 1000 if final["received"] else float("inf")
            yield least("A4", f"first packet {seconds:g} s after the cut", round(delay, 3), "s", 1)
            self.both_active()

    def a5(self) -> Iterator[Measured]:
        """Each set of dead uplinks at the start, of three."""
        plan = replace(PLAN, topology=lambda: two_uplinks((*DELAYS, 0.02), (*RATES, 20e6)))
        self.on(plan)
        names = ("wan0", "wan1", "wan2")
        for dead in itertools.chain.from_iterable(itertools.combinations(names, size) for size in range(3)):
            self.client.stop()
            for uplink in dead:
                self.box.wire(uplink).black_hole()
            begun = time.monotonic()
            self.client.start()
            self.until("a path is active", lambda: "active" in self.client.states().values(), 60.0)
            took = time.monotonic() - begun
            for uplink in dead:
                self.box.wire(uplink).heal()
            yield least("A5", f"dead: {', '.join(dead) or 'none'}", round(took, 2), "s", 3)
            self.both_active(60.0)

    def a6(self) -> Iterator[Measured]:
        """An uplink appears."""
        self.on(PLAN)
        took = []
        for _ in range(3 if self.short else 10):
            self.box.link_down("client", "wan1")
            self.until("wan1 is gone", lambda: list(self.client.states()) == ["wan0"])
            rest(0.5)
            begun = time.monotonic()
            self.box.link_up("client", "wan1")
            self.both_active()
            took.append(time.monotonic() - begun)
        yield least("A6", "used after, longest", round(max(took), 3), "s", 2)

    # -- addresses change

    def _renumber(self, was: int, now: int) -> None:
        self.box.address("client", "wan0", remove=[f"192.168.1.{was}/24"])
        self.box.address("client", "wan0", add=[f"192.168.1.{now}/24"])
        self.box.route("client", add=[Route("default", "192.168.1.1", "wan0", 100)])

    def _moves(self, move: Callable[[int], None], times: int) -> tuple[int, float]:
        """Packets lost, and the median of the longest gaps in milliseconds."""
        lost, gaps = 0, []
        for number in range(times):
            ping = self.ping()
            rest(1.0)
            move(number)
            rest(1.5)
            final = ping.end()
            lost += final["lost"]
            gaps.append(final["longest_gap_ms"])
        return lost, middle(gaps)

    def a7(self) -> Iterator[Measured]:
        """The client's address or port changes."""
        times = 4 if self.short else 10  # even, so that it ends where it began

        def renumber(number: int) -> None:
            self._renumber(*((2, 77) if number % 2 == 0 else (77, 2)))

        self.on(PLAN, "redundant")
        lost, _ = self._moves(renumber, times)
        yield least("A7", f"address, redundant, lost in {times} moves", lost, "packets", 0)
        self.on(PLAN)
        with self.no_uplink_but("wan0"):
            for case, move in (("address", renumber), ("port", lambda _: self.box.remap_nat("nat0"))):
                lost, gap = self._moves(move, times)
                yield least("A7", f"{case}, single path, outage", gap, "ms", MOVE)
                yield least("A7", f"{case}, single path, lost in {times} moves", lost, "packets", None)

    def a8(self) -> Iterator[Measured]:
        """A download across random cuts."""
        self.on(PLAN)
        cuts, every = (8, 3.0) if self.short else (50, 12.0)
        chance, fetch = random.Random(8), self.fetch()
        for _ in range(cuts):
            ends = time.monotonic() + every
            wire = self.box.wire(chance.choice(("wan0", "wan1")))
            chance.choice((functools.partial(self.box.link_down, "client", wire.name), wire.unplug, wire.black_hole))()
            rest(chance.uniform(0.1, every / 3))
            wire.heal()
            wire.plug()
            self.box.link_up("client", wire.name)
            self.both_active()
            rest(max(0.0, ends - time.monotonic()))
        final = fetch.end()
        yield least("A8", f"resets in {cuts} cuts, {final['bytes'] >> 20} MiB", final["resets"], "connections", 0)
        yield Measured("A8", "SHA-256 equal", float(final["sha256_equal"]), "", 1)
        yield Measured("A8", "goodput meanwhile", round(final["mbit_s"], 1), "Mbit/s")

    # -- the ends

    def a10(self) -> Iterator[Measured]:
        """The server's name leads elsewhere."""
        topology = lambda: two_uplinks(DELAYS, RATES, second_address=True)  # noqa: E731 - compared by identity
        self.on(Plan(topology, SERVER_NAME, ((SERVER_NAME, SERVER),)))
        before, ping = self.client.session(), self.ping()
        rest(1.0)
        self.here.hosts({SERVER_NAME: SECOND})
        self.box.link_down("server", "eth0")
        self.until("the path is alive", lambda: f"{SECOND}:8000" in {p["remote"] for p in self.client.paths().values()})
        self.both_active()
        rest(1.0)
        final, after = ping.end(), self.client.session()
        yield least("A10", "resumed after", round(final["longest_gap_ms"] / 1000, 2), "s", 5)
        yield least("A10", f"lost of {final['sent']}", final["lost"], "packets", None)
        yield Measured("A10", "same session", float(after["session"] == before["session"]), "", 1)

    def a11(self) -> Iterator[Measured]:
        """Both ends sleep."""
        self.on(PLAN)
        before = self.client.session()
        for process in (self.client, self.server):
            process.send_signal(signal.SIGSTOP)
        rest(20.0 if self.short else 300.0)
        for process in (self.client, self.server):
            process.send_signal(signal.SIGCONT)
        begun = time.monotonic()
        final = self.ping("--count", "1", "--grace", "20", "--every", "60").wait()
        took = time.monotonic() - begun if final["received"] else float("inf")
        self.both_active()
        after = self.client.session()
        same = all(after[name] == before[name] for name in ("session", "inner", "since"))
        yield least("A11", "first echo after", round(took, 2), "s", 2)
        yield Measured("A11", "same session", float(same), "", 1)

    def a12(self) -> Iterator[Measured]:
        """The scheduler changes under load."""
        self.on(PLAN)
        ping, fetch = self.ping(), self.fetch()
        names = ("redundant", "bond", "flow", "best") * (2 if self.short else 10)
        for name in names:
            self.schedule(name)
            rest(1.0)
        final, download = ping.end(), fetch.end()
        yield least("A12", f"lost of {final['sent']} in {len(names)} changes", final["lost"], "packets", 0)
        yield Measured("A12", "SHA-256 equal", float(download["sha256_equal"] and not download["resets"]), "", 1)
        self.schedule("bond")


FIGURES = ("A1", "A3", "A4", "A6", "A7", "A8", "A11", "A12", "A2", "A5", "A10")  # those on one network together


def main() -> int:
    """Measure; 1 when a promise was broken."""
    options = argparse.ArgumentParser(prog="bench_failover", description=__doc__.split("\n\n")[0].strip())
    options.add_argument("figures", nargs="*", help=f"of {', '.join(FIGURES)}; all when none is named")
    options.add_argument("--short", action="store_true", help="last less long, repeat less often")
    asked = options.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"bench_failover: {reason}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_failover")
    bench, broken = Bench(asked.short), 0
    for figure in asked.figures or FIGURES:
        for measured in getattr(bench, figure.lower())():
            tell(measured)
            broken += measured.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
