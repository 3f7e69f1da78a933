"""
Send ICMP echoes on a strict schedule, and say which were lost and how long the silence was.

    python -m morphnet.lab.ping HOST [--interval 0.01] [--count N | --seconds S]

One JSON line per `--every` seconds, and one with `"final": true` at the end, also on SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

LATE = 1.0  # seconds without an answer before an echo counts as `lost_so_far`
GAP = 0.03  # seconds between two answers from which the final line tells of it
GAPS_TOLD = 500
LOSSES_TOLD = 50  # runs of lost echoes in the final line
_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_ICMP = struct.Struct("!BBHHH")  # type, code, checksum, identity, sequence
_STAMP = struct.Struct("!IIQ")  # token, number, sent at (nanoseconds): 16 bytes
_ICMP_FILTER = 1  # the option of both families; in v4 a mask of types not wanted, 32 bits; in v6 256


class Tally:
    """What became of the echoes; times are seconds on the monotonic clock."""

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.sent_at: list[float] = []
        self.answered = bytearray()
        self.received = self.duplicates = 0
        self.rtts: list[float] = []  # seconds
        self._interval_from = 0  # in `rtts`
        self._last_answer_at = started_at
        self.gaps: list[tuple[float, float]] = []  # began (seconds since the start), length (milliseconds)
        self.longest_gap = 0.0  # seconds between two answers, the start counting as one

    def sent(self, now: float) -> None:
        """One more echo left, or was refused by the kernel."""
        self.sent_at.append(now)
        self.answered.append(0)

    def answer(self, number: int, now: float) -> None:
        """The answer to echo `number` has come."""
        if number >= len(self.sent_at):
            return
        if self.answered[number]:
            self.duplicates += 1
            return
        self.answered[number] = 1
        self.received += 1
        self.rtts.append(now - self.sent_at[number])
        gap = now - self._last_answer_at
        self.longest_gap = max(self.longest_gap, gap)
        if gap > GAP and len(self.gaps) < GAPS_TOLD:
            self.gaps.append((round(self._last_answer_at - self.started_at, 3), round(1000 * gap, 3)))
        self._last_answer_at = now

    def waiting(self, since: float) -> int:
        """How many echoes sent after `since` have no answer."""
        count = 0
        for number in range(len(self.sent_at) - 1, -1, -1):
            if self.sent_at[number] < since:
                break
            count += not self.answered[number]
        return count

    def progress(self, now: float) -> dict[str, Any]:
        """The line of one interval; the gap still open counts."""
        fresh, self._interval_from = self.rtts[self._interval_from :], len(self.rtts)
        young = self.waiting(now - LATE)
        return {
            "seconds": round(now - self.started_at, 3),
            "sent": len(self.sent_at),
            "received": self.received,
            "lost_so_far": len(self.sent_at) - self.received - young,
            "duplicates": self.duplicates,
            "longest_gap_ms": round(1000 * max(self.longest_gap, now - self._last_answer_at), 3),
            "rtt_ms": quantiles(fresh, (50, 99)),
        }

    def final(self) -> dict[str, Any]:
        """The last line; a silence at the end counts until the last echo was sent."""
        ended_at = self.sent_at[-1] if self.sent_at else self.started_at
        return {
            "final": True,
            "sent": len(self.sent_at),
            "received": self.received,
            "lost": len(self.sent_at) - self.received,
            "duplicates": self.duplicates,
            "longest_gap_ms": round(1000 * max(self.longest_gap, ended_at - self._last_answer_at), 3),
            "rtt_ms": quantiles(self.rtts, (50, 95, 99)),
            "losses": self.losses(),
            "gaps": self.gaps,
            "started_at": self.started_at,
        }

    def losses(self) -> list[tuple[int, int, float]]:
        """Runs of lost echoes: first, last, and when the first was sent (seconds since the start)."""
        runs: list[tuple[int, int, float]] = []
        number = self.answered.find(0)
        while number >= 0 and len(runs) < LOSSES_TOLD:
            end = self.answered.find(1, number)
            last = (len(self.answered) if end < 0 else end) - 1
            runs.append((number, last, round(self.sent_at[number] - self.started_at, 3)))
            number = -1 if end < 0 else self.answered.find(0, end)
        return runs


def quantiles(values: list[float], percents: tuple[int, ...]) -> dict[str, float]:
    """Minimum, percentiles and maximum in milliseconds, from seconds; empty when there are none."""
    if not values:
        return {}
    ordered = sorted(values)
    told = {f"p{percent}": ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] for percent in percents}
    return {name: round(1000 * value, 3) for name, value in {"min": ordered[0], **told, "max": ordered[-1]}.items()}


class Echoes:
    """The raw socket: echo requests out, answers to our own in."""

    def __init__(self, host: str, size: int, source: str | None, device: str | None) -> None:
        family, *_, address = socket.getaddrinfo(host, None, type=socket.SOCK_RAW)[0]
        self._family, self._address = socket.AddressFamily(family), address
        protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
        self.socket = socket.socket(family, socket.SOCK_RAW, protocol)
        self.socket.setblocking(False)
        self._filter(protocol)
        if device:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if source:
            self.socket.bind((source, 0))
        self._identity, self._token = struct.unpack("!HI", os.urandom(6))
        self._padding = bytes(max(0, size - _STAMP.size))

    def send(self, number: int) -> None:
        """Send echo `number`; one the kernel refuses is simply a lost one."""
        stamp = _STAMP.pack(self._token, number, time.monotonic_ns())
        kind = _REQUEST[self._family]
        body = stamp + self._padding
        header = _ICMP.pack(kind, 0, 0, self._identity, number & 0xFFFF)
        if self._family == socket.AF_INET:  # in v6 the kernel does it, since it needs the source address
            header = _ICMP.pack(kind, 0, checksum(header + body), self._identity, number & 0xFFFF)
        with contextlib.suppress(OSError):
            self.socket.sendto(header + body, self._address)

    def receive(self) -> int | None:
        """The number of one answer; None when nothing is waiting. -1 is somebody else's."""
        try:
            packet = self.socket.recv(65_536)
        except BlockingIOError:
            return None
        except OSError:
            return -1  # an ICMP error that came for one of ours
        if self._family == socket.AF_INET:
            packet = packet[(packet[0] & 0xF) * 4 :]
        if len(packet) < _ICMP.size + _STAMP.size:
            return -1
        kind, _, _, identity, _ = _ICMP.unpack_from(packet)
        token, number, _ = _STAMP.unpack_from(packet, _ICMP.size)
        ours = kind == _REPLY[self._family] and identity == self._identity and token == self._token
        return int(number) if ours else -1

    def _filter(self, protocol: int) -> None:
        reply = _REPLY[self._family]
        if self._family == socket.AF_INET:
            self.socket.setsockopt(255, _ICMP_FILTER, struct.pack("@I", 0xFFFFFFFF & ~(1 << reply)))
            return
        blocked = [0xFFFFFFFF] * 8
        blocked[reply >> 5] &= ~(1 << (reply & 31))
        self.socket.setsockopt(protocol, _ICMP_FILTER, struct.pack("@8I", *blocked))


