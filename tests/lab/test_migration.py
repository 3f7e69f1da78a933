"""Addresses change under a running tunnel, and strangers try the same; figures A7, D2, D3."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from morphnet.lab.topologies import SERVER, Route
from tests.lab.case import LabCase, rest
from tests.lab.obstacles import without_udp
from tests.lab.pcap import Sighting, sightings

DATA = (SERVER, 8000)
HANDSHAKE = 3  # type of a datagram with a challenge: docs/protocol section 2
_TYPE = 8  # where the type stands, in the upper three bits

# Sends datagrams (hex, a JSON list in a file) to the server's data port: what comes back within a second, as JSON.
STRANGER = """
import json, socket, sys, time
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for datagram in json.load(open(sys.argv[1])):
    door.sendto(bytes.fromhex(datagram), ("203.0.113.1", 8000))
    time.sleep(0.001)
answers, ends = [], time.monotonic() + 1
while time.monotonic() < ends:
    door.settimeout(max(0.001, ends - time.monotonic()))
    try:
        answers.append(door.recv(65536).hex())
    except TimeoutError:
        break
print(json.dumps(answers))
"""


class MigrationTests(LabCase):
    """Two uplinks behind NATs, the client and sometimes its router get other addresses."""

    rootless = False  # nothing of it depends on who one is

    def setUp(self) -> None:
        super().setUp()
        self.captured = self.box.dir / "wan0.pcap"
        self.octet = 2  # of the client's address on wan0

    def capture(self) -> None:
        """Note from now on what passes on wan0, on the client's side of the NAT."""
        self.box.wire("wan0").capture(str(self.captured))
        self.addCleanup(self.captured.unlink, missing_ok=True)

    def seen(self) -> list[Sighting]:
        """Of that, all of the data plane."""
        self.box.wire("wan0").counters()
        return [each for each in sightings(self.captured) if DATA in (each.source, each.target)]

    def renumber(self) -> None:
        """As by DHCP: another address on wan0, the old one is gone."""
        was, self.octet = self.octet, 77 if self.octet == 2 else 2
        self.box.address("client", "wan0", remove=[f"192.168.1.{was}/24"])
        self.box.address("client", "wan0", add=[f"192.168.1.{self.octet}/24"])
        self.box.route("client", add=[Route("default", "192.168.1.1", "wan0", 100)])

    def back(self) -> None:
        """The address as it was."""
        if self.octet != 2:
            self.renumber()
            self.until("wan0 is in use again", lambda: self.client.paths()["wan0"]["local"].startswith("192.168.1.2:"))

    def stranger(self, datagrams: list[bytes]) -> list[bytes]:
        """What somebody else, in the middle of the network, is told when he sends these to the server."""
        file = self.box.dir / "stranger.json"
        file.write_text(json.dumps([each.hex() for each in datagrams]))
        done = self.box.node("isp").run([sys.executable, "-c", STRANGER, str(file)])
        self.assertEqual(done.returncode, 0, done.stderr)
        return [bytes.fromhex(each) for each in json.loads(done.stdout)]

    def server_paths(self) -> dict[int, tuple[str, str]]:
        """Where the server's paths by UDP lead, and how they are."""
        paths = [path for path in self.server.session()["paths"] if path["uplink"] != "tcp"]
        return {path["path"]: (path["remote"], path["state"]) for path in paths}

    def count(self, name: str) -> int:
        """A counter of the server's session or of the server."""
        status: dict[str, Any] = self.server.status()
        return int(status["sessions"][0]["counters"].get(name, 0) + status["counters"].get(name, 0))

    # -- the client moves

    def test_address_changes_redundant(self) -> None:
        """A7: with every packet on every path, a new address on one uplink costs no packet."""
        self.schedule("redundant")
        ping = self.ping()
        rest(0.3)
        self.renumber()
        rest(1.0)
        self.back()
        rest(0.5)
        self.lost_at_most(ping.end(), 0)

    def test_address_changes_on_the_only_uplink(self) -> None:
        """A7: on a single uplink it costs at most 1 RTT and 100 ms, and the ids shown from there are new."""
        with self.no_uplink_but("wan0"):
            self.capture()
            up, down = self.ping(), self.ping_down()
            rest(0.5)
            self.renumber()
            rest(1.0)
            seen = self.seen()
            self.back()
            rest(0.5)
            self.lost_at_most(up.end(), 12)
            self.lost_at_most(down.end(), 12)
        by_address: dict[str, set[bytes]] = {}
        for each in seen:
            ours = each.source if each.target == DATA else each.target
            by_address.setdefault(ours[0], set()).add(each.client_id)
        self.assertEqual(set(by_address), {"192.168.1.2", "192.168.1.77"})
        self.assertEqual(by_address["192.168.1.2"] & by_address["192.168.1.77"], set())

    def test_port_changes_on_the_only_uplink(self) -> None:
        """A7: a NAT that maps to other ports costs at most 1 RTT and 100 ms; the id is new after it."""
        with self.no_uplink_but("wan0"):
            self.capture()
            before_path = self.server_paths()
            up, down = self.ping(), self.ping_down()
            rest(0.5)
            before = {each.client_id for each in self.seen()}
            self.box.remap_nat("nat0")
            rest(0.7)
            settled = len(self.seen())
            rest(0.5)
            after = {each.client_id for each in self.seen()[settled:]}
            self.lost_at_most(up.end(), 12)
            self.lost_at_most(down.end(), 12)
            self.assertNotEqual(self.server_paths(), before_path)
        self.assertTrue(before and after)
        self.assertEqual(before & after, set())

    def test_everything_changes_at_once(self) -> None:
        """Both NATs forget and map to other ports: a stream and the echoes of both directions go on."""
        up, down, fetch = self.ping(), self.ping_down(), self.fetch()
        rest(1.0)
        self.box.remap_nat("nat0")
        self.box.remap_nat("nat1")
        rest(1.5)
        self.unbroken(fetch.end())
        self.lost_at_most(up.end(), 0)
        self.lost_at_most(down.end(), 0)

    # -- somebody else does

    def test_replayed_datagrams(self) -> None:
        """D2: what the server has had already gets no answer from another address, and moves nothing."""
        self.capture()
        self.ping("--count", "30").wait()
        sent = [each.payload for each in self.seen() if each.target == DATA]
        before, replays = self.server_paths(), self.count("replayed")
        self.assertEqual(self.stranger(sent[-30:]), [])
        self.assertEqual(self.server_paths(), before)
        self.assertGreater(self.count("replayed"), replays)
        self.breathes()

    def test_junk(self) -> None:
        """Cut, bent and random datagrams get no answer, and move nothing."""
        self.capture()
        self.ping("--count", "30").wait()
        sent = [each.payload for each in self.seen() if each.target == DATA][-30:]
        chance = random.Random(1)
        junk = [each[: chance.randrange(1, len(each))] for each in sent]
        for each in sent:
            bent = bytearray(each)
            bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(8)
            junk.append(bytes(bent))
        junk += [chance.randbytes(chance.randrange(1, 1400)) for _ in range(50)]
        before = self.server_paths()
        self.assertEqual(self.stranger(junk), [])
        self.assertEqual(self.server_paths(), before)
        self.breathes()

    def test_stolen_datagrams(self) -> None:
        """
        D3: authentic datagrams that only a thief delivers, from his address, bring him challenges of at most three
        times their bytes, and nothing else; the path does not move.
        """
        with self.no_uplink_but("wan0"):
            path = self.client.paths()["wan0"]["path"]
            self.capture()
            before = self.server_paths()
            with without_udp(self.box, "nat0"):
                start = len(self.seen())
                self.ping("--count", "20", "--grace", "0.1").wait()
                stolen = [each.payload for each in self.seen()[start:] if each.target == DATA]
                self.assertTrue(stolen)
                answers = self.stranger(stolen)
                after = self.server_paths()
                self.assertEqual(after.keys(), before.keys())
                self.assertEqual(after[path][0], before[path][0])
            self.assertTrue(answers, "the server took them for replays: the test is void")
            self.assertEqual({each[_TYPE] >> 5 for each in answers}, {HANDSHAKE})
            self.assertLessEqual(sum(map(len, answers)), 3 * sum(map(len, stolen)))
            self.until("the path is alive", lambda: self.state_of("wan0") == "active")
            self.breathes()
