"""
What datagrams may be dressed as when they come, and the way back to what they are.

Nothing here tells who sent something: a datagram that is ours once undressed has yet to prove that, as any other.

Source: docs/protocol section 2.1.
"""

from __future__ import annotations

from collections.abc import Container

from morphnet.wire.batch import MAX_SEGMENTS, Arrival
from morphnet.wire.shapes.shape import Reading, Shape, Undressed


class Wardrobe:
    """Of one process."""

    def __init__(self) -> None:
        self.shapes: tuple[Shape, ...] = ()  # that what comes may wear
        self._likeliest: Shape | None = None  # what came last
        self._astray = False  # whether it was tried since, for what did not wear it
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
        if self._arrival is not arrival:
            first = self.shapes[0]
            if not at and first is self._likeliest and not self._astray and not ours:
                size = arrival.size or len(arrival.data)
                if (taken := first.take(arrival.data, size, known)) is not None:
                    return self._bare(arrival, taken[0], taken[1], size)
                self._astray = True
            self._look(arrival, at, ours)
        elif not self._began <= at < self._ends:
            self._look(arrival, at, ours)
        at -= self._began
        for place, shape in enumerate(self.shapes):
            if place == len(self._readings):
                self._readings.append(shape.reading(self._data, self._size, ours=ours))
            reading = self._readings[place]
            if reading is None or (found := reading.undress(at, known)) is None:
                continue
            self._likeliest, self._astray = shape, False
            bare, end = self._bare(arrival, found, reading.worn, self._size, at)
            return bare, self._began + end
        return None

    @staticmethod
    def _bare(arrival: Arrival, found: Undressed, worn: Shape, size: int, at: int = 0) -> tuple[Arrival, int]:
        data, each, end, gap = found
        more = gap or (size - each if len(data) > each else end - at - len(data))
        return Arrival(arrival.door, arrival.source, data, each, arrival.late, worn, more, gap), end

    def _look(self, arrival: Arrival, at: int, ours: bool) -> None:
        likely, data = self._likeliest, arrival.data
        if likely is not self.shapes[0] and likely in self.shapes:
            self.shapes = likely, *(shape for shape in self.shapes if shape is not likely)
        total = len(data)
        self._arrival, self._began, self._ends, self._size = arrival, at, total, arrival.size or total
        most = self._size * MAX_SEGMENTS
        if at or total > most:
            self._ends = min(at + most, total)
            data = data[at : self._ends]
        self._data, self._readings = data, [self.shapes[0].reading(data, self._size, ours=ours)]

    def forget(self) -> None:
        """What was looked at is handled: its memory is somebody else's now."""
        self._arrival, self._readings, self._data = None, [], memoryview(b"")
