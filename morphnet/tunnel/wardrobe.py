"""
What datagrams may be dressed as when they come, and the way back to what they are.

Nothing here tells who sent something: a datagram that is ours once undressed has yet to prove that, as any other.

Source: docs/protocol section 2.1.
"""

from __future__ import annotations

from collections.abc import Container

from morphnet.wire.batch import MAX_SEGMENTS, Arrival
from morphnet.wire.shapes.shape import Reading, Shape


class Wardrobe:
    """Of one process."""

    def __init__(self) -> None:
        self.shapes: tuple[Shape, ...] = ()  # that what comes may wear, the likeliest first
        self._arrival: Arrival | None = None  # the one that was looked at last
        self._began = self._ends = 0  # the part of it
        self._readings: list[tuple[Shape, Reading]] = []

    def undress(self, arrival: Arrival, at: int, known: Container[bytes]) -> tuple[Arrival, int] | None:
        """
        What is at that offset, and what follows in the same clothes.

        Each datagram is looked at once for each shape, many together, however much of what came is not ours.

        :param known: ids of sessions.
        :returns: it as it was, and the offset behind it; None when it is nothing of ours.
        """
        if arrival.shape is not None or not self.shapes:
            return None
        size = arrival.size or len(arrival.data)
        if self._arrival is not arrival or not self._began <= at < self._ends:
            self._look(arrival, at, size)
        for shape, reading in self._readings:
            found = reading.undress(at - self._began, known)
            if found is not None:
                datagrams, each, end = found
                door, source, _, _, late, _ = arrival
                return Arrival(door, source, memoryview(datagrams), each, late, shape), self._began + end
        return None

    def _look(self, arrival: Arrival, at: int, size: int) -> None:
        self._arrival, self._began = arrival, at
        self._ends = min(at + size * MAX_SEGMENTS, len(arrival.data))
        data = arrival.data[at : self._ends] if at or self._ends < len(arrival.data) else arrival.data
        self._readings = [(shape, read) for shape in self.shapes if (read := shape.reading(data, size)) is not None]

    def forget(self) -> None:
        """What was looked at is handled: its memory is somebody else's now."""
        self._arrival, self._readings = None, []
