"""
Plaintexts too large for a path travel in pieces; each is sealed, and all carry the sequence of the whole.

Source: docs/protocol section 4.
"""

from __future__ import annotations

from collections import OrderedDict

from morphnet.errors import MalformedFrame

MAX_PIECES = 15
MAX_PENDING = 256  # plaintexts under assembly, per session
MAX_BYTES = 1 << 20  # of pieces under assembly, per session
PATIENCE = 1.0  # seconds that the first piece waits for the others


def cut_fragments(plaintext: bytes, room: int) -> list[bytes]:
    """
    `plaintext` in pieces of at most `room` bytes, about equally long; each starts with its place and their number.

    :raises MalformedFrame: it would take more than MAX_PIECES.
    """
    count = -(-len(plaintext) // (room - 1))
    if count > MAX_PIECES:
        raise MalformedFrame(f"{len(plaintext)} bytes in {count} pieces")
    size = -(-len(plaintext) // count)
    return [bytes((place << 4 | count,)) + plaintext[place * size : (place + 1) * size] for place in range(count)]


class _Heap:
    """The pieces of one plaintext that have come so far."""

    __slots__ = ("at", "bytes", "pieces")

    def __init__(self, at: float) -> None:
        self.at, self.bytes, self.pieces = at, 0, dict[int, bytes]()


class Assembly:
    """Pieces that wait for the rest of their plaintext."""

    def __init__(self) -> None:
        # by lane, sequence and number of pieces: paths of different width cut the same plaintext differently
        self._pending: OrderedDict[tuple[int, int, int], _Heap] = OrderedDict()
        self.bytes = 0  # held now
        self.abandoned = 0  # plaintexts given up, ever

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, lane: int, sequence: int, piece: bytes, now: float) -> bytes | None:
        """
        Fold in one piece.

        :returns: the whole plaintext when this was the last one missing.
        :raises MalformedFrame: a place or number that makes no sense.
        """
        place, count = (piece[0] >> 4, piece[0] & 15) if piece else (0, 0)
        if not 2 <= count <= MAX_PIECES or place >= count:
            raise MalformedFrame("fragment that makes no sense")
        self._make_room(len(piece), now)
        at = lane, sequence, count
        heap = self._pending.get(at)
        if heap is None:
            heap = self._pending[at] = _Heap(now)
        if place not in heap.pieces:
            heap.pieces[place] = piece[1:]
            heap.bytes += len(piece)
            self.bytes += len(piece)
        if len(heap.pieces) < count:
            return None
        del self._pending[at]
        self.bytes -= heap.bytes
        return b"".join(heap.pieces[i] for i in range(count))

    def _make_room(self, size: int, now: float) -> None:
        """Give up the oldest: those that waited too long, and those that `size` more bytes leave no room for."""
        while self._pending:
            oldest = next(iter(self._pending.values()))
            crowded = len(self._pending) >= MAX_PENDING or self.bytes + size > MAX_BYTES
            if not crowded and now - oldest.at <= PATIENCE:
                return
            self._pending.popitem(last=False)
            self.bytes -= oldest.bytes
            self.abandoned += 1
