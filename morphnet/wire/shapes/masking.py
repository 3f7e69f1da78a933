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

from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.ip import View

BLOCK = 16  # bytes of a sample, and of what the cipher makes of it
MOST_FRONT, MOST_BLOCKS, MOST_PADDING = 64, 24, 255
MOST_DATAGRAM = 65535  # bytes


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
    places = range(front, count * size, size)
    rows = b"".join([bytes(data[at : at + BLOCK]) * blocks for at in places])
    numbers = b"".join([bytes(BLOCK - 1) + bytes((block,)) for block in range(blocks)]) * count
    return _xor(rows, numbers)


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
    said, rest = bytes((padding,)), bytes(width - head)
    places = range(0, len(data), size)
    rows = _xor(b"".join([b"".join((said, data[at : at + front], rest)) for at in places]), stream)
    heads = [rows[at : at + head] for at in range(0, len(rows), width)]
    ends = [rows[at : at + padding] for at in range(head, len(rows), width)]
    bodies = [data[at + front : at + size] for at in places]
    return b"".join(chain.from_iterable(zip(heads, bodies, ends, strict=True)))


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
    masked = b"".join([bytes(data[at : at + front]).ljust(width, b"\0") for at in range(0, total, size)])
    rows = _xor(masked, stream)
    padding, pieces = rows[0], list[bytes]()
    for step, at in enumerate(range(0, total, size)):
        end = min(at + size, total) - padding
        if rows[step * width] != padding or end - at < front + BLOCK:
            break
        pieces += rows[step * width + 1 : step * width + front], bytes(data[at + front : end])
    return (b"".join(pieces), size - 1 - padding) if pieces else None


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")
