"""UDP datagrams in a capture of a wire."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path
from typing import NamedTuple

from morphnet.wire.header import SHORT_ID

_GLOBAL, _RECORD = 24, struct.Struct("=IIII")
_ETHERNET, _UDP = 14, 17


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


def sightings(path: Path) -> list[Sighting]:
    """All UDP datagrams of a pcap file (nanoseconds, Ethernet), in order; a record cut short at the end is left out."""
    data, at, found = path.read_bytes(), _GLOBAL, []
    while at + _RECORD.size <= len(data):
        seconds, nanoseconds, size, _ = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        frame = data[at : at + size]
        at += size
        if len(frame) == size and (seen := _udp(frame, seconds + nanoseconds / 1e9)) is not None:
            found.append(seen)
    return found


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
