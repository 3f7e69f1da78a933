"""
QUIC inside the tunnel: figure B9.

    python -m tests.bench.bench_quic [--seconds 20] [--check]

A download by aioquic over two uplinks of 20 Mbit/s, RTTs of 20 and 60 ms, as a share of the ceiling, in the second half
of its time. Beside it the same on a bare wire of 40 Mbit/s and 40 ms: the client is written in Python, and where that
falls short, the machine does. Then one flow of UDP at 30 Mbit/s: how many come displaced by three places or more (RFC
4737). With --check it ends with 1 when a figure is short.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator

from morphnet.lab.enter import why_not
from morphnet.lab.streams import EVERY
from morphnet.lab.topologies import SERVER, Uplink
from morphnet.lab.vpn import INNER_SERVER, NotInTime, json_lines
from tests.bench.measured import CANNOT, Measured, enter_lab, tell
from tests.bench.quic import DATAGRAM, PAYLOAD
from tests.lab.bonded import OVERHEAD, PATIENCE, Bonded, after

FIGURE = "B9"
MBIT = 1e6
WAYS = [Uplink.like(0.010, 20 * MBIT), Uplink.like(0.030, 20 * MBIT)]
WIRE = [Uplink.like(0.020, 40 * MBIT)]
PORT = 4433
LEAST, MOST = 85.0, 0.1  # % of the ceiling; % of datagrams displaced


def download(tunnel: Bonded, seconds: float, host: str) -> float:
    """
    Mbit/s of a stream in the second half.

    :raises NotInTime: it stood still.
    """
    giving = tunnel.tool("server", "tests.bench.quic", "give", str(PORT))
    assert giving.stdout is not None
    giving.stdout.readline()
    taking = tunnel.tool("client", "tests.bench.quic", "take", str(PORT), host)
    patience = threading.Timer(seconds + PATIENCE, taking.kill)
    patience.start()
    told = list[float]()
    for line in json_lines(taking):
        told.append(line["mbit_s"])
        if len(told) >= round(seconds / EVERY):
            break
    patience.cancel()
    for process in (taking, giving):
        process.kill()
        process.communicate()
    if len(told) < round(seconds / EVERY):
        raise NotInTime(f"QUIC stood still; it told {told}")
    return after(told, seconds / 2)


def measure(seconds: float) -> Iterator[Measured]:
    """Its figures."""
    with Bonded(WIRE) as tunnel:
        bare = download(tunnel, seconds, SERVER)
    yield Measured(FIGURE, "QUIC, bare wire of 40 Mbit/s", round(bare, 1), "Mbit/s")
    most = 40 * PAYLOAD / (DATAGRAM + 28 + OVERHEAD)
    with Bonded(WAYS) as tunnel:
        share = 100 * download(tunnel, seconds, INNER_SERVER) / most
        yield Measured(FIGURE, "QUIC down", round(share, 1), "% of the ceiling", LEAST)
        _, last = tunnel.udp("down", seconds, 30 * MBIT)
    far = 100 * last["displaced"] / max(1, last["received"])
    yield Measured(FIGURE, "UDP of 30 Mbit/s, displaced by 3 places", round(far, 3), "%", MOST, "less")


def main() -> int:
    """Run it; with --check, 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_quic")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--check", action="store_true", help="end with 1 when a figure is short")
    options = parser.parse_args()
    if why_not():
        print(f"bench_quic: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_quic")
    broken = 0
    for measured in measure(options.seconds):
        tell(measured)
        broken += measured.kept is False
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
