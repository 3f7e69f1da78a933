"""
What the original's obfuscation costs, in runs and one by one, beside the same done byte by byte.

    python -m tests.bench.bench_morph [--rounds 5]

Touches no network. WireGuard's full data packets, in both directions: hide and dress, read and show. The ways take
turns; microseconds per datagram, the middle of the rounds.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

from morphnet.legacy.control import Handshake
from morphnet.legacy.obfuscator import Parameters
from morphnet.legacy.runs import cut
from morphnet.legacy.session import Session
from morphnet.wire.batch import Endpoint
from tests.bench.measured import Measured, middle, tell
from tests.lab.original import Original

SIZES = (
    1452,
    1280,
    148,
)  # a full packet of WireGuard at MTU 1420; one of IPv6's least MTU; a handshake, not a multiple of 8
RUN = 40  # datagrams
RUNS = 100  # of them, with a combination each
PLACE = Endpoint("192.0.2.1", 1)


def sessions(layers: int) -> tuple[Session, Session]:
    """Two ends."""
    chance = random.Random(layers)
    parameters = Parameters(chance.randrange(256), layers, 8, bytes(chance.sample(range(256), 256)), 77)
    handshake = Handshake(chance.randbytes(16), parameters, 1, 0, "bench")
    return tuple(Session(handshake, PLACE, chance.randbytes, now=0.0) for _ in range(2))  # type: ignore[return-value]


def microseconds(work: Callable[[], None], datagrams: int) -> float:
    """For each of them."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) / datagrams * 1e6


def by_run(layers: int, size: int, run: int) -> dict[str, float]:
    """In runs of so many datagrams."""
    mine, theirs = sessions(layers)
    texts, sent = random.Random(1).randbytes(size * run), list[list[bytes]]()
    rounds = RUNS * RUN // run // (1 if run > 1 else 10)

    def hide() -> None:
        sent.extend(mine.send(texts, size, now=0.0, millis=0) for _ in range(rounds))

    def show() -> None:
        for datagrams in sent:
            assert theirs.receive(PLACE, datagrams, now=0.0) == cut(texts, size)

    return {"hide": microseconds(hide, rounds * run), "show": microseconds(show, rounds * run)}


def by_byte(layers: int, size: int) -> dict[str, float]:
    """As the original does it, in Python."""
    original = Original(random.Random(layers), layers=layers)
    text, sent, count = random.Random(1).randbytes(size), list[bytes](), 20

    def hide() -> None:
        sent.extend(original.dress(original.hide(text)) for _ in range(count))

    def show() -> None:
        for datagram in sent:
            original.show(original.undress(datagram))

    return {"hide": microseconds(hide, count), "show": microseconds(show, count)}


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(arguments).rounds
    ways: dict[str, Callable[[int, int], dict[str, float]]] = {
        f"runs of {RUN}": lambda layers, size: by_run(layers, size, RUN),
        "one by one": lambda layers, size: by_run(layers, size, 1),
        "byte by byte": by_byte,
    }
    for layers in (1, 3, 4):
        for size in SIZES:
            found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    found[name].append(way(layers, size))
            for name, each in found.items():
                for step in ("hide", "show"):
                    case = f"morph, {layers} layers, {size} bytes, {name}: {step}"
                    value = middle([one[step] for one in each], 2)
                    tell(Measured("item 13", case, value, "us/datagram", better="less"))


if __name__ == "__main__":
    main()
