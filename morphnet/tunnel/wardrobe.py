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
        self.shapes: tuple[Shape, ...] = ()  # that what comes may wear
        self._likeliest: Shape | None = None  # what came last
        self._arrival: Arrival | None = None  # the one that was looked at last
        self._began = self._ends = 0  # the part of it
        self._readings: list[Reading | None] = []  # of the first of them, as far as they were needed
        self._data, self._size = memoryview(b""), 0

    def undress(
        self, arrival: Arrival, at: int, known: Container[bytes], *, ours: bool = False
    ) -> tuple[Arrival, int] | None:
        """
        What is at that offset, and what follows in the same clothes.

        Each datagram is looked at once for each shape, many together, however much of what came is not ours.

        :param known: ids of sessions.
        :param ours: it did not come: we have sent it.
        :returns: it as it was, and the offset behind it; None when it is nothing of ours.
        """
        if arrival.shape is not None or not self.shapes:
            return None
        size = arrival.size or len(arrival.data)
        if self._arrival is not arrival or not self._began <= at < self._ends:
            self._look(arrival, at, size)
        for place, shape in enumerate(self.shapes):
            if place == len(self._readings):
                self._readings.append(shape.reading(self._data, self._size, ours=ours))
            reading = self._readings[place]
            found = reading.undress(at - self._began, known) if reading is not None else None
            if found is not None and reading is not None:
                datagrams, each, end = found
                self._likeliest = shape
                door, source, _, _, late, _, _ = arrival
                more = size - each if len(datagrams) > each else end - (at - self._began) - len(datagrams)
                return Arrival(door, source, memoryview(datagrams), each, late, reading.worn, more), self._began + end
        return None

    def _look(self, arrival: Arrival, at: int, size: int) -> None:
        first = self._likeliest
        if first is not self.shapes[0] and first in self.shapes:
            self.shapes = first, *(shape for shape in self.shapes if shape is not first)
        self._arrival, self._began, self._size, self._readings = arrival, at, size, []
        self._ends = min(at + size * MAX_SEGMENTS, len(arrival.data))
        self._data = arrival.data[at : self._ends] if at or self._ends < len(arrival.data) else arrival.data

    def forget(self) -> None:
        """What was looked at is handled: its memory is somebody else's now."""
        self._arrival, self._readings, self._data = None, [], memoryview(b"")
