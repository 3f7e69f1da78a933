"""
The loops over the datagrams of a run that is masked, in Python; `wire/c/masking.c` does the same where it was built.

Both give the same bytes for the same arguments. What an argument means is the same everywhere:

- `data`, `size`: datagrams of `size` bytes one behind the other, the last may be shorter; 64 at most.
- `front`: bytes of each, from the first on, that are masked; behind them is the sample.
- `stream`: what the cipher made of the samples, as many blocks for each datagram.

Source: docs/protocol section 2.1; RFC 9001 section 5.4 for the idea.
"""

from __future__ import annotations

from itertools import chain
from struct import iter_unpack, unpack

from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.ip import View

BLOCK = 16  # bytes of a sample, and of what the cipher makes of it
MOST_FRONT, MOST_BLOCKS, MOST_PADDING = 64, 24, 255
MOST_DATAGRAM = 65535  # bytes
_NUMBERS = [bytes((*bytes(BLOCK - 1), block)) for block in range(MOST_BLOCKS)]


def _count(data: View, size: int, front: int) -> int:
    """
    How many datagrams there are.

    :raises ValueError: more than a run holds, or one that has no sample.
    """
    total = len(data)
    if not 1 <= front <= MOST_FRONT or not front + BLOCK <= size <= MOST_DATAGRAM:
        raise ValueError("front and size do not fit together")
    count = -(-total // size)
    if not 1 <= count <= MAX_SEGMENTS or total - (count - 1) * size < front + BLOCK:
        raise ValueError("no run")
    return count


def samples(data: View, size: int, front: int, blocks: int) -> bytes:
    """
    What the cipher is given: the sample of each datagram `blocks` times, the last byte of each XOR its number.

    :raises ValueError: lengths that do not fit together.
    """
    count = _count(data, size, front)
    if not 1 <= blocks <= MOST_BLOCKS:
        raise ValueError("more blocks than a mask has")
    with memoryview(data) as view:
        whole = len(data) // size * size
        found = [sample * blocks for (sample,) in iter_unpack(f"{front}x{BLOCK}s{size - front - BLOCK}x", view[:whole])]
        if whole < len(data):
            found.append(bytes(view[whole + front : whole + front + BLOCK]) * blocks)
    rows = b"".join(found)
    return _xor(rows, b"".join(_NUMBERS[:blocks]) * count)


def dress(data: View, size: int, front: int, stream: bytes, padding: int) -> bytes:
    """
    Each datagram behind a byte that says how much padding it has, both masked, and the padding behind it.

    :param padding: bytes, the same for all; they are what follows the mask in the stream.
    :raises ValueError: lengths that do not fit together.
    """
    count = _count(data, size, front)
    width, head = len(stream) // count, front + 1
    if not 0 <= padding <= MOST_PADDING or width * count != len(stream) or width < head + padding:
        raise ValueError("a stream of another length")
    between = bytes(width - head) + bytes((padding,))
    pieces = _cut(data, size, (front, 0))
    fronts = between.join([piece[0] for piece in pieces])
    rows = _xor(b"".join((between[-1:], fronts, between[:-1])), stream)
    heads, ends, _ = zip(*_cut(rows, width, (head, padding)), strict=True)
    return b"".join(chain.from_iterable(zip(heads, [piece[2] for piece in pieces], ends, strict=True)))


def undress(data: View, size: int, front: int, stream: bytes) -> tuple[bytes, int] | None:
    """
    The datagrams as they were: all from the first on that have as much padding as that one.

    :param front: bytes that are masked, with the byte that tells of the padding.
    :returns: the datagrams, and bytes of each but the last; None when the first cannot be what was dressed.
    :raises ValueError: lengths that do not fit together.
    """
    count = _count(data, size, front)
    width, total = len(stream) // count, len(data)
    if width * count != len(stream) or width < front or front < 2:
        raise ValueError("a stream of another length")
    pieces, rest = _cut(data, size, (front, 0)), bytes(width - front)
    rows = _xor(rest.join([piece[0] for piece in pieces]) + rest, stream)
    padding, said, good = rows[0], rows[::width], count
    if said.count(padding) < count:
        good = next(step for step, other in enumerate(said) if other != padding)
    if min(size, total - (good - 1) * size) - padding < front + BLOCK:
        good -= 1  # the last is too short
    if good < 1 or size - padding < front + BLOCK:
        return None
    heads = [row[1] for row in _cut(rows, width, (1, front - 1))[:good]]
    bodies = [piece[2] for piece in pieces[:good]]
    if padding:
        bodies = [body[:-padding] for body in bodies]
    return b"".join(chain.from_iterable(zip(heads, bodies, strict=True))), size - 1 - padding


def _cut(data: View, size: int, widths: tuple[int, int]) -> list[tuple[bytes, bytes, bytes]]:
    """Each datagram in three: so many bytes, so many, and the rest."""
    first, second = widths
    whole, cut = len(data) // size * size, f"{first}s{second}s"
    with memoryview(data) as view:
        found: list[tuple[bytes, bytes, bytes]] = list(iter_unpack(f"{cut}{size - first - second}s", view[:whole]))
        if whole < len(data):
            found.append(unpack(f"{cut}{len(data) - whole - first - second}s", view[whole:]))
    return found


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")
