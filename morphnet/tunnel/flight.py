"""What one send put on a path, until all of it is acknowledged."""

from __future__ import annotations

from morphnet.wire.segments import Run


class Flight:
    """Consecutive datagrams sent at one moment and not yet all acknowledged."""

    __slots__ = (
        "again", "alone", "at", "born", "calm", "count", "first", "missing", "overtaken", "run", "size", "start",
    )  # fmt: skip

    def __init__(self, first: int, count: int, size: int, at: float) -> None:
        self.first = first  # packet number of the first
        self.count = count
        self.size = size  # bytes of one datagram, the last may be shorter
        self.at = at  # seconds
        self.born = at  # seconds: when what it carries was sent for the first time
        self.again = 0  # times that what it carries was sent before
        self.missing = (1 << count) - 1  # bit i: datagram i is not acknowledged
        self.overtaken = False  # it was given up since something later had arrived
        self.run: Run | None = None  # what it carried, None for frames
        self.start = 0  # number of the first slice in `run`
        self.calm = False  # there was no queue of our making in front of it
        self.alone = False  # where every path carries copies: no other path may have one of this

    @property
    def outstanding(self) -> int:
        """Bytes that are not acknowledged."""
        return self.missing.bit_count() * self.size
