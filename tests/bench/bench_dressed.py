"""
What shapes cost, in one process and without a lab: two data planes that talk over sockets on loopback.

    python -m tests.bench.bench_dressed [--rounds 60] [--packets 40]

One TCP stream in super packets, as a TUN gives them, goes from one to the other in each shape in turn, again and again;
what counts is the processor time of all of it, the kernel's included, beside that of plain right before: others use the
machine too, and whatever they do to a round they do to its neighbour; the middle one of all these shares is told. What
is freed is kept, as our processes keep it. TUN devices, the reactor and the TCP of who sends are not in it, so that
what a shape adds weighs more here than in `bench_speed shapes`.

And what a stranger's garbage costs a gateway that takes every shape: a row of it, beside one of forged plain datagrams.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, cast

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock

from morphnet.config.roles import Tuning
from morphnet.config.shapes import SHAPES
from morphnet.net.pump import Pump
from morphnet.net.udp import UdpDoor
from morphnet.roles.process.resources import settle_memory
from morphnet.tunnel.events import Effects
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.carried import Carried, CarriedRun, alike
from morphnet.wire.core import CORE, PURE
from morphnet.wire.shapes.masked import Masked
from morphnet.wire.shapes.quic import Quic
from morphnet.wire.shapes.shape import Shape
from tests.bench.measured import Measured, tell
from tests.tunnel.test_work import CLIENT4, SEGMENT_SIZE, SEGMENTS, super_packet

SETTLED = 150  # packets that pass before any counts: path MTU, rates
AT_ONCE = 2  # super packets of one turn
OF_PLAIN = {"masked": 80.0 if CORE is PURE else 90.0, "quic": 85.0}  # %
NETWORK = bytes(range(32))
STRANGER = Endpoint("192.0.2.66", 6666)
GARBAGE = {"masked": b"", "quic, short header": b"\x40", "quic, Initial": b"\xc0\0\0\0\1\x08"}  # how each begins
ROWS, LOOKS = 16, 10  # of each kind, all different; times that a round looks at one


class Files:
    """A reactor that waits for nothing: doors are read in turn."""

    def addReader(self, reader: object) -> None:
        """Nobody waits."""

    removeReader = addWriter = removeWriter = addReader


class Outlet:
    """A TUN, or who takes what is carried: counts."""

    def __init__(self) -> None:
        self.bytes = self.count = 0

    def write(self, packets: Sequence[bytes | bytearray | memoryview]) -> None:
        self.count += len(packets)
        self.bytes += sum(map(len, packets))

    def doRead(self) -> None:
        """Nobody answers."""

    def take(self, batch: Sequence[tuple[str, Carried | CarriedRun]]) -> None:
        for _, datagrams in alike(batch):
            self.count += len(datagrams)
            self.bytes += sum(map(len, datagrams))


class Line:
    """A client and a server, joined by loopback."""

    def __init__(self, shape: str) -> None:
        chance = random.Random(1)
        files = cast(IReactorFDSet, Files())
        self.clock, self.outlet = Clock(), Outlet()
        self.client = Pump(self.clock, Tunnel(server=False, entropy=chance.randbytes), time.monotonic)
        self.server = Pump(self.clock, Tunnel(server=True, entropy=chance.randbytes), time.monotonic)
        self.server.tun = self.outlet
        for pump in (self.client, self.server):
            pump.carry(self.outlet.take)
        numbers = self.client.new_number(), self.server.new_number()
        self.here = UdpDoor(files, numbers[0], self.client.from_door, host="127.0.0.1")
        self.there = UdpDoor(files, numbers[1], self.server.from_door, host="127.0.0.1")
        for pump, door in ((self.client, self.here), (self.server, self.there)):
            door.open()
            pump.attach(door)
        self.session = self._begin(chance.randbytes, shape)

    def _begin(self, draw: Callable[[int], bytes], shape: str) -> Session:
        now, effects = time.monotonic(), Effects()
        secrets = draw(32), draw(32)
        behind = self.server.tunnel.add_session("laptop", bytes(16), Tuning(framing="compact"), (CLIENT4,))
        session = self.client.tunnel.add_session("gateway", bytes(16), Tuning(framing="compact"))
        for end in (behind, session):
            end.install(*secrets, 64, now)
        ids = self.server.tunnel.issue_ids(behind, 8)
        self.client.tunnel.learn_ids(session, ids)
        session.add_ids(ids)
        ends: list[dict[str, Shape]] = [_shapes(draw, "www.example.org"), _shapes(draw, None)]
        self.client.tunnel.wardrobe.shapes, self.server.tunnel.wardrobe.shapes = (tuple(each.values()) for each in ends)
        session.wear(ends[0].get(shape), now, effects)
        session.open_path(self.here.number, Endpoint(*self.there.local[:2]), "lo", now, effects)
        self.client.carry_out(effects)
        return session

    def turn(self) -> None:
        """What has come is read, at both ends; time goes by."""
        self.there.doRead()
        self.here.doRead()
        self.clock.advance(max(0.0, time.monotonic() - self.clock.seconds()))

    def pass_on(self, count: int, offer: Callable[[int], Any]) -> float:
        """Processor seconds for each byte that has come out."""
        begun, before = time.process_time(), self.outlet.bytes
        for number in range(count):
            offer(number)
            self.turn()
        ends = time.monotonic() + 20.0
        while self.session.outbound.egress and time.monotonic() < ends:
            self.turn()
        for _ in range(20):
            self.turn()
        return (time.process_time() - begun) / (self.outlet.bytes - before)

    def close(self) -> None:
        self.here.close()
        self.there.close()


def _shapes(draw: Callable[[int], bytes], sni: str | None) -> dict[str, Shape]:
    return {"masked": Masked(NETWORK, os.urandom), "quic": Quic(NETWORK, os.urandom, sni)}


def shapes(options: argparse.Namespace) -> dict[str, list[float]]:
    """Nanoseconds of processor time for each byte, by shape, in each round."""
    lines = {shape: Line(shape) for shape in SHAPES}
    payload = bytes(SEGMENT_SIZE * SEGMENTS)
    found: dict[str, list[float]] = {shape: [] for shape in SHAPES}

    def offer(line: Line) -> Callable[[int], None]:
        def packets(number: int) -> None:
            batch = [memoryview(super_packet(AT_ONCE * number + step, payload)) for step in range(AT_ONCE)]
            line.client.from_tun(batch)

        return packets

    for line in lines.values():
        line.pass_on(SETTLED, offer(line))
    for _ in range(options.rounds):
        for shape, line in lines.items():
            found[shape].append(1e9 * line.pass_on(options.packets, offer(line)))
    for line in lines.values():
        line.close()
    return found


def forged(line: Line) -> tuple[bytes, int]:
    """A row of datagrams as the client would send it next, each with a tag that is not its own; bytes of each."""
    tunnel = line.client.tunnel
    leave, tunnel.leave = tunnel.leave, None
    packet = memoryview(super_packet(AT_ONCE * SETTLED, bytes(SEGMENT_SIZE * SEGMENTS)))
    departure = max(tunnel.from_tun([packet], time.monotonic()).sends, key=lambda each: len(each.data))
    tunnel.leave = leave
    row, size = bytearray(departure.data), departure.size
    del row[len(row) // size * size :]
    row[size - 1 :: size] = bytes(byte ^ 0x55 for byte in row[size - 1 :: size])
    return bytes(row), size


def looks(options: argparse.Namespace) -> dict[str, list[float]]:
    """Microseconds of processor time for each datagram that is not ours, by kind, in each round."""
    line, payload = Line("plain"), bytes(SEGMENT_SIZE * SEGMENTS)
    line.pass_on(SETTLED, lambda number: line.client.from_tun([memoryview(super_packet(number, payload))]))
    bad, size = forged(line)
    rows = {"forged": [bad] * ROWS}
    for kind, front in GARBAGE.items():
        each = [b"".join(front + os.urandom(size - len(front)) for _ in range(len(bad) // size)) for _ in range(ROWS)]
        rows[kind] = each
    found: dict[str, list[float]] = {kind: [] for kind in rows}
    for number in range(4 * options.rounds):
        for kind, several in rows.items():
            arrival = Arrival(line.there.number, STRANGER, memoryview(several[number % ROWS]), size)
            begun = time.process_time()
            for _ in range(LOOKS):
                line.server.tunnel.from_path([arrival], time.monotonic())
            found[kind].append(1e6 * (time.process_time() - begun) / LOOKS / (len(bad) // size))
    line.close()
    return found


def main() -> int:
    """1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench_dressed")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--packets", type=int, default=40, help="super packets of each round and shape")
    options = parser.parse_args()
    print(f"bench_dressed: {CORE.name}", file=sys.stderr)
    settle_memory()
    found, broken = shapes(options), 0
    plain = found["plain"]
    for shape, least in OF_PLAIN.items():
        share = median(100 * one / other for one, other in zip(plain, found[shape], strict=True))
        rival, each = ("plain, ns/byte", round(median(plain), 3)), tuple(round(cost, 2) for cost in found[shape])
        measured = Measured("dressed", f"{shape}, of plain", round(share, 1), "%", least, "more", *rival, each)
        tell(measured)
        broken += measured.kept is False
    costs = looks(options)
    most = round(median(costs.pop("forged")), 2)
    for kind, rounds in costs.items():
        cost = round(median(rounds), 2)
        measured = Measured("dressed", f"garbage, {kind}", cost, "us", most, "less", "a forged plain datagram", most)
        tell(measured)
        broken += measured.kept is False
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
