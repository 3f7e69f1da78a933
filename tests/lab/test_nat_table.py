"""
Who reaches whom directly: every kind of router with every other (C1).

One machine behind each of two routers of every kind, all of one network: 91 pairs at once.
"""

from __future__ import annotations

from itertools import combinations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.homes import RELAY6, RELAYS, Home, homes, machine
from morphnet.lab.meeting import RELAY_NAME, Meeting
from morphnet.lab.vpn import NotInTime, wait_for
from tests.lab.case import Ping
from tests.lab.scene import NOT_HERE

KINDS = ("one2one", "easy", "easy_af", "hard", "firewall", "v6_only", "udp_blocked")
HOMES = {kind: Home("none", v4=False, v6=True) if kind == "v6_only" else Home(kind) for kind in KINDS}
WITHIN = 100.0  # seconds for all of them, fourteen processes on a small machine


def expected(one: str, other: str) -> str:
    """The way that a pair of kinds must find."""
    pair = {one, other}
    if "v6_only" in pair:
        return "direct" if pair == {"v6_only"} else "relay"  # they have no family in common
    if pair == {"hard", "udp_blocked"}:  # the port of TCP is another one for each destination as well
        return "relay"
    return "relay" if pair == {"hard"} else "direct"  # two that give each destination another port cannot be guessed


class NatTableTests(SynchronousTestCase):
    skip = NOT_HERE
    rootless = False
    alone = True
    timeout = 240

    def test_table(self) -> None:
        """Every pair has a way, and it is the one that the table in the docs names."""
        kinds = [kind for kind in KINDS for _ in range(2)]
        with Box(homes([HOMES[kind] for kind in kinds])) as box:
            meeting = Meeting(box)
            try:
                meeting.found()
                names = [f"m{i}" for i in range(len(kinds))]
                for i, kind in enumerate(kinds):
                    box.node(machine(i)).hosts({RELAY_NAME: RELAY6 if kind == "v6_only" else RELAYS[0]})
                    meeting.enrol(machine(i), names[i], by_name=True)
                for name in names:
                    meeting.machines[name].start(wait=False)
                wanted = {(a, b): expected(kinds[i], kinds[j]) for (i, a), (j, b) in combinations(enumerate(names), 2)}
                self._wait(meeting, wanted)
                self._all_carry(meeting, wanted)
            finally:
                meeting.stop()

    def _wait(self, meeting: Meeting, wanted: dict[tuple[str, str], str]) -> None:
        kinds = dict(zip(meeting.machines, [kind for kind in KINDS for _ in range(2)], strict=True))
        found: dict[tuple[str, str], str] = {}

        def holds() -> bool:
            try:
                told = {name: daemon.status()["peers"] for name, daemon in meeting.machines.items()}
            except OSError:
                return False
            ways = {(name, peer["name"]): peer["way"] for name, peers in told.items() for peer in peers}
            found.update({pair: ways.get(pair, "") for pair in wanted})
            return all(ways.get(pair) == ways.get(pair[::-1]) == way for pair, way in wanted.items())

        try:
            wait_for("the table", holds, WITHIN, every=0.5)
        except NotInTime:
            wrong = [f"{kinds[a]}-{kinds[b]}: {found[a, b]}" for a, b in wanted if found[a, b] != wanted[a, b]]
            self.fail("; ".join(wrong))

    def _all_carry(self, meeting: Meeting, wanted: dict[tuple[str, str], str]) -> None:
        """From the first machine of each kind to the second one, and on to the first of the next kind."""
        names = list(meeting.machines)
        pings = [
            Ping(meeting.machines[one].node, meeting.inner(other), "--count", "10", "--interval", "0.1")
            for one, other in zip(names, [*names[1:], names[0]], strict=True)
        ]
        for ping in pings:
            self.assertEqual(ping.wait()["lost"], 0)
