"""
Whether anything grows faster than the work: what a small packet costs each end's data plane, by flows, sessions, paths.

    python -m tests.bench.bench_growth [--packets 50000]

In one process, without sockets and devices, so that only our own work is measured: seconds of processor of this thread.
Packets of 64 bytes come BATCH at a time, in turn of all flows and sessions, and leave as a UDP door would join them.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
from collections.abc import Iterator

from morphnet.config.roles import Tuning
from morphnet.net.joining import joined
from morphnet.tunnel.events import Effects
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Departure, Endpoint
from tests.bench.measured import Measured, tell

BATCH, SIZE = 64, 64  # packets, bytes
EVERY = 0.0005  # seconds between batches
GATEWAY = Endpoint("203.0.113.1", 8000)
INSIDE = bytes((10, 73, 0, 1))


def packet(source: bytes, port: int) -> bytes:
    """UDP, as a TUN gives it."""
    udp = struct.pack("!HHHH", port, 5001, 8 + SIZE, 0)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + SIZE, 1, 0x4000, 64, 17, 0, source, INSIDE)
    return bytes(10) + ip + udp + bytes(SIZE)


class Ends:
    """A server and its clients, without anything between them."""

    def __init__(self, sessions: int, paths: int) -> None:
        self._chance, self.now = random.Random(1), 1000.0
        self.server = Tunnel(server=True, entropy=self._chance.randbytes)
        self.sent = self.received = 0.0  # seconds
        self.clients = [self._client(number, paths) for number in range(sessions)]
        for _ in range(100):  # in which paths are proved and sizes found
            self._rest(0.03)

    def _client(self, number: int, paths: int) -> tuple[Tunnel, bytes]:
        address, tuning, name = bytes((10, 73)) + (number + 2).to_bytes(2, "big"), Tuning(), f"laptop{number}"
        secrets = self._chance.randbytes(32), self._chance.randbytes(32)
        client = Tunnel(server=False, entropy=self._chance.randbytes)
        behind = self.server.add_session(name, number.to_bytes(16, "big"), tuning, (address,))
        session = client.add_session("gateway", number.to_bytes(16, "big"), tuning)
        ids = self.server.issue_ids(behind, 4 * paths)
        behind.install(*secrets, 64, self.now)
        session.install(*secrets, 64, self.now)
        client.learn_ids(session, ids)
        session.add_ids(ids)
        effects = Effects()
        for path in range(paths):
            session.open_path(path, GATEWAY, f"wan{path}", self.now, effects)
        client.poke(session, self.now)
        self._deliver(client, number, effects)
        return client, address

    def _deliver(self, client: Tunnel, number: int, effects: Effects) -> None:
        """What a client sends to the server, and its answers back, until there are none."""
        while effects.sends:
            up = [_arrival(number, each) for each in _joined_by_door(effects.sends)]
            began = time.thread_time()
            answers = self.server.from_path(up, self.now)
            self.received += time.thread_time() - began
            effects = self._back(client, number, answers)

    def _back(self, client: Tunnel, number: int, effects: Effects) -> Effects:
        """What the server sends to that client."""
        down = [
            Arrival((each.to.port - 1000) % 10, GATEWAY, _view(each.data), each.size)
            for each in effects.sends
            if (each.to.port - 1000) // 10 == number
        ]
        return client.from_path(down, self.now) if down else Effects()

    def _rest(self, seconds: float) -> None:
        """Time passes for all."""
        self.now += seconds
        answers = self.server.on_timer(self.now)
        for number in {(each.to.port - 1000) // 10 for each in answers.sends}:
            client, _ = self.clients[number]
            self._deliver(client, number, self._back(client, number, answers))
        for number, (client, _) in enumerate(self.clients):
            due = client.next_timer()
            if due is not None and due <= self.now:
                self._deliver(client, number, client.on_timer(self.now))

    def cost(self, flows: int, packets: int) -> tuple[float, float]:
        """Microseconds a packet at the sender and the receiver, when all have had a turn."""
        done = turn = 0
        while done < packets:
            if turn == len(self.clients):
                self.sent, self.received, done = 0.0, 0.0, 0
            number = turn % len(self.clients)
            client, address = self.clients[number]
            batch = [memoryview(bytearray(packet(address, 1024 + (done + i) % flows))) for i in range(BATCH)]
            began = time.thread_time()
            effects = client.from_tun(batch, self.now)
            self.sent += time.thread_time() - began
            self._deliver(client, number, effects)
            self._rest(EVERY)
            done, turn = done + BATCH, turn + 1
        return 1e6 * self.sent / done, 1e6 * self.received / done


def _joined_by_door(departures: list[Departure]) -> Iterator[Departure]:
    """As each door would send them."""
    for door in sorted({each.door for each in departures}):
        yield from joined(each for each in departures if each.door == door)


def _arrival(number: int, departure: Departure) -> Arrival:
    """At the server, from client `number`."""
    source = Endpoint("203.0.113.2", 1000 + 10 * number + departure.door, GATEWAY.host)
    return Arrival(0, source, _view(departure.data), departure.size)


def _view(data: bytes | bytearray | memoryview) -> memoryview:
    return memoryview(bytearray(data))


def main() -> int:
    """Nothing is promised."""
    parser = argparse.ArgumentParser(prog="bench_growth")
    parser.add_argument("--packets", type=int, default=50000)
    options = parser.parse_args()
    for flows, sessions, paths in (
        *((flows, 1, 1) for flows in (1, 10, 100, 1000, 10000)),
        *((1000, sessions, 1) for sessions in (10, 100, 1000)),
        *((1000, 1, paths) for paths in (2, 4, 8)),
    ):
        ends = zip(
            ("sender", "receiver"),
            Ends(sessions, paths).cost(flows, max(options.packets, 4 * BATCH * sessions)),
            strict=True,
        )
        for end, value in ends:
            case = f"{flows} flows, {sessions} sessions, {paths} paths, {end}"
            tell(Measured("growth", case, round(value, 2), "us", better="less"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
