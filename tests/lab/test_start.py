"""How a tunnel comes up: over what is alive, on any address of the server, with IPv4 and IPv6; figures A5, A6."""

from __future__ import annotations

from morphnet.lab.topologies import SECOND, SERVER, SERVER6, Topology, two_uplinks
from morphnet.lab.vpn import INNER_SERVER, wait_for
from tests.lab.case import DELAYS, RATES, LabCase, Ping, Plan, rest
from tests.lab.pcap import sightings

INNER_SERVER6 = "fd73::1"
START = 3.0  # seconds for a tunnel, figure A5
MARGIN = 5.0  # seconds more, for a process to start on a busy machine


class StartTests(LabCase):
    """Uplinks that are dead when the client starts, and alive later."""

    def start_with_dead(self, *dead: str) -> float:
        """Start the client with these uplinks swallowing everything: seconds from its answer to an active path."""
        self.client.stop()
        for uplink in dead:
            self.box.wire(uplink).black_hole()
        self.client.start()
        return self.until("a path is active", lambda: "active" in self.client.states().values(), START + MARGIN)

    def test_each_uplink_dead(self) -> None:
        """A5: a tunnel comes up through the uplink that is alive, and the other one is used once it is healed."""
        for dead, alive in (("wan0", "wan1"), ("wan1", "wan0")):
            self.start_with_dead(dead)
            self.assertEqual(self.state_of(alive), "active")
            self.assertNotEqual(self.state_of(dead), "active")
            self.breathes()
            self.box.wire(dead).heal()
            self.both_active(10.0)

    def test_all_uplinks_dead(self) -> None:
        """Without any way the client waits, and comes up by itself."""
        self.client.stop()
        for uplink in ("wan0", "wan1"):
            self.box.wire(uplink).black_hole()
        self.client.start()
        rest(2.0)
        self.assertNotIn("active", self.client.states().values())
        for uplink in ("wan0", "wan1"):
            self.box.wire(uplink).heal()
        self.both_active(20.0)
        self.breathes()

    def test_hot_plug(self) -> None:
        """A6: an uplink that appears later is used by itself."""
        self.client.stop()
        self.box.link_down("client", "wan1")
        self.client.start()
        self.until("wan0 is active", lambda: self.client.states() == {"wan0": "active"})
        self.box.link_up("client", "wan1")
        self.both_active(7.0)
        before = self.box.wire("wan1").counters()["back"]["bytes"]
        fetch = self.fetch()
        self.until("wan1 carries traffic", lambda: self.box.wire("wan1").counters()["back"]["bytes"] - before > 500_000)
        self.unbroken(fetch.end())

    def test_uplink_goes_and_comes(self) -> None:
        """An uplink whose address and route go is no path any more, and one again when they come back."""
        self.box.address("client", "wan1", remove=["192.168.2.2/24"])
        self.until("wan1 is no path", lambda: list(self.client.states()) == ["wan0"])
        self.box.address("client", "wan1", add=["192.168.2.2/24"])
        self.box.link_up("client", "wan1")
        self.both_active(7.0)
        self.breathes()


def _everything() -> Topology:
    return two_uplinks(DELAYS, RATES, v6=True, second_address=True)


class SecondAddressTests(LabCase):
    """A server with two public addresses, called by the second."""

    plan = Plan(topology=_everything, address=SECOND)

    def test_answers_come_from_there(self) -> None:
        """Answers come from the address that was asked, on every path, though the server's best way out is another."""
        captures = {uplink: self.box.dir / f"{uplink}.pcap" for uplink in ("wan0", "wan1")}
        self.schedule("redundant")
        for uplink, file in captures.items():
            self.box.wire(uplink).capture(str(file))
        self.breathes()
        self.assertEqual({path["remote"] for path in self.client.paths().values()}, {f"{SECOND}:8000"})
        self.box.wire("wan0").counters()
        for uplink, file in captures.items():
            back = {each.source[0] for each in sightings(file) if each.source[1] == 8000}
            self.assertEqual(back, {SECOND}, uplink)

    def test_two_clients(self) -> None:
        """A second client has addresses of its own, and each of the two reaches the other through the server."""
        other = self.vpn.enrol("isp", "desk", {"routes": ["10.73.0.0/24"], "uplinks": ["hosting2"], "dns": False})
        try:
            other.start()
            wait_for("desk has an active path", lambda: "active" in other.states().values())
            theirs, ours = other.session()["inner"][0], self.client.session()["inner"][0]
            self.assertNotEqual(theirs, ours)
            self.breathes(theirs)
            self.assertEqual(Ping(other.node, ours, "--count", "20").wait()["lost"], 0)
        finally:
            other.stop()
            self.vpn.clients.remove(other)
            self.server.ask({"ask": "drop", "session": "desk"})


class Outside6Tests(LabCase):
    """The server is called by an IPv6 address."""

    plan = Plan(topology=_everything, address=SERVER6)

    def test_both_families_inside(self) -> None:
        """IPv6 and IPv4 pass inside, every path is IPv6 outside, and an uplink that dies costs nothing."""
        self.assertEqual({path["remote"] for path in self.client.paths().values()}, {f"[{SERVER6}]:8000"})
        pings = [self.ping(host=host) for host in (INNER_SERVER, INNER_SERVER6)]
        rest(0.5)
        self.box.wire("wan0").black_hole()
        rest(1.0)
        self.box.wire("wan0").heal()
        for ping in pings:
            self.lost_at_most(ping.end(), 0)


class Outside4Tests(LabCase):
    """The same network, and the server is called by its IPv4 address."""

    plan = Plan(topology=_everything, address=SERVER)

    def test_both_families_inside(self) -> None:
        """IPv6 and IPv4 pass inside, every path is IPv4 outside."""
        self.assertEqual({path["remote"] for path in self.client.paths().values()}, {f"{SERVER}:8000"})
        for host in (INNER_SERVER, INNER_SERVER6):
            self.breathes(host)
