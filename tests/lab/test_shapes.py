"""A client and a server whose datagrams are masked, and a wire between them that is watched."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import SkipTest

from morphnet.lab.topologies import SERVER, two_uplinks
from tests.lab.case import DELAYS, LabCase, Plan, rest
from tests.lab.pcap import Sighting, sightings

DATA = (SERVER, 8000)
WIREGUARD = b"\x01\0\0\0"
STRANGER = """
import json, socket, sys
host, port = sys.argv[1:]
answers = 0
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
    words = [bytes.fromhex(line) for line in sys.stdin]
    for word in words:
        stranger.sendto(word, (host, int(port)))
    stranger.settimeout(1.0)
    try:
        while stranger.recv(2048):
            answers += 1
    except TimeoutError:
        pass
print(json.dumps({"sent": len(words), "answers": answers}))
"""


def _lines(words: Sequence[bytes]) -> str:
    return "".join(f"{word.hex()}\n" for word in words)


class Watched(LabCase):
    """With the wire of wan0 captured."""

    rootless = False  # nothing of it depends on who one is

    def setUp(self) -> None:
        super().setUp()
        self.captured = Path(self.box.dir) / "wan0.pcap"

    def capture(self) -> None:
        """From now on."""
        self.box.wire("wan0").capture(str(self.captured))
        self.addCleanup(self.captured.unlink, missing_ok=True)

    def seen(self) -> list[Sighting]:
        """What passed at the server's data port meanwhile."""
        self.box.wire("wan0").capture(None)
        return [each for each in sightings(self.captured) if DATA in (each.source, each.target)]

    def until_worn(self, shape: str) -> None:
        """Every path wears it, at both ends."""

        def holds() -> bool:
            ends = (self.client, self.server)
            return all({path["shape"] for path in end.paths().values()} == {shape} for end in ends)

        self.until(f"every path is {shape}", holds, 5.0)

    def set_shape(self, shape: str) -> str:
        """As the operator does."""
        return self.client.morphnet("set", "shape", shape, "--dir", str(self.client.etc))

    def stay_strangers(self, seen: Sequence[bytes]) -> None:
        """Who sends what was seen again, whole and in pieces, and other things, gets no byte, and moves nothing."""
        self.assertGreater(len(seen), 20)
        chance = random.Random(4)
        words = [*seen, *(each[: chance.randrange(1, len(each))] for each in seen)]
        words += [WIREGUARD + chance.randbytes(144), *(chance.randbytes(chance.randrange(1, 1400)) for _ in range(60))]
        before = self.server.paths()
        said = self.box.node("isp").run([sys.executable, "-c", STRANGER, *map(str, DATA)], input=_lines(words))
        self.assertEqual(json.loads(said.stdout), {"sent": len(words), "answers": 0})
        after = self.server.paths()
        self.assertEqual([each["remote"] for each in after.values()], [each["remote"] for each in before.values()])
        self.breathes()


class MaskedTests(Watched):
    plan = Plan(lambda: two_uplinks(DELAYS, (50e6, 50e6)), client=(("shape", "masked"),))

    def test_masked(self) -> None:
        """From the first datagram on: a transfer is whole, and no byte of what passed is the same everywhere."""
        self.until_worn("masked")
        self.capture()
        fetch = self.fetch()
        rest(1.5)
        self.unbroken(fetch.end())
        self.breathes()
        passed = [each.payload for each in self.seen()]
        self.assertGreater(len(passed), 500)
        for at in range(40):
            self.assertGreater(len({each[at] for each in passed}), 200, at)
        for end in (self.client, self.server):
            counters = end.session()["counters"]
            self.assertEqual((counters.get("forged", 0), counters.get("replayed", 0)), (0, 0))

    def test_strangers(self) -> None:
        """Replays, pieces, WireGuard's first message and noise get no byte (D12), and move nothing."""
        self.capture()
        self.breathes()
        self.stay_strangers([each.payload for each in self.seen() if each.target == DATA][-60:])


class SwitchTests(Watched):
    plan = Plan(lambda: two_uplinks(DELAYS, (50e6, 50e6)))

    def test_live(self) -> None:
        """It is put on and taken off while echoes and a transfer pass: none is lost, and the transfer is whole."""
        fetch, ping = self.fetch(), self.ping("--interval", "0.005")
        for shape in ("masked", "quic", "plain", "quic", "masked", "plain"):
            self.assertIn("applied", self.set_shape(shape))
            self.until_worn(shape)
            rest(0.4)
        self.unbroken(fetch.end())
        self.lost_at_most(ping.end(), 0)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise SkipTest(f"no {name} here")
    return found


class QuicTests(Watched):
    plan = Plan(lambda: two_uplinks(DELAYS, (50e6, 50e6)), client=(("shape", "quic"), ("shape_sni", "www.example.org")))

    def _seen_by(self, *command: str) -> str:
        """What a program says of the capture."""
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def test_seen(self) -> None:
        """
        To tshark and to nDPI a path is QUIC from its first datagram on, with the name that was chosen; a transfer is
        whole; and strangers get no byte, though they send whole handshakes again.
        """
        tshark, ndpi = _tool("tshark"), _tool("ndpiReader")
        self.until_worn("quic")
        self.capture()
        self.client.stop()
        self.client.start()
        self.until_worn("quic")
        fetch = self.fetch()
        self.unbroken(fetch.end())
        self.breathes()
        seen = self.seen()
        self.assertGreater(len(seen), 500)
        names = self._seen_by(
            tshark, "-r", str(self.captured), "-Y", "tls.handshake.type == 1 and quic", "-T", "fields",
            "-e", "tls.handshake.extensions_server_name", "-e", "tls.handshake.extensions_alpn_str",
        )  # fmt: skip
        self.assertEqual(set(names.split("\n")) - {""}, {"www.example.org\th3"})
        flows = [
            line for line in self._seen_by(ndpi, "-i", str(self.captured), "-v", "2").splitlines() if ":8000 " in line
        ]
        self.assertTrue(any("/QUIC]" in line and "[Hostname/SNI: www.example.org]" in line for line in flows), flows)
        ours = [each.payload for each in seen if each.target == DATA]
        self.stay_strangers([*[each for each in ours if each[0] >> 6 == 3][-20:], *ours[-40:]])


class ServerOfBeforeTests(Watched):
    """A server that knows only plain datagrams: with the format `seed` it is as one of before."""

    plan = Plan(
        SwitchTests.plan.topology, settings=(("framing", "seed"),), client=(("framing", "compact"), ("shape", "masked"))
    )

    def test_plain(self) -> None:
        """The client speaks plain with it, and says so."""
        self.until_worn("plain")
        self.breathes()
        self.assertIn("does not know the shape", " ".join(self.client.status()["warnings"]))
