"""
Send numbered datagrams at a steady rate, and say what arrived and how.

    python -m morphnet.lab.udpload receive --port P [--host ::]
    python -m morphnet.lab.udpload send HOST PORT --rate BITS --size BYTES --seconds S [--flows K]

Both ends run on one machine, so that one clock stamps them all and one-way delays are exact.
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import socket
import struct
import sys
import time
from bisect import bisect
from collections.abc import Iterable
from typing import Any

TICK = 0.0005  # seconds between bursts of the sender
FAR = 3  # places: TCP and QUIC take for lost what is displaced by so many. Source: RFC 5681, RFC 9002 section 6.1.1
ENDS = 10  # END markers sent per flow, since they may be lost too
END_PATIENCE = 1.0  # seconds after the first END that the receiver waits for what is still under way
_STAMP = struct.Struct("!4sHHIQ")  # magic, kind, flow, number (or how many were sent), sent at (monotonic ns)
_MAGIC = b"mnul"
_DATA, _END = 0, 1
_FORCED_BUFFER = 33  # SO_RCVBUFFORCE
_BUFFER = 8 << 20


class Order:
    """
    By how many places what comes is displaced.

    Source: RFC 4737 section 4.2.1, reordering extent.
    """

    def __init__(self) -> None:
        self._places = 0  # that came
        self._tops: list[int] = []  # numbers that were higher than all before, ascending
        self._at: list[int] = []  # in which place each of them came

    def add(self, number: int) -> int:
        """In how many places since the first one that should have come later; 0 when in order."""
        place, self._places = self._places, self._places + 1
        if not self._tops or number > self._tops[-1]:
            self._tops.append(number)
            self._at.append(place)
            return 0
        return place - self._at[bisect(self._tops, number)]


def displaced(numbers: Iterable[int]) -> int:
    """How many of these, in the order in which they came, are displaced by FAR places or more."""
    order = Order()
    return sum(order.add(number) >= FAR for number in numbers)


class Flow:
    """What arrived of one flow."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.highest, self._order = -1, Order()
        self.sent: int | None = None  # told by END

    def add(self, number: int) -> int | None:
        """
        Note one datagram.

        :return: by how many places it is displaced, 0 when in order; None for a duplicate.
        """
        if number >= len(self.seen):
            self.seen.extend(bytes(max(4096, number + 1 - len(self.seen))))
        if self.seen[number]:
            return None
        self.seen[number] = 1
        self.highest = max(self.highest, number)
        return self._order.add(number)

    def lost(self) -> int:
        """How many are missing: up to the END, or else up to the highest seen."""
        sent = self.highest + 1 if self.sent is None else self.sent
        return max(0, sent - self.seen.count(1))


class Tally:
    """What arrived of all flows; delays are seconds."""

    def __init__(self) -> None:
        self.flows: dict[int, Flow] = {}
        self.received = self.bytes = self.duplicates = self.reordered = self.ends = 0
        self.extents: list[int] = []
        self.delays: list[float] = []
        self.jitter = 0.0
        self.first_at = self.last_at = 0.0
        self._transit: dict[int, float] = {}

    def add(self, datagram: bytes, now_ns: int) -> None:
        """Note one datagram; what is not ours is ignored."""
        if len(datagram) < _STAMP.size or datagram[:4] != _MAGIC:
            return
        _, kind, flow_number, number, sent_at = _STAMP.unpack_from(datagram)
        flow = self.flows.setdefault(flow_number, Flow())
        if kind == _END:
            flow.sent = number
            self.ends += 1
            return
        extent = flow.add(number)
        if extent is None:
            self.duplicates += 1
            return
        if extent:
            self.reordered += 1
            self.extents.append(extent)
        self.last_at = now_ns / 1e9
        if not self.received:
            self.first_at = self.last_at
        self.received += 1
        self.bytes += len(datagram)
        delay = (now_ns - sent_at) / 1e9
        self.delays.append(delay)
        # RFC 3550 section 6.4.1, per flow, folded into one estimate.
        self.jitter += (abs(delay - self._transit.get(flow_number, delay)) - self.jitter) / 16
        self._transit[flow_number] = delay

    def told(self) -> dict[str, Any]:
        """All the figures since the first datagram, for JSON."""
        seconds = self.last_at - self.first_at
        return {
            "received": self.received,
            "lost": sum(flow.lost() for flow in self.flows.values()),
            "duplicates": self.duplicates,
            "reordered": self.reordered,
            "displaced": sum(extent >= FAR for extent in self.extents),
            "reorder_extent_p99": _percentile(self.extents, 99),
            "goodput_mbit_s": round(self.bytes * 8e-6 / seconds, 3) if seconds else 0.0,
            "jitter_ms": round(1000 * self.jitter, 3),
            "delay_ms": {
                "min": round(1000 * min(self.delays, default=0.0), 3),
                "p50": round(1000 * _percentile(self.delays, 50), 3),
                "p99": round(1000 * _percentile(self.delays, 99), 3),
                "max": round(1000 * max(self.delays, default=0.0), 3),
            },
        }


