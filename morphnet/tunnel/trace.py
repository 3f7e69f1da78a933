"""One line of text per run of datagrams, for an operator who watches one session."""

from __future__ import annotations

from collections.abc import Mapping

from morphnet.tunnel.events import Effects
from morphnet.tunnel.session import Session
from morphnet.tunnel.wardrobe import Wardrobe
from morphnet.wire.batch import Arrival, Departure
from morphnet.wire.formats import Format
from morphnet.wire.header import CARRIED, CONTROL, HANDSHAKE, HEARTBEAT, IP, SHORT_ID, Header

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


def show(effects: Effects, shown: Mapping[bytes, tuple[Session, bytes]], wardrobe: Wardrobe) -> None:
    """
    Tell what is about to be sent to whoever traces its session, as it is without its clothes.

    :param shown: start of an issued id -> session, issued id.
    """
    for departure in effects.sends:
        entry = shown.get(bytes(departure.data[:SHORT_ID]))
        if entry is None:
            seen = memoryview(departure.data).toreadonly()  # or it would be undressed where it waits to be sent
            sent = Arrival(departure.door, departure.to, seen, departure.size)
            worn = wardrobe.undress(sent, 0, shown, ours=True)
            if worn is None:
                continue
            departure = departure._replace(data=worn[0].data, size=worn[0].size)
            entry = shown[bytes(departure.data[:SHORT_ID])]
        session, issued = entry
        if session.trace is not None:
            session.trace(departure_line(departure, session.format, issued, 1 - session.inward))
    wardrobe.forget()
