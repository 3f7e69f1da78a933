"""Many machines of one network: everybody reaches everybody (C8, and the mesh)."""

from __future__ import annotations

import shutil
import time
from itertools import combinations

from morphnet.lab.homes import Home
from morphnet.lab.topologies import Route
from morphnet.lab.vpn import Daemon
from tests.lab.case import rest
from tests.lab.village import Place, VillageCase


class ThreeTests(VillageCase):
    """Three homes behind ordinary routers, with one machine each."""

    rootless = False
    place = Place((Home(), Home(), Home()))

    def test_leaves_and_comes(self) -> None:
        """A machine that stops is gone for the others within seconds; when it starts again all have a way to it."""
        self.be_direct()
        self.machines["carl"].stop()
        self.until("carl is gone", lambda: self.meeting.ways("anna", "carl") == "none")
        ping = self.ping()
        self.machines["carl"].start()
        self.be_direct()
        self.assertEqual(self.ping("--count", "20", of="carl").wait()["lost"], 0)
        self.none_lost(ping.end())

    def test_killed_and_comes(self) -> None:
        """The same when it is killed, and comes back as another process."""
        self.be_direct()
        self.machines["carl"].kill()
        self.machines["carl"].start()
        self.until("carl is met again", lambda: self.meeting.ways("anna", "carl") in ("relay", "direct"))
        self.be_direct()
        self.assertEqual(self.ping("--count", "20", of="carl").wait()["lost"], 0)

    def test_roams(self) -> None:
        """A machine that gets another address is reached again; what the others say to each other is not disturbed."""
        self.be_direct()
        between, to_carl = self.ping(), self.ping(of="carl")
        rest(1.0)
        self.box.address("m2", "eth0", add=["192.168.3.77/24"], remove=["192.168.3.2/24"])
        self.box.route("m2", add=[Route("default", "192.168.3.1", "eth0", 100)])
        rest(1.0)
        self.be_direct()
        rest(1.0)
        self.none_lost(between.end())
        final = to_carl.end()
        self.assertLess(final["longest_gap_ms"], 3000, final)

    def test_same_name(self) -> None:
        """Two machines with one certificate: the second is refused, and the first does not notice."""
        self.be_direct()
        twin = Daemon(self.box.node("m2"), "morph-client", "anna", {"mesh-relays": "203.0.113.1", "tun": "morph9"})
        shutil.copytree(self.machines["anna"].etc, twin.etc, ignore=shutil.ignore_patterns("run", "state"))
        config = (twin.etc / "client.toml").read_text().replace(str(self.machines["anna"].etc), str(twin.etc))
        (twin.etc / "client.toml").write_text(config)
        ping = self.ping(of="anna", at="bert")
        twin.start()
        try:
            self.until("it is refused", lambda: "the same certificate" in twin.status()["relays"][0]["state"])
            rest(4.0)  # asked again by then
            self.assertEqual(twin.status()["peers"], [])
            self.none_lost(ping.end())
        finally:
            twin.stop()

    def test_revoked(self) -> None:
        """A revoked machine is cut off everywhere within five seconds."""
        self.be_direct()
        self.village.failed = True  # for those who come after: carl is out
        self.relay.morphnet("pki", "revoke", "carl", "--dir", str(self.relay.etc))
        self.until(
            "nobody talks to carl",
            lambda: all(self.meeting.ways(name, "carl") == "none" for name in ("anna", "bert")),
            within=5.0,
        )
        self.assertEqual(self.ping("--count", "20").wait()["lost"], 0)
        self.machines["carl"].stop()
        self.machines["carl"].start()
        self.until("the relay refuses it", lambda: "revoked" in self.machines["carl"].status()["relays"][0]["state"])
        self.assertEqual(self.meeting.ways("anna", "carl"), "none")


class IdleTests(VillageCase):
    """Two homes whose routers forget a mapping after five seconds of silence."""

    rootless = False  # nothing of it depends on who one is

    place = Place((Home(udp_timeout=5), Home(udp_timeout=5)))

    def test_idle(self) -> None:
        """C9: an idle direct way stays open with at most one packet in four seconds in each direction."""
        self.be_direct()
        rest(8.0)  # the search is over, and sizes are found
        numbers = {name: self.machines[name].happenings()[-1]["number"] for name in ("anna", "bert")}
        begun, before = time.monotonic(), {name: self.sent(name) for name in numbers}
        rest(16.0)
        for name, number in numbers.items():
            told = [each["text"] for each in self.machines[name].happenings(number)]
            self.assertEqual([text for text in told if "path" in text], [])
            sent = self.sent(name) - before[name]
            self.assertLessEqual(sent, (time.monotonic() - begun) / 4 + 1)  # a busy machine rests for longer
            self.assertGreater(sent, 1)
        self.assertEqual(self.ping("--count", "20").wait()["lost"], 0)

    def sent(self, name: str) -> int:
        """Datagrams of that machine on its direct path."""
        return sum(path["sent_packets"] for path in self.machines[name].session()["paths"] if path["uplink"] == "eth0")


class TwentyTests(VillageCase):
    """Four homes with five machines each."""

    rootless = False
    alone = True
    place = Place(tuple(Home(machines=5) for _ in range(4)))

    def test_all_pairs(self) -> None:
        """C8: of 190 pairs every one is direct; the machines of one home by their local addresses."""
        names = self.village.names
        self.until("all are direct", lambda: self.all_are("direct"), within=90.0)
        homes = {name: i // 5 for i, name in enumerate(names)}
        local = 0
        for one, other in combinations(names, 2):
            remote = self.meeting.peer(one, other)["remote"]
            self.assertEqual(remote.startswith("192.168."), homes[one] == homes[other], (one, other, remote))
            local += homes[one] == homes[other]
        self.assertEqual((local, len(names)), (40, 20))
