"""
The loops over the datagrams of a run that is masked, in Python; `wire/c/masking.c` does the same where it was built.

Both give the same bytes for the same arguments; that one gives views of memory that it uses again when nobody has them
any more, and undresses where the datagrams are, if that can be written to. What an argument means is the same
everywhere:

- `data`, `size`: datagrams of `size` bytes one behind the other, the last may be shorter; 64 at most.
- `front`: bytes of each, from the first on, that are masked; behind them is the sample.
- `stream`: what the cipher made of the samples, as many blocks for each datagram.
- `before`: what stands in front of all that in each datagram, as it is but for the low five bits of its first byte.

Source: docs/protocol section 2.1; RFC 9001 section 5.4 for the idea.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from struct import Struct

from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.ip import View

BLOCK = 16  # bytes of a sample, and of what the cipher makes of it
MOST_FRONT, MOST_BLOCKS, MOST_PADDING, MOST_BEFORE = 64, 24, 255, 32
SHOWN_ID = 8  # bytes that every datagram starts with once it is undressed, and by which it is known
_SHORTS = bytes(range(0x40, 0x80))  # high bits 01
DRAWN = 0x1F  # bits of the first byte of `before` that are masked
MOST_DATAGRAM = 65535  # bytes
_NUMBERED = [bytes(byte ^ block for byte in range(256)) for block in range(MOST_BLOCKS)]


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
        found = list(_cutter(f"{front}x{BLOCK}s{size - front - BLOCK}x", count - 1).unpack_from(view))
        last = (count - 1) * size + front
        found.append(bytes(view[last : last + BLOCK]))
    many = found * blocks
    for block in range(blocks):
        many[block::blocks] = found
    rows = bytearray().join(many)
    for block in range(1, blocks):
        at = slice(block * BLOCK + BLOCK - 1, None, blocks * BLOCK)
        rows[at] = rows[at].translate(_NUMBERED[block])
    return bytes(rows)


def dress(data: View, size: int, front: int, stream: bytes, padding: int, before: bytes) -> bytes:
    """
    Each datagram behind a byte that says how much padding it has, both masked, and the padding behind it.

    :param padding: bytes, the same for all; they are the end of what is in the stream for a datagram.
    :raises ValueError: lengths that do not fit together.
    """
    count, shown = _count(data, size, front), len(before)
    width, head = len(stream) // count, shown + 1 + front
    if not 0 <= padding <= MOST_PADDING or shown > MOST_BEFORE:
        raise ValueError("more padding, or more before it, than there may be")
    if width * count != len(stream) or width < head + padding:
        raise ValueError("a stream of another length")
    if shown:
        stream = _and(stream, _kept(shown, width, count))
    parts = _cut(data, size, count, (front, 0))
    gap = bytes(width - head)
    between = b"".join((gap, before, bytes((padding,))))
    rows = _xor(b"".join((between[len(gap) :], between.join(parts[::2]), gap)), stream)
    # The padding of one and the head of the next are neighbours: one piece.
    step = width - padding
    pieces = _cutter(f"{padding + head}s{step - head}x", count - 1).unpack_from(rows, step)
    parts[::2] = [rows[:head], *pieces]
    parts.append(rows[len(rows) - padding :])
    return b"".join(parts)


def undress(
    data: View, size: int, at: int, stream: bytes, layout: tuple[int, int], known: Container[bytes]
) -> tuple[bytes, int, int] | None:
    """
    The datagrams as they were: all from the one at `at` on that have as much padding as that one.

    :param at: offset of the first.
    :param stream: for all of `data`.
    :param layout: bytes that are masked, the one that tells of the padding too; and before them, beginning with 01.
    :param known: what the first may start with, SHOWN_ID bytes. If the last starts so as it came, it is none of them.
    :returns: the datagrams, bytes of each but the last, and the offset behind what they came in; None when the first
        cannot be what was dressed.
    :raises ValueError: lengths that do not fit together.
    """
    front, before = layout
    if not 0 <= before <= MOST_BEFORE or not SHOWN_ID < front <= MOST_FRONT:
        raise ValueError("front and what is before it do not fit")
    count = _count(data, size, before + front)
    width = len(stream) // count
    if width * count != len(stream) or width < before + front:
        raise ValueError("a stream of another length")
    if not 0 <= at < count * size or at % size:
        raise ValueError("not the beginning of a datagram")
    mask, begins = at // size * width, before + 1
    covered, masks = data[at + begins : at + begins + SHOWN_ID], stream[mask + begins : mask + begins + SHOWN_ID]
    if _xor(bytes(covered), masks) not in known:
        return None
    end = len(data)
    if before and at + size < end:
        others = bytes(data[at + size : end : size]).lstrip(_SHORTS)
        end = end if not others else at + (-(-(end - at) // size) - len(others)) * size
    if (found := _bare(data[at:end], size, stream[mask : -(-end // size) * width], layout)) is None:
        return None
    datagrams, each = found
    end = min(at + -(-len(datagrams) // each) * size, end)
    last = (end - 1) // size * size
    if last > at and bytes(data[last : last + SHOWN_ID]) in known:  # its sender has just taken the mask off
        return datagrams[: (last - at) // size * each], each, last
    return datagrams, each, end


def _bare(data: View, size: int, stream: bytes, layout: tuple[int, int]) -> tuple[bytes, int] | None:
    """All from the first on that have as much padding as that one, and bytes of each but the last."""
    front, before = layout
    head, count = before + front, -(-len(data) // size)
    width = len(stream) // count
    padding = data[before] ^ stream[before]
    if min(size, len(data)) - padding < head + BLOCK:
        return None
    last = len(data) - (count - 1) * size
    if last - padding < head + BLOCK:
        count, data, stream = count - 1, data[: len(data) - last], stream[:-width]  # the last is too short
    parts, rest = _cut(data, size, count, (head, padding)), bytes(width - head)
    rows = _xor(rest.join(parts[::2]) + rest, stream)
    said = rows[before::width]
    if said.count(padding) < count:
        count = next(step for step, other in enumerate(said) if other != padding)
        del parts[2 * count :]
    parts[::2] = _cutter(f"{before + 1}x{front - 1}s{width - head}x", count).unpack_from(rows)
    return b"".join(parts), size - before - 1 - padding


def _cut(data: View, size: int, count: int, widths: tuple[int, int]) -> list[bytes]:
    """Of each datagram so many bytes, and the rest but for so many at its end, all in one row."""
    first, left = widths
    with memoryview(data) as view:
        parts = list(_cutter(f"{first}s{size - first - left}s{left}x", count - 1).unpack_from(view))
        last = (count - 1) * size
        parts.append(bytes(view[last : last + first]))
        parts.append(bytes(view[last + first : len(data) - left]))
    return parts


@lru_cache(maxsize=512)
def _cutter(each: str, count: int) -> Struct:
    return Struct(each * count)


@lru_cache(maxsize=512)
def _kept(shown: int, width: int, count: int) -> bytes:
    """What of the stream lies on something: not on what is shown as it is."""
    return (bytes((DRAWN, *bytes(shown - 1))) + b"\xff" * (width - shown)) * count


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(len(one), "little")


def _and(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") & int.from_bytes(other, "little")).to_bytes(len(one), "little")
