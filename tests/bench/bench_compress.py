"""
Whether to compress, and with what: time and gain per packet, for text and for what is encrypted already.

    python -m tests.bench.bench_compress [--rounds 5]

Touches no network. First the two methods alone on payloads of 1348 bytes, as full segments in the tunnel have; then
the whole data path of both ends, between two tunnels in one process, which shows that a compressed packet also leaves
the batches. The methods take turns.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
import time
from collections.abc import Callable, Sequence

from morphnet.config.roles import Tuning
from morphnet.wire.batch import Arrival
from morphnet.wire.compress import NAMES, compress, decompress
from tests.bench.measured import Measured, middle, tell
from tests.simulation import CLIENT4, SERVER4, SERVER_END, Link, World

SIZE = 1348  # bytes of payload in a full segment
SLICES = 40  # of a super packet
COUNT = 400  # payloads
METHODS = ("off", "zstd", "gzip")
TEXT = (
    "connection survives network uplink address session path packet window delay and the of to a in is that for on "
    "with as which when each only other never later first again without"
)
WORDS = TEXT.split()


def _json(chance: random.Random) -> bytes:
    """Records as an API gives them."""
    records = [
        {
            "id": chance.randrange(10**9),
            "name": " ".join(chance.choices(WORDS, k=2)),
            "email": f"{chance.choice(WORDS)}.{chance.randrange(1000)}@example.org",
            "active": chance.random() < 0.8,
            "balance": round(chance.uniform(0, 10_000), 2),
            "tags": chance.choices(WORDS, k=3),
        }
        for _ in range(14)
    ]
    return json.dumps(records).encode()


def _html(chance: random.Random) -> bytes:
    """A piece of an article."""
    parts = [
        f'<div class="{chance.choice(WORDS)}-row"><p>{" ".join(chance.choices(WORDS, k=22)).capitalize()}. '
        f'<a href="/{chance.choice(WORDS)}/{chance.randrange(10**5)}">{chance.choice(WORDS)}</a></p></div>'
        for _ in range(12)
    ]
    return "\n".join(parts).encode()


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "JSON": _json,
    "HTML": _html,
    "encrypted": lambda chance: chance.randbytes(SIZE),
}


def payloads(kind: str) -> list[bytes]:
    """COUNT different ones, the same at every run."""
    chance = random.Random(kind)
    made = [KINDS[kind](chance)[:SIZE] for _ in range(COUNT)]
    assert all(len(payload) == SIZE for payload in made)
    return made


def alone(method: str, data: Sequence[bytes]) -> tuple[float, float, float]:
    """Microseconds to compress one, to undo it, and bytes left over bytes before."""
    began = time.perf_counter()
    packed = [compress(payload, NAMES[method]) for payload in data]
    between = time.perf_counter()
    for used, small in packed:
        decompress(small, used)
    ended = time.perf_counter()
    kept = sum(len(small) for _, small in packed) / sum(map(len, data))
    return (between - began) / len(data) * 1e6, (ended - between) / len(data) * 1e6, kept


def _super_packet(number: int, body: bytes) -> memoryview:
    """A TCP packet as a TUN with offloads gives it: SLICES segments of SIZE."""
    sequence = number * len(body) & 0xFFFFFFFF
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(body), 7, 0, 64, 6, 0, CLIENT4, SERVER4)
    tcp = struct.pack("!HHIIBBHHH", 1, 2, sequence, 0, 0x50, 0x18, 100, 0, 0)
    return memoryview(bytearray(struct.pack("=BBHHHH", 1, 1, 40, SIZE, 20, 16) + ip + tcp + body))


def whole(method: str, data: Sequence[bytes]) -> float:
    """Microseconds per packet of both ends together: from the TUN of one to that of the other."""
    world = World([(Link(0.0005), Link(0.0005))], Tuning(compression=method))
    world.run(2)
    bodies = [b"".join(data[at : at + SLICES]) for at in range(0, len(data), SLICES)]
    spent, packets, delivered = 0.0, 0, 0
    now = world.now
    for number in range(3 * len(bodies)):
        now += 0.001
        plain = _super_packet(number, bodies[number % len(bodies)])
        began = time.perf_counter()
        effects = world.client.from_tun([plain], now)
        batches = [Arrival(0, world.addresses[0], memoryview(each.data), each.size) for each in effects.sends]
        for batch in batches:
            delivered += sum(map(len, world.server.from_path([batch], now + 0.0005).delivers))
        spent += time.perf_counter() - began
        for each in world.server.on_timer(now + 0.02).sends:
            world.client.from_path([Arrival(0, SERVER_END, memoryview(each.data), each.size)], now + 0.0205)
        now += 0.025
        world.client.on_timer(now)
        packets += SLICES
    assert delivered >= packets * SIZE, (delivered, packets * SIZE)
    return spent / packets * 1e6


def main() -> int:
    """All methods on all kinds."""
    parser = argparse.ArgumentParser(prog="bench_compress")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for kind in KINDS:
        data = payloads(kind)
        told = {method: [alone(method, data) for _ in range(options.rounds)] for method in METHODS[1:]}
        paths: dict[str, list[float]] = {method: [] for method in METHODS}
        for _ in range(options.rounds):
            for method in METHODS:
                paths[method].append(whole(method, data))
        for method in METHODS[1:]:
            packing, unpacking, kept = (middle([each[i] for each in told[method]], 3) for i in range(3))
            tell(Measured("item 8", f"{method}, {kind}: size left", round(100 * kept, 1), "%"))
            tell(Measured("item 8", f"{method}, {kind}: compress", round(packing, 1), "us/packet"))
            tell(Measured("item 8", f"{method}, {kind}: decompress", round(unpacking, 1), "us/packet"))
        for method in METHODS:
            tell(
                Measured("item 8", f"{method}, {kind}: whole data path, both ends", middle(paths[method]), "us/packet")
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
