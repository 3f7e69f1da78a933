"""
Peers: how soon they meet and are direct, and what the switch costs. Figures C1 to C6 and C9.

    python -m tests.bench.bench_peers [C1 C2 ...]

Real `twistd` processes in a box, two homes 20 ms from each other; 100 echoes a second unless it says otherwise. Takes
about a quarter of an hour, most of it C5.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from morphnet.lab.enter import why_not
from morphnet.lab.homes import Home
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell
from tests.lab.case import rest
from tests.lab.shortlived import ShortLived
from tests.lab.village import Place, VillageActions, village_of

ROUNDS = 3
EASY = Place()
PAIRS = {
    "easy and easy": Place((Home(), Home())),
    "firewall and firewall": Place((Home("firewall"), Home("firewall"))),
    "hard and one to one": Place((Home("hard"), Home("one2one"))),
    "hard and easy, guessed": Place((Home("hard"), Home())),
    "IPv6": Place((Home("none", v6=True), Home("none", v6=True))),
}
ECHO = 84 + 40 + 10  # bytes of an echo, of its header and tag, and of the envelope around it


def least(figure: str, case: str, value: float, unit: str, wanted: float | None = None) -> Measured:
    """A value of which less is better."""
    return Measured(figure, case, value, unit, wanted, "less")


class Bench(VillageActions):
    """The figures; each is a method that yields what it measured."""

    def c1(self) -> Iterator[Measured]:
        """How long two machines take that have just been started."""
        for name, place in PAIRS.items():
            relayed, direct, carried = [], [], []
            for _ in range(ROUNDS):
                village = village_of(place)
                self.use(village)
                self.until("they are direct", lambda: self.all_are("direct"), 150.0)
                times = self.times()
                relayed.append(1000 * (times["searching"] - times["meeting"]))
                direct.append(1000 * (times["direct"] - times["searching"]))
                carried.append(self.forwarded() / 1000)
                village.failed = True  # the next round begins with new machines
            yield least("C1", f"{name}: session through the relay", middle(relayed), "ms", 1000)
            yield least("C1", f"{name}: direct after that", middle(direct), "ms", 2000)
            yield least("C1", f"{name}: through the relay", middle(carried), "KB", 12)

    def times(self) -> dict[str, float]:
        """When anna came into each state first, Unix seconds."""
        found: dict[str, float] = {}
        for decision in self.meeting.peer("anna", "bert")["decisions"]:
            found.setdefault(decision["state"], decision["at"])
        return found

    def c2(self) -> Iterator[Measured]:
        """From the relay to the direct way under a thousand packets a second."""
        self.use(village_of(EASY))
        lost, doubled = 0, 0
        for _ in range(ROUNDS):
            with self.router("nat0", "udp_blocked"):
                self.until("both use the relay", lambda: self.all_are("relay"))
                ping = self.ping("--interval", "0.001")
                rest(2.0)
            self.be_direct()
            rest(3.0)
            final = ping.end()
            lost, doubled = lost + final["lost"], doubled + final["duplicates"]
        yield least("C2", f"lost in {ROUNDS} switches", lost, "", 0)
        yield least("C2", "delivered twice", doubled, "", 0)

    def c3(self) -> Iterator[Measured]:
        """From the direct way to the relay, when UDP is swallowed."""
        self.use(village_of(EASY))
        gaps, lost = [], 0
        for _ in range(ROUNDS):
            self.be_direct()
            rest(2.0)
            ping = self.ping()
            rest(1.0)
            with self.router("nat0", "udp_blocked"):
                rest(3.0)
                final = ping.end()
            gaps.append(final["longest_gap_ms"])
            lost += final["lost"]
        yield least("C3", "longest gap", middle(gaps), "ms", 1000)
        yield least("C3", f"lost in {ROUNDS} switches", lost, "", 0)

    def c5(self) -> Iterator[Measured]:
        """Routers that end each mapping 60 s after it began; ten minutes from when both ends have found that out."""
        self.use(village_of(EASY))
        self.be_direct()
        routers, ping = ShortLived(self, 60.0), self.ping()
        assert routers.run(300.0, until=routers.both_know)
        learning = ping.end()
        before, ping = self.forwarded(), self.ping()
        routers.run(600.0)
        final = ping.end()
        share = 100 * (self.forwarded() - before) / (2 * final["sent"] * ECHO)
        yield least("C5", "lost while that is learned", learning["lost"], "", 0)
        yield least("C5", "lost", final["lost"], "", 0)
        yield least("C5", "longest gap", final["longest_gap_ms"], "ms")
        yield least("C5", "through the relay", round(share, 2), "%", 2)

    def c6(self) -> Iterator[Measured]:
        """A relay is killed, another one is known."""
        gaps, lost = [], 0
        for _ in range(ROUNDS):
            village = village_of(Place((Home("hard"), Home("hard")), relays=2))
            self.use(village)
            self.until("both relays are used", self.both_relays)
            ping = self.ping()
            rest(1.0)
            self.relay.kill()
            rest(3.0)
            final = ping.end()
            gaps.append(final["longest_gap_ms"])
            lost += final["lost"]
            village.failed = True
        yield least("C6", "longest gap", middle(gaps), "ms", 1000)
        yield least("C6", f"lost in {ROUNDS} kills", lost, "", 0)

    def both_relays(self) -> bool:
        """Whether anna has an active path through each."""
        return [path["state"] for path in self.machines["anna"].session()["paths"]] == ["active", "active"]

    def c9(self) -> Iterator[Measured]:
        """Routers that forget after five seconds, and nothing to say."""
        self.use(village_of(Place((Home(udp_timeout=5), Home(udp_timeout=5)))))
        self.be_direct()
        rest(8.0)
        before = self.sent("anna")
        rest(60.0)
        yield least("C9", "packets in four seconds", round((self.sent("anna") - before) / 15, 2), "", 1)
        yield least("C9", "lost afterwards", self.ping("--count", "100").wait()["lost"], "", 0)

    def sent(self, name: str) -> int:
        """Datagrams of that machine on its direct path."""
        return sum(path["sent_packets"] for path in self.machines[name].session()["paths"] if path["uplink"] == "eth0")


def main(arguments: list[str]) -> int:
    """0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="bench_peers", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="C1, C2, C3, C5, C6, C9; all when none is named")
    chosen = parser.parse_args(arguments).figures or ["C1", "C2", "C3", "C5", "C6", "C9"]
    reason = why_not()
    if reason is not None:
        print(f"bench_peers: {reason}", file=sys.stderr)
        return CANNOT
    bench, kept = Bench(), True
    for figure in chosen:
        for measured in getattr(bench, figure.lower())():
            tell(measured)
            kept = kept and measured.kept is not False
    return 0 if kept else 1


if __name__ == "__main__":
    enter_lab("tests.bench.bench_peers")
    sys.exit(main(sys.argv[1:]))
