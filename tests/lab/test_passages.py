"""A server of which neither UDP nor TCP gets through is reached through a relay that both know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from morphnet.lab.topologies import SERVER
from morphnet.lab.vpn import Daemon
from tests.lab.case import LabCase, rest
from tests.lab.gateways import second_gateway
from tests.lab.obstacles import udp_loses

RELAY = "203.0.113.254"  # the isp itself: what it forwards may be dropped, what is for it comes in
_CUT = (
    "add table inet no_{what}; add chain inet no_{what} f {{ type filter hook forward priority 0; }};"
    "add rule inet no_{what} f ip daddr 203.0.113.1 meta l4proto {what} drop;"
    "add rule inet no_{what} f ip saddr 203.0.113.1 meta l4proto {what} drop"
)


class PassageTests(LabCase):
    """Two uplinks of 20 Mbit/s, 10 and 30 ms one way; the relay is where they meet."""

    rootless = False  # nothing of it depends on who one is
    alone = True

    @contextlib.contextmanager
    def without(self, *protocols: str) -> Iterator[None]:
        """Of these nothing passes between the client and the server meanwhile."""
        isp = self.box.node("isp")
        for what in protocols:
            isp.run(["nft", _CUT.format(what=what)], check=True)
        try:
            yield
        finally:
            for what in protocols:
                isp.run(["nft", f"delete table inet no_{what}"], check=True)

    def meet(self) -> None:
        """A relay, that both are told of."""
        self.network.failed = True  # nobody else wants these settings
        relay = self.relay = Daemon(self.box.node("isp"), "morph-relay", "meet", {})
        relay.dir.mkdir(parents=True, exist_ok=True)
        where = "--address", RELAY, "--out", str(relay.etc)
        self.server.morphnet("pki", "relay", "meet.example", *where, "--dir", str(self.server.etc))
        self.addCleanup(relay.stop)
        relay.start()
        self.client.stop()
        self.server.stop()
        self.server.settings["relays"] = (RELAY,)
        self.client.settings["mesh-relays"] = (RELAY,)
        self.server.start()

    def by_relay(self) -> bool:
        """Whether that path is in use."""
        return self.client.states().get(f"relay {RELAY}") == "active"

    def uplink_states(self) -> list[str]:
        """Of the paths by UDP."""
        return [self.state_of(each) for each in ("wan0", "wan1")]

    def came_in(self, seconds: float) -> tuple[int, int]:
        """Bytes through the relay and by UDP, in that time."""

        def counted() -> tuple[int, int]:
            came = {name: int(path["received_bytes"]) for name, path in self.client.paths().items()}
            return came[f"relay {RELAY}"], came["wan0"] + came["wan1"]

        relayed, plain = counted()
        rest(seconds)
        relayed_then, plain_then = counted()
        return relayed_then - relayed, plain_then - plain

    def test_cut_off(self) -> None:
        """From the start, and again in the middle of a download: not a byte is missing, and direct is used again."""
        self.meet()
        with self.without("udp", "tcp"):
            self.client.start()
            self.until("the relay's path is active", self.by_relay, 20.0)
            self.unbroken(self.fetch("--bytes", "2000000").wait())
        self.until("UDP is used again", lambda: self.state_of("wan0") == "active", 20.0)
        fetch = self.fetch()
        rest(1.0)
        with self.without("udp", "tcp"):
            self.until("the relay's path is active", self.by_relay, 20.0)
            rest(3.0)
        self.until("UDP is used again", lambda: self.state_of("wan0") == "active", 20.0)
        rest(1.0)
        self.unbroken(fetch.end())

    def test_of_two(self) -> None:
        """A client that calls its server by an address gets that one, though another one came to the relay later."""
        self.meet()
        other = second_gateway(self.box, self.server, relays=[RELAY])
        self.addCleanup(other.stop)
        other.start()
        self.until("both are at the relay", lambda: self.relay.status()["levels"]["lines"] == 2)
        self.client.settings |= {"server": SERVER, "server_name": ""}
        with self.without("udp", "tcp"):
            self.client.start()
            self.until("the relay's path is active", self.by_relay, 20.0)
            self.breathes()
        self.assertEqual([each["name"] for each in self.client.status()["sessions"]], [SERVER])

    def test_loses_most(self) -> None:
        """UDP that loses 60 % in a download stands by for the relay, nothing is missing, and UDP is used again."""
        self.meet()
        with self.without("tcp"):
            self.client.start()
            self.until("UDP works", lambda: self.state_of("wan0") == "active", 20.0)
            fetch = self.fetch()
            rest(1.0)
            with udp_loses(self.box, 60):
                self.until("the relay's path is active", self.by_relay, 20.0)
                self.until("UDP stands by", lambda: "active" not in self.uplink_states(), 10.0)
                relayed, plain = self.came_in(3.0)
                self.assertGreater(relayed, 1 << 20)
                self.assertLess(plain, relayed / 4)
            self.until("UDP is used again", lambda: self.uplink_states() == ["active"] * 2, 20.0)
            relayed, plain = self.came_in(1.0)
            self.assertLess(relayed, plain / 4)
            self.unbroken(fetch.end())

    def test_direct_again(self) -> None:
        """From the relay to TCP, which passes again: that works before the relay is left, and no echo is lost."""
        self.meet()
        with self.without("udp"):
            with self.without("tcp"):
                self.client.start()
                self.until("the relay's path is active", self.by_relay, 20.0)
                ping = self.ping()
                fetch = self.fetch()
                rest(1.0)
            after = self.last_happening(self.client)
            self.until("TCP is used", lambda: any(each.startswith("tcp ") for each in self.client.states()), 30.0)
            self.until("the relay is left", lambda: f"relay {RELAY}" not in self.client.states(), 10.0)
            rest(1.0)
            self.breathes()
            self.lost_at_most(ping.end(), 0)
            self.unbroken(fetch.end())
        told = [each["kind"] for each in self.client.happenings(after) if each["kind"].startswith("stream-")]
        self.assertEqual(told, ["stream-up", "stream-gone"])
