"""Uplinks die under a running tunnel, in every usual way; figures A1 to A4, A8, A12."""

from __future__ import annotations

import random
import sys

from morphnet.lab.topologies import WORLD
from tests.lab.case import LabCase, Plan, rest

# In the node `isp`: all TCP outside of the tunnel vanishes, or passes again.
TCP = """
import sys
from pyroute2 import IPRoute
with IPRoute() as ip:
    ip.rule(sys.argv[1], priority=10, ip_proto=6, action="blackhole")
"""


class FailoverTests(LabCase):
    """Two uplinks of 20 Mbit/s, 10 and 30 ms one way."""

    rootless = False  # nothing of it depends on who one is
    alone = True

    def test_redundant_link_down(self) -> None:
        """A1: with every packet on every path, an uplink that goes down costs no packet."""
        self.schedule("redundant")
        ping = self.ping()
        for uplink in ("wan0", "wan1"):
            rest(0.5)
            self.box.link_down("client", uplink)
            rest(1.0)
            self.box.link_up("client", uplink)
            self.both_active()
        self.lost_at_most(ping.end(), 0)

    def test_bond_black_hole(self) -> None:
        """A3: what was in flight on an uplink that swallows everything is sent again: no packet is lost."""
        ping, fetch = self.ping(), self.fetch()  # the latter so that both uplinks have something to lose
        for uplink in ("wan0", "wan1"):
            rest(0.5)
            self.box.wire(uplink).black_hole()
            # at the latest by a heartbeat: while one uplink is enough for the download, the other one may be idle
            self.until("it is silent", lambda uplink=uplink: self.state_of(uplink) == "silent", 7.0)  # type: ignore[misc]
            self.box.wire(uplink).heal()
            self.both_active()
        self.unbroken(fetch.end())
        self.lost_at_most(ping.end(), 0)

    def test_first_packet_after_idleness(self) -> None:
        """A4: an uplink dies silently under an idle tunnel; the first packet after it is there within a second."""
        for idle in (1.0, 8.0):
            self.box.wire("wan0").black_hole()
            rest(idle)
            final = self.ping("--count", "1", "--grace", "5", "--every", "1").wait()
            self.box.wire("wan0").heal()
            self.assertEqual(final["received"], 1, idle)
            self.assertLess(final["rtt_ms"]["p50"], 1500, idle)
            self.both_active()

    def test_download_across_cuts(self) -> None:
        """A8: a download across random cuts arrives unharmed, by one connection."""
        chance = random.Random(8)
        fetch = self.fetch()
        for _ in range(6):
            wire = self.box.wire(chance.choice(("wan0", "wan1")))
            how = chance.choice(("down", "black hole", "unplug"))
            if how == "down":
                self.box.link_down("client", wire.name)
            elif how == "unplug":
                wire.unplug()
            else:
                wire.black_hole()
            rest(chance.uniform(0.2, 1.0))
            wire.heal()
            wire.plug()
            self.box.link_up("client", wire.name)
            self.both_active()
        self.unbroken(fetch.end())

    def test_scheduler_is_switched_under_load(self) -> None:
        """A12: each change of the scheduler, both ways, loses no packet and harms no stream."""
        ping, fetch = self.ping(), self.fetch()
        for name in ("redundant", "flow", "best", "bond", "redundant", "bond"):
            self.schedule(name)
            rest(0.6)
        self.unbroken(fetch.end())
        self.lost_at_most(ping.end(), 0)

    def test_without_control_link(self) -> None:
        """The data plane goes on, and fails over, while no TCP passes outside; the link comes back by itself."""
        isp = self.box.node("isp")
        ping = self.ping()
        blocked = isp.run([sys.executable, "-c", TCP, "add"])
        self.assertEqual(blocked.returncode, 0, blocked.stderr)
        for uplink in ("wan0", "wan1"):  # the link must prove itself when the uplink that it was called from is gone
            self.box.link_down("client", uplink)
            rest(1.0)
            self.box.link_up("client", uplink)
            self.both_active()
        self.until("the control link is down", lambda: self.client.session()["control"] == "down", 5.0)
        self.box.wire("wan1").black_hole()
        rest(1.0)
        self.box.wire("wan1").heal()
        self.assertEqual(self.client.session()["control"], "down")
        isp.run([sys.executable, "-c", TCP, "del"])
        self.both_active()
        self.lost_at_most(ping.end(), 0)
        self.until("the control link is up", lambda: self.client.session()["control"] == "up")

    def test_pinned_flow_moves(self) -> None:
        """Scheduler `flow`: when the path of a stream dies, the stream goes on by the other one."""
        self.schedule("flow")
        fetch = self.fetch()
        rest(1.5)
        paths = self.server.session()["paths"]
        busy = max(paths, key=lambda path: path["share"])
        self.assertGreater(busy["share"], 0.8, paths)
        uplink = next(name for name, path in self.client.paths().items() if path["path"] == busy["path"])
        other = {"wan0": "wan1", "wan1": "wan0"}[uplink]
        before = self.box.wire(other).counters()["back"]["bytes"]
        self.box.wire(uplink).black_hole()
        rest(1.5)
        moved = self.box.wire(other).counters()["back"]["bytes"] - before
        self.box.wire(uplink).heal()
        self.assertGreater(moved, 500_000, "the stream did not move")
        self.unbroken(fetch.end())

    def test_one_way_drop(self) -> None:
        """An uplink that drops one direction only: both directions flow on, and paths change a few times only."""
        for direction in ("there", "back"):
            marks = [self.last_happening(daemon) for daemon in (self.client, self.server)]
            up, down = self.ping(), self.ping_down()
            rest(0.3)
            self.box.wire("wan0").black_hole("there" if direction == "there" else "back")
            rest(3.0)
            changes = [self.changes(each, at) for each, at in zip((self.client, self.server), marks, strict=True)]
            self.box.wire("wan0").heal()
            self.lost_at_most(up.end(), 0)
            self.lost_at_most(down.end(), 0)
            self.assertLessEqual(max(map(len, changes)), 3, changes)
            self.both_active()

    def test_loss_behind_the_server(self) -> None:
        """Figures of all the above are of the server; `world` behind it is reached just as well."""
        ping = self.ping(host=WORLD)
        self.box.wire("wan0").black_hole()
        rest(0.8)
        self.box.wire("wan0").heal()
        self.lost_at_most(ping.end(), 0)


class NoResendTests(LabCase):
    """The same uplinks, and nothing is sent again."""

    rootless = False  # nothing of it depends on who one is
    alone = True

    plan = Plan(settings=(("resend", False),))

    def test_bond_black_hole(self) -> None:
        """A2: an uplink that swallows everything costs at most 20 packets of 100 a second."""
        for uplink in ("wan0", "wan1"):
            ping = self.ping()
            rest(0.5)
            self.box.wire(uplink).black_hole()
            rest(1.0)
            self.box.wire(uplink).heal()
            self.both_active()
            self.lost_at_most(ping.end(), 20)
