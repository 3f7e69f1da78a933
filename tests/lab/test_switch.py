"""From the relay to a direct way and back, under traffic (C2, C3, C4, C6)."""

from __future__ import annotations

from morphnet.lab.homes import Home
from tests.lab.case import rest
from tests.lab.village import Place, VillageCase


class SwitchTests(VillageCase):
    """Two homes behind ordinary routers, whose machines know no other direct way than UDP."""

    rootless = False  # nothing of it depends on who one is

    place = Place(settings=(("mesh-streams", False),))

    def test_up_under_traffic(self) -> None:
        """C2: a thousand packets a second move from the relay to the direct way; none is lost, none comes twice."""
        with self.router("nat0", "udp_blocked"):
            self.until("both use the relay", lambda: self.all_are("relay"))
            ping = self.ping("--interval", "0.001")
            rest(1.0)
            self.assertTrue(self.all_are("relay"))
        self.be_direct()
        rest(2.0)
        self.none_lost(ping.end())

    def test_leaves_the_relay(self) -> None:
        """Once the direct way has carried data for a few seconds, the relay carries nothing more."""
        self.be_direct()
        ping = self.ping()
        rest(4.0)  # tunnel.timers.LINGER, and a bit
        before = self.forwarded()
        rest(5.0)
        self.assertEqual(self.forwarded(), before)
        self.none_lost(ping.end())

    def test_black_hole(self) -> None:
        """C3: when UDP is swallowed the relay carries on within a second; nothing is lost, and no connection breaks."""
        self.be_direct()
        ping = self.ping()
        with self.router("nat0", "udp_blocked"):
            self.until("the relay is back", lambda: self.all_are("relay"), within=5.0)
            self.unbroken(self.fetch("--bytes", str(1 << 20)).wait())
            final = ping.end()
            self.none_lost(final)
            self.assertLess(final["longest_gap_ms"], 1000)

    def test_data_dropped(self) -> None:
        """C3: while probes pass and data are dropped, data go through the relay; no connection breaks."""
        self.be_direct()
        rest(4.0)
        before = self.forwarded()
        fetch = self.fetch("--seconds", "6")
        rest(1.0)
        with self.router("nat0", "udp_small"):
            self.unbroken(fetch.wait())
            self.assertGreater(self.forwarded() - before, 1 << 17)
        self.until("the direct way is used again", lambda: self.all_are("direct"), within=30.0)

    def test_one_way(self) -> None:
        """C4: when only one direction is blocked both flow, and paths change at most once in ten seconds."""
        self.be_direct()
        rest(1.0)
        before = {name: self.machines[name].happenings()[-1]["number"] for name in ("anna", "bert")}
        with self.router("nat0", "udp_mute"):
            there, back = self.ping("--interval", "0.02"), self.ping("--interval", "0.02", of="anna", at="bert")
            rest(10.0)
            self.assertEqual((there.end()["lost"], back.end()["lost"]), (0, 0))
            for name, number in before.items():
                told = [each["text"] for each in self.machines[name].happenings(number) if "path" in each["kind"]]
                self.assertLessEqual(len(told), 2, told)


class RelaysTests(VillageCase):
    """Two homes that do not reach each other directly, and two relays."""

    rootless = False  # nothing of it depends on who one is

    place = Place((Home("hard"), Home("hard")), relays=2)

    def test_killed(self) -> None:
        """C6: the relay in use is killed; the other one takes over within a second, and nothing is lost."""
        self.until("both relays are used", self.both_relays)
        ping = self.ping()
        rest(1.0)
        self.relay.kill()
        rest(2.0)
        final = ping.end()
        self.none_lost(final)
        self.assertLess(final["longest_gap_ms"], 1000)
        self.relay.start()
        self.until("the first relay is back", self.both_relays)

    def test_drained(self) -> None:
        """C6: the relay in use is drained; everybody moves to the other one, and nothing is lost."""
        self.until("both relays are used", self.both_relays)
        ping = self.ping()
        rest(1.0)
        self.relay.morphnet("console", "--dir", str(self.relay.etc), "node.drain(1.0)")
        rest(4.0)  # LINGER
        before = self.forwarded()
        rest(2.0)
        self.assertEqual(self.forwarded(), before)
        self.none_lost(ping.end())
        self.relay.stop()
        self.relay.start()
        self.until("the first relay is back", self.both_relays)

    def both_relays(self) -> bool:
        """Whether both machines have an active path through each."""
        wanted = ["active", "active"]
        return all(
            [path["state"] for path in self.machines[name].session()["paths"]] == wanted for name in ("anna", "bert")
        )
