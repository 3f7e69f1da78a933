"""
What batches are worth: packets a second of the real product, against one Twisted callback per packet.

    python -m tests.bench.bench_batches [--rounds 3] [--seconds 3]

All carry one TCP stream, given and taken by the same two programs, between two namespaces over one veth that nobody
shapes, with an inner MTU of 1400 and AES-256-GCM, in turn:

- the product: real `twistd` processes;
- its rival: the product's own data plane, with one callback for each packet (`per_packet_whole`): the same work;
- for information a bare tunnel, packet by packet too, that has no replay window, no scheduler, no order and no
  acknowledgements (`per_packet_tunnel`), and `per_packet`, which only receives and opens, with neither TUN nor TCP.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import replace

from morphnet.lab.box import Box
from morphnet.lab.enter import why_not
from morphnet.lab.topologies import SERVER, direct
from morphnet.lab.vpn import Daemon, Vpn
from tests.bench import per_packet, per_packet_tunnel
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell

WANTED = 5.0  # times the rival: issue 2, item 11
SETTLE = 2.0  # seconds before counting starts


def _received(daemon: Daemon) -> tuple[float, int]:
    """When, and how many datagrams with slices of the stream."""
    paths = daemon.session()["paths"]
    return time.monotonic(), sum(path["received_packets"] for path in paths)


def product(seconds: float) -> float:
    """Packets a second that the client received, opened and wrote."""
    with Box(direct(v6=False)) as box:
        # so that the rival's two programs find their addresses
        vpn = Vpn(box, SERVER, {"pool4": "10.9.0.0/24"})
        vpn.found()
        client = vpn.join(settings={"uplinks": ["wan0"], "routes": ["10.9.0.0/24"]})
        inner = client.session()["inner"][0].partition("/")[0]
        assert inner == "10.9.0.2", inner
        traffic = [box.node("client").popen([*per_packet_tunnel.ME, "sink"])]
        traffic.append(box.node("server").popen([*per_packet_tunnel.ME, "source"], stderr=subprocess.DEVNULL))
        time.sleep(SETTLE)
        began, before = _received(client)
        time.sleep(seconds)
        ended, after = _received(client)
        for process in traffic:
            process.kill()
    return (after - before) / (ended - began)


def _times(ours: list[float], theirs: list[float]) -> float:
    """How many times as many, in the middle round."""
    return middle([mine / other for mine, other in zip(ours, theirs, strict=True)])


def main() -> int:
    """Run both in turn; 1 when the promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_batches")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    if why_not():
        print(f"bench_batches: {why_not()}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_batches")
    ours, whole, bare = list[float](), list[float](), list[float]()
    for number in range(options.rounds):
        ours.append(round(product(options.seconds)))
        whole.append(round(per_packet_tunnel.run(options.seconds, "whole")))
        bare.append(round(per_packet_tunnel.run(options.seconds, "bare")))
        told = f"{ours[-1]:.0f}, per packet {whole[-1]:.0f}, bare {bare[-1]:.0f}"
        print(f"round {number + 1}: {told}", file=sys.stderr, flush=True)
    times = _times(ours, whole)
    same, least = "the same work per packet", "a bare tunnel per packet"
    rates = Measured("item 11", "tunnel", middle(ours, 0), "packets/s", None, "more", same, middle(whole, 0))
    tell(replace(rates, rounds=tuple(ours)))
    tell(Measured("item 11", "times the same work per packet", times, "x", WANTED, rounds=tuple(whole)))
    tell(Measured("item 11", f"times {least}", _times(ours, bare), "x", rounds=tuple(bare)))
    alone = round(per_packet.run(options.seconds))
    tell(Measured("item 11", "receiving and opening alone, per packet", alone, "packets/s"))
    return 0 if times >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
