"""UDP datagrams in a capture of a wire."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from morphnet.wire.header import SHORT_ID

_GLOBAL, _RECORD = 24, struct.Struct("=IIII")
_ETHERNET, _UDP = 14, 17
_LENGTH, _CUT = struct.Struct("!H"), 0x3FFF  # of an IPv4 header: "more fragments", and where this one begins


class Sighting(NamedTuple):
    """One UDP datagram on a wire."""

    at: float  # Unix seconds
    source: tuple[str, int]
    target: tuple[str, int]
    payload: bytes

    @property
    def client_id(self) -> bytes:
        """What it shows of its id, if it is one of ours: docs/protocol section 2."""
        return self.payload[:SHORT_ID]


class Packet(NamedTuple):
    """One IP packet on a wire."""

    size: int  # bytes, with its header
    fragment: bool  # IP has cut it


def sightings(path: Path) -> list[Sighting]:
    """All UDP datagrams of a pcap file (nanoseconds, Ethernet), in order; a record cut short at the end is left out."""
    return [seen for at, frame in _frames(path) if (seen := _udp(frame, at)) is not None]


def packets(path: Path) -> list[Packet]:
    """All IPv4 packets of such a file, in order."""
    found = [frame[_ETHERNET:] for _, frame in _frames(path) if frame[12:14] == b"\x08\x00"]
    sizes = ((_LENGTH.unpack_from(each, 2)[0], _LENGTH.unpack_from(each, 6)[0]) for each in found)
    return [Packet(size, bool(cut & _CUT)) for size, cut in sizes]


def _frames(path: Path) -> Iterator[tuple[float, bytes]]:
    data, at = path.read_bytes(), _GLOBAL
    while at + _RECORD.size <= len(data):
        seconds, nanoseconds, size, _ = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        frame = data[at : at + size]
        at += size
        if len(frame) == size:
            yield seconds + nanoseconds / 1e9, frame


def _udp(frame: bytes, at: float) -> Sighting | None:
    kind, packet = frame[12:14], frame[_ETHERNET:]
    if kind == b"\x08\x00" and packet[9] == _UDP:
        start, source, target = 4 * (packet[0] & 15), packet[12:16], packet[16:20]
    elif kind == b"\x86\xdd" and packet[6] == _UDP:
        start, source, target = 40, packet[8:24], packet[24:40]
    else:
        return None
    source_port, target_port, length = struct.unpack_from("!HHH", packet, start)
    ends = (str(ipaddress.ip_address(source)), source_port), (str(ipaddress.ip_address(target)), target_port)
    return Sighting(at, *ends, packet[start + 8 : start + length])