def checksum(packet: bytes) -> int:
    """The internet checksum. Source: RFC 1071."""
    if len(packet) % 2:
        packet += b"\0"
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Run:
    """One run of the program: the schedule of sending, telling and ending."""

    def __init__(self, options: argparse.Namespace, echoes: Echoes) -> None:
        self._options, self._echoes = options, echoes
        started_at = time.monotonic()
        self.tally = Tally(started_at)
        wanted = options.count if options.count is not None else int(options.seconds / options.interval + 0.5)
        self._wanted: int = wanted
        self._tell_at: float = started_at + options.every
        self._signals = 0

    def signalled(self) -> None:
        """First signal: send no more. Second: do not wait for answers either."""
        self._signals += 1
        self._wanted = len(self.tally.sent_at)

    def run(self) -> None:
        """Until every echo is sent and answered, or is older than the grace."""
        tally = self.tally
        while self._signals < 2:
            now = time.monotonic()
            sending = len(tally.sent_at) < self._wanted
            send_at = tally.started_at + len(tally.sent_at) * self._options.interval
            if sending and now >= send_at:
                tally.sent(now)
                self._echoes.send(len(tally.sent_at) - 1)
            if now >= self._tell_at:
                self._tell_at += self._options.every
                tell(tally.progress(now))
            if not sending:
                if not tally.waiting(now - self._options.grace):
                    return
                send_at = now + 0.05
            self._receive(min(send_at, self._tell_at))

    def _receive(self, until: float) -> None:
        # select() and not poll(): its timeout is in microseconds.
        try:
            ready, _, _ = select.select([self._echoes.socket], [], [], max(0.0, until - time.monotonic()))
        except InterruptedError:
            return
        while ready:
            number = self._echoes.receive()
            if number is None:
                return
            if number >= 0:
                self.tally.answer(number, time.monotonic())


def tell(line: dict[str, Any]) -> None:
    """Print one JSON line, at once."""
    print(json.dumps(line), flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ping", description="send ICMP echoes on a strict schedule")
    parser.add_argument("host")
    parser.add_argument("--interval", type=float, default=0.01, help="seconds between echoes")
    parser.add_argument("--count", type=int, help="echoes to send")
    parser.add_argument("--seconds", type=float, default=1e9, help="how long to send")
    parser.add_argument("--size", type=int, default=56, help="bytes after the ICMP header, at least 16")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between lines")
    parser.add_argument("--grace", type=float, default=3.0, help="seconds to wait for the last answers")
    parser.add_argument("--source", help="address to send from")
    parser.add_argument("--device", help="device to send through")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Exit code 0 when anything was answered, else 1."""
    options = _options(arguments)
    try:
        echoes = Echoes(options.host, options.size, options.source, options.device)
    except OSError as error:
        print(f"ping: {error}", file=sys.stderr)
        return 2
    run = Run(options, echoes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: run.signalled())
    run.run()
    tell(run.tally.final())
    return 0 if run.tally.received else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
