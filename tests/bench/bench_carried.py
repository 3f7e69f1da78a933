"""
What it costs to carry a datagram, in one process and without a lab: from a program's socket to a service's.

    python -m tests.bench.bench_carried [--rounds 40] [--times 50]

A program sends so many datagrams at once; they go in at a port, through a session of two data planes over loopback, and
out to a service. What counts is the processor time of all that is ours, the kernel's included, in the best quarter of
the rounds: others use the machine too, which only ever adds. The reactor is not in it, nor what the programs do.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from contextlib import suppress
from statistics import quantiles
from typing import cast

from twisted.internet.interfaces import IReactorFDSet

from morphnet.config.carry import Place
from morphnet.net.inbox import Inboxes
from morphnet.net.localudp import LocalUdp, Received
from morphnet.roles.carry.ports import Ports
from morphnet.roles.carry.services import Services
from morphnet.wire.core import CORE
from tests.bench.bench_dressed import Files, Line
from tests.bench.measured import Measured, tell

AT_ONCE = (1, 4, 18, 45)  # datagrams; 18 is what comes together of a wireguard-go that is carried at 0.2 Gbit/s
SIZE = 1363  # bytes of each: a packet of 1331, sealed by WireGuard
HERE = "127.0.0.1"


class Reactor(Files):
    """Waits for nothing, and lets nobody wait: a port is looked at when it is told to."""

    def seconds(self) -> float:
        return time.monotonic()

    def callLater(self, *_: object) -> None:
        """Whoever is busy would be left alone for a moment."""


def udp() -> socket.socket:
    """Of a program."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    opened.bind((HERE, 0))
    opened.setblocking(False)
    return opened


class Way:
    """From a program to a service."""

    def __init__(self) -> None:
        self.program, self.service, taken = udp(), udp(), udp()
        self.to = taken.getsockname()
        taken.close()
        self.line, reactor = Line("plain"), cast(IReactorFDSet, Reactor())
        self.doors = list[LocalUdp]()
        self.ports = Ports(reactor, self.line.client, [Place("service", *self.to)], lambda: "gateway", self._door)
        self.services = Services(reactor, self.line.server, [Place("service", *self.service.getsockname())])
        self.ports.open()
        self.services.open()

    def _door(self, reactor: IReactorFDSet, received: Received, inboxes: Inboxes) -> LocalUdp:
        self.doors.append(LocalUdp(reactor, received, inboxes))
        return self.doors[-1]

    def send(self, count: int) -> tuple[float, int]:
        """Processor seconds for so many, and how many have come out."""
        for _ in range(count):
            self.program.sendto(bytes(SIZE), self.to)
        begun = time.process_time()
        self.doors[0].doRead()
        self.line.turn()
        took, came = time.process_time() - begun, 0
        with suppress(BlockingIOError):
            while self.service.recv(SIZE):
                came += 1
        return took, came

    def close(self) -> None:
        self.ports.close()
        self.services.close()
        self.line.close()
        self.program.close()
        self.service.close()


def main() -> int:
    """1 when some did not come out."""
    parser = argparse.ArgumentParser(prog="bench_carried")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--times", type=int, default=50, help="in each round")
    options = parser.parse_args()
    print(f"bench_carried: {CORE.name}", file=sys.stderr)
    way, lost = Way(), 0
    for _ in range(60):
        way.send(60)
    for count in AT_ONCE:
        costs = list[float]()
        for _ in range(options.rounds):
            found = [way.send(count) for _ in range(options.times)]
            lost += sum(count - came for _, came in found)
            costs.append(1e6 * sum(took for took, _ in found) / options.times / count)
        told = tuple(round(each, 2) for each in costs)
        tell(
            Measured(
                "carried", f"{count} at once, each", round(quantiles(costs)[0], 2), "us", None, "less", rounds=told
            )
        )
    way.close()
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