def _percentile(values: list[int] | list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] if values else 0


class Receiver:
    """The receiving program: ends at SIGTERM or when the sender has."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        if host == "::":
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _FORCED_BUFFER, _BUFFER)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((host, port))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self.tally = Tally()
        self.stopped = False

    def run(self, every: float) -> None:
        """Receive, tell every `every` seconds."""
        tell_at, told_bytes = time.monotonic() + every, 0
        end_by: float | None = None
        while not self.stopped:
            now = time.monotonic()
            if self.tally.ends and end_by is None:
                end_by = now + END_PATIENCE
            if end_by is not None and now >= end_by:
                return
            if now >= tell_at:
                fresh, told_bytes = self.tally.bytes - told_bytes, self.tally.bytes
                received, lost = self.tally.received, sum(flow.lost() for flow in self.tally.flows.values())
                tell({"received": received, "lost": lost, "goodput_mbit_s": round(fresh * 8e-6 / every, 3)})
                tell_at += every
            if select.select([self._socket], [], [], 0.05)[0]:
                self._read()

    def _read(self) -> None:
        add, recv, clock = self.tally.add, self._socket.recv, time.monotonic_ns
        try:
            for _ in range(256):
                add(recv(65_536), clock())
        except BlockingIOError:
            return


def send(options: argparse.Namespace) -> dict[str, Any]:
    """Send at the rate asked for; :return: the final line."""
    address = (options.host, options.port)
    family = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0][0]
    flows = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(options.flows)]
    for flow in flows:
        flow.connect(address)
    padding = bytes(max(0, options.size - _STAMP.size))
    per_second = options.rate / 8 / (_STAMP.size + len(padding))
    started_at, total, refused = time.monotonic(), 0, 0
    whole = int(per_second * options.seconds)
    while total < whole and not options.stopped:
        due = min(whole, 1 + int((time.monotonic() - started_at) * per_second))
        for number in range(total, due):
            flow_number = number % len(flows)
            stamp = _STAMP.pack(_MAGIC, _DATA, flow_number, number // len(flows), time.monotonic_ns())
            try:
                flows[flow_number].send(stamp + padding)
            except OSError:
                refused += 1
        total = due
        time.sleep(TICK)
    seconds = time.monotonic() - started_at
    _send_ends(flows, total)
    bits = total * 8 * (_STAMP.size + len(padding))
    return {
        "final": True,
        "sent": total,
        "refused": refused,
        "seconds": round(seconds, 3),
        "mbit_s": round(bits / 1e6 / seconds, 3),
    }


def _send_ends(flows: list[socket.socket], total: int) -> None:
    for _ in range(ENDS):
        for flow_number, flow in enumerate(flows):
            sent = (total - flow_number + len(flows) - 1) // len(flows)
            try:
                flow.send(_STAMP.pack(_MAGIC, _END, flow_number, sent, time.monotonic_ns()))
            except OSError:
                continue  # the next one may get through
        time.sleep(0.02)


def tell(line: dict[str, Any]) -> None:
    """Print one JSON line, at once."""
    print(json.dumps(line), flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="udpload", description="send numbered datagrams at a steady rate")
    commands = parser.add_subparsers(dest="command", required=True)
    receiving = commands.add_parser("receive")
    receiving.add_argument("--host", default="::")
    receiving.add_argument("--port", type=int, required=True)
    receiving.add_argument("--every", type=float, default=1.0, help="seconds between lines")
    sending = commands.add_parser("send")
    sending.add_argument("host")
    sending.add_argument("port", type=int)
    sending.add_argument("--rate", type=float, required=True, help="bit/s of UDP payload")
    sending.add_argument("--size", type=int, default=1200, help="bytes of UDP payload, at least 20")
    sending.add_argument("--seconds", type=float, default=10.0)
    sending.add_argument("--flows", type=int, default=1)
    return parser.parse_args(arguments, argparse.Namespace(stopped=False))


def main(arguments: list[str]) -> int:
    """Run as the arguments say; SIGTERM ends both sides with their final line."""
    options = _options(arguments)
    try:
        program: Any = Receiver(options.host, options.port) if options.command == "receive" else options
    except OSError as error:
        print(f"udpload: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(program, "stopped", True))
    if isinstance(program, Receiver):
        tell({"listening": program.port})
        program.run(options.every)
        tell({"final": True, **program.tally.told()})
    else:
        tell(send(options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
