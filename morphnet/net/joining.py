"""
Departures that follow each other to one place, as one: packets of many flows, one or two of each, are then not a system
call each, but one for up to 64 of them, and one for who receives them as well where the way keeps them together.

Source: udp(7), UDP_SEGMENT; docs/performance, "Small packets of many flows".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from morphnet.wire.batch import MAX_BATCH, MAX_SEGMENTS, Departure


def joined(departures: Iterable[Departure]) -> Iterator[Departure]:
    """
    The same datagrams in the same order, in as few departures as one send each allows.

    Datagrams of one send are of one size; the last may be shorter, and nothing follows it.
    """
    parts: list[Departure] = []
    size = total = 0
    for departure in departures:
        length = len(departure.data)
        alike = departure.size == size or length <= departure.size < size  # more of one size; or one, and shorter
        fits = parts and alike and not total % size
        if not fits or total + length > min(MAX_BATCH, size * MAX_SEGMENTS) or departure.to != parts[0].to:
            if parts:
                yield _one(parts)
            parts, size, total = [], departure.size, 0
        parts.append(departure)
        total += length
    if parts:
        yield _one(parts)


def _one(parts: list[Departure]) -> Departure:
    return parts[0] if len(parts) == 1 else parts[0]._replace(data=b"".join([part.data for part in parts]))
