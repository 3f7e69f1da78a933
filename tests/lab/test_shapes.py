"""A client and a server whose datagrams are masked, and a wire between them that is watched."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

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
        seen = [each.payload for each in self.seen() if each.target == DATA][-60:]
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


class SwitchTests(Watched):
    plan = Plan(lambda: two_uplinks(DELAYS, (50e6, 50e6)))

    def test_live(self) -> None:
        """It is put on and taken off while echoes and a transfer pass: none is lost, and the transfer is whole."""
        fetch, ping = self.fetch(), self.ping("--interval", "0.005")
        for shape in ("masked", "plain", "masked", "plain"):
            self.assertIn("applied", self.set_shape(shape))
            self.until_worn(shape)
            rest(0.4)
        self.unbroken(fetch.end())
        self.lost_at_most(ping.end(), 0)


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
