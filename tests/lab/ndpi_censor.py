"""
A censor who lets only what nDPI knows pass: `python -m tests.lab.ndpi_censor TABLE`, at a router.

He looks at a copy of what passes, hands the first packets of each flow to Debian's `ndpiReader`, and puts a flow that
it knows into a set of nftables; the rules drop what comes behind these packets of all others. Guesses by port or
address do not count, and neither do two that nDPI 4.2 makes of random bytes: RTP (of one masked flow in ten), and Skype
(of one in five hundred).

Source: `ndpiReader -h`; the set is `flows` in table inet TABLE.
"""

from __future__ import annotations

import csv
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

LOOKS_AT = 24  # packets of a flow, both ways: as many as `ndpiReader` does of UDP before it gives up
GUESSES = frozenset({"87", "125"})  # numbers of RTP, and of Skype
_IPV4, _TCP, _UDP = 0x0800, 6, 17
_TURN = 0.03  # seconds
_PCAP = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)  # bare IP packets
_RECORD = struct.Struct("=IIII")
End = tuple[str, int]
Flow = tuple[End, End]


def flow_of(packet: bytes) -> Flow | None:
    """Its two ends, in the order in which they come in a list; None if it is neither TCP nor UDP."""
    if packet[9] not in (_TCP, _UDP):
        return None
    source, target = struct.unpack_from("!HH", packet, 4 * (packet[0] & 15))
    ends = (socket.inet_ntoa(packet[12:16]), source), (socket.inet_ntoa(packet[16:20]), target)
    return min(ends), max(ends)


def known(packets: Iterable[tuple[float, bytes]], place: Path) -> set[Flow]:
    """Of flows with these packets, the ones whose protocol nDPI is sure of."""
    seen, told = place / "seen.pcap", place / "told.csv"
    records = (_RECORD.pack(int(at), int(at % 1 * 1e6), len(each), len(each)) + each for at, each in packets)
    seen.write_bytes(_PCAP + b"".join(records))
    told.unlink(missing_ok=True)
    subprocess.run(["ndpiReader", "-q", "-d", "-i", str(seen), "-C", str(told)], check=True, stdout=subprocess.DEVNULL)
    found = set()
    for row in csv.DictReader(told.open()) if told.exists() else ():
        if row["ndpi_proto_num"].split(".")[0] not in GUESSES:
            ends = (row["src_ip"], int(row["src_port"])), (row["dst_ip"], int(row["dst_port"]))
            found.add((min(ends), max(ends)))
    return found


class Censor:
    """What he has seen of flows, and which he lets pass."""

    def __init__(self, table: str, place: Path) -> None:
        """:param place: a directory for what he writes."""
        self._table, self._place = table, place
        self._seen: dict[Flow, list[tuple[float, bytes]]] = {}
        self._open: set[Flow] = set()  # those of which he has not made up his mind

    def saw(self, packet: bytes, at: float) -> None:
        """:param at: Unix seconds."""
        flow = flow_of(packet)
        if flow is None:
            return
        packets = self._seen.setdefault(flow, [])
        if len(packets) < LOOKS_AT:
            packets.append((at, packet))
            self._open.add(flow)

    def judge(self) -> None:
        """Let pass what is known by now."""
        if not self._open:
            return
        open_ones = sorted(each for flow in self._open for each in self._seen[flow])
        passes = known(open_ones, self._place) & self._open
        if passes:
            names = ", ".join(" . ".join(map(str, (*one, *other))) for one, other in passes)
            subprocess.run(["nft", f"add element inet {self._table} flows {{ {names} }}"], check=True)
        for flow in passes:
            self._seen[flow] = [(0.0, b"")] * LOOKS_AT
        self._open.clear()


def main(table: str) -> None:
    """Never ends by itself."""
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4)) as passing,
        tempfile.TemporaryDirectory() as place,
    ):
        censor = Censor(table, Path(place))
        print("ready", flush=True)
        while True:
            ends = time.monotonic() + _TURN
            while (left := ends - time.monotonic()) > 0 and select.select([passing], [], [], left)[0]:
                packet, sender = passing.recvfrom(65535)
                if sender[2] != socket.PACKET_OUTGOING:  # a router sees it come and go
                    censor.saw(packet, time.time())
            censor.judge()


if __name__ == "__main__":
    main(*sys.argv[1:])
