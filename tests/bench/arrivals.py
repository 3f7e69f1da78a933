"""
How long a tunnel keeps packets back to put them in order: when each left the wire, against when it came out.

The sequence and the lane of a datagram are readable on the wire (docs/protocol section 2), so that a capture of the
wires says when each packet could have been delivered. `python -m tests.bench.arrivals PORT FILE` receives the load of
lab/udpload and writes when each datagram came out.
"""

from __future__ import annotations

import json
import signal
import struct
import sys
import time
from collections import Counter
from pathlib import Path

from morphnet.lab.udpload import Receiver, Tally, tell
from morphnet.lab.vpn import last_line
from morphnet.wire.formats import COMPACT
from morphnet.wire.header import IP
from tests.lab.bonded import Bonded

_RECORD = struct.Struct("=IIII")
_FILE_HEADER, _UDP_AT = 24, 14 + 20
_DATA_PORT = 8000
_NUMBER = struct.Struct("!I")  # in a load's datagram, at 8


class Recorder(Tally):
    """Notes when each datagram came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[int, int]] = []  # number, monotonic nanoseconds

    def add(self, datagram: bytes, now_ns: int) -> None:
        """Note one datagram."""
        if datagram[:6] == b"mnul\x00\x00":
            self.came.append((_NUMBER.unpack_from(datagram, 8)[0], now_ns))
        super().add(datagram, now_ns)


def left_wire(capture: bytes) -> dict[tuple[int, int], int]:
    """When each (lane, sequence) from the server first arrived by one wire: Unix nanoseconds."""
    left: dict[tuple[int, int], int] = {}
    at = _FILE_HEADER
    while at + _RECORD.size <= len(capture):
        seconds, nanoseconds, size, _ = _RECORD.unpack_from(capture, at)
        frame = capture[at + _RECORD.size : at + _RECORD.size + size]
        at += _RECORD.size + size
        if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[_UDP_AT : _UDP_AT + 2] != _DATA_PORT.to_bytes(2):
            continue
        datagram = frame[_UDP_AT + 8 :]
        if len(datagram) > COMPACT.overhead and datagram[COMPACT.flags_at] >> 5 == IP:
            key = datagram[18], int.from_bytes(datagram[15:18])
            left.setdefault(key, seconds * 1_000_000_000 + nanoseconds)
    return left


def kept_back(tunnel: Bonded, seconds: float, rate: float) -> list[float]:
    """Seconds that each datagram of a load towards the client was kept between its wire and its receiver; sorted."""
    wires = [tunnel.box.wire(f"wan{number}") for number in range(tunnel.count)]
    files = [tunnel.box.dir / f"{wire.name}.pcap" for wire in wires]
    came_file = tunnel.box.dir / "came.json"
    receiving = tunnel.tool("client", "tests.bench.arrivals", "6100", str(came_file))
    assert receiving.stdout is not None
    receiving.stdout.readline()
    for wire, file in zip(wires, files, strict=True):
        wire.capture(str(file))
    words = ("6100", "--rate", str(rate), "--size", "1000", "--seconds", str(seconds))
    tunnel.tool("server", "morphnet.lab.udpload", "send", tunnel.inner_client, *words)
    last_line(receiving, seconds + 30)
    for wire in wires:
        wire.capture(None)
    return sorted(_matched([left_wire(file.read_bytes()) for file in files], json.loads(came_file.read_text())))


def _matched(wires: list[dict[tuple[int, int], int]], came: list[list[int]]) -> list[float]:
    clock_offset = time.time_ns() - time.monotonic_ns()
    lane = Counter(key[0] for wire in wires for key in wire).most_common(1)[0][0]
    left: dict[int, int] = {}
    for wire in wires:
        for (of_lane, sequence), at in wire.items():
            if of_lane == lane:
                left[sequence] = min(at, left.get(sequence, at))
    first = min(left)  # the load is the only traffic of its lane, and starts at number 0
    return [(at + clock_offset - left[first + number]) / 1e9 for number, at in came if first + number in left]


def main(arguments: list[str]) -> None:
    """Receive until the sender has ended."""
    receiver = Receiver("0.0.0.0", int(arguments[0]))
    recorder = receiver.tally = Recorder()
    signal.signal(signal.SIGTERM, lambda *_: setattr(receiver, "stopped", True))
    tell({"listening": receiver.port})
    receiver.run(3600)
    Path(arguments[1]).write_text(json.dumps(recorder.came))
    tell({"final": True, "received": recorder.received})


if __name__ == "__main__":
    main(sys.argv[1:])
