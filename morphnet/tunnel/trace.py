"""One line of text per run of datagrams, for an operator who watches one session."""

from __future__ import annotations

from morphnet.wire.batch import Departure
from morphnet.wire.formats import Format
from morphnet.wire.header import CARRIED, CONTROL, HANDSHAKE, HEARTBEAT, IP, Header

_KINDS = {IP: "ip", HEARTBEAT: "heartbeat", HANDSHAKE: "handshake", CONTROL: "control", CARRIED: "carried"}


def trace_line(mark: str, header: Header, count: int, size: int) -> str:
    """
    What an observer could see too: no addresses, no payload.

    :param mark: ">" for sent, "<" for received.
    :param size: bytes of all `count` datagrams.
    """
    order = f" lane {header.lane} sequence {header.sequence}" if header.type in (IP, CARRIED) else ""
    many = f" x{count}" if count > 1 else ""
    return (
        f"{mark} path {header.path} {_KINDS[header.type]}{many} number {header.number}"
        f" epoch {header.epoch}{order} {size} bytes"
    )


def departure_line(departure: Departure, format: Format, issued: bytes, direction: int) -> str:
    """The same for what is about to be sent, under that issued id (20 bytes)."""
    size = len(departure.data)
    header = format.unpack(departure.data, 0, min(departure.size, size), issued, direction)
    return trace_line(">", header, -(-size // departure.size), size)
