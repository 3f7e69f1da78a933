"""
The loops over the datagrams of a run that is masked, in Python; `wire/c/masking.c` does the same where it was built.

Both give the same bytes for the same arguments; that one gives views of memory that it uses again when nobody has them
any more. Both undress where the datagrams are, if that can be written to. What an argument means is the same
everywhere:

- `data`, `size`: datagrams of `size` bytes one behind the other, the last may be shorter; 64 at most.
- `front`: bytes of each, from the first on, that are masked; behind them is the sample.
- `stream`: what the cipher made of the samples, as many blocks for each datagram.
- `before`: what stands in front of all that in each datagram, as it is but for the low five bits of its first byte.

Source: docs/protocol section 2.1; RFC 9001 section 5.4 for the idea.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from functools import lru_cache
from struct import Struct

from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.ip import View
from morphnet.wire.shapes.shape import Stream, Undressed

BLOCK = 16  # bytes of a sample, and of what the cipher makes of it
MOST_FRONT, MOST_BLOCKS, MOST_PADDING, MOST_BEFORE = 64, 24, 255, 32
SHOWN_ID = 8  # bytes that every datagram starts with once it is undressed, and by which it is known
_SHORTS = bytes(range(0x40, 0x80))  # high bits 01
_NUMBERED = [bytes(byte ^ block for byte in range(256)) for block in range(MOST_BLOCKS)]  # tables of bytes.translate
DRAWN = 0x1F  # bits of the first byte of `before` that are masked
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
    return spread(_column(data, size, (front, BLOCK), count), blocks)


def spread(found: Sequence[bytes], blocks: int) -> bytes:
    """The same of samples that are cut out."""
    many = list(found) * blocks
    for block in range(blocks):
        many[block::blocks] = found
    out, width = bytearray().join(many), BLOCK * blocks
    for block in range(1, blocks):
        last = BLOCK * block + BLOCK - 1
        out[last::width] = out[last::width].translate(_NUMBERED[block])
    return bytes(out)


def dress(data: View, size: int, front: int, stream: bytes, padding: int, before: bytes) -> bytes:
    """
    Each datagram behind a byte that says how much padding it has, both masked, and the padding behind it.

    :param padding: bytes, the same for all; they are the end of what is in the stream for a datagram.
    :raises ValueError: lengths that do not fit together.
    """
    count, shown = _count(data, size, front), len(before)
    width = len(stream) // count
    if not 0 <= padding <= MOST_PADDING or shown > MOST_BEFORE:
        raise ValueError("more padding, or more before it, than there may be")
    if width * count != len(stream) or width < shown + 1 + front + padding:
        raise ValueError("a stream of another length")
    parts = _cut(data, size, count, (front, 0))
    pieces = clothes(parts[::2], stream, padding, before)
    parts[::2], ending = pieces
    parts.append(ending)
    return b"".join(parts)


def clothes(heads: Sequence[bytes], stream: bytes, padding: int, before: bytes) -> tuple[list[bytes], bytes]:
    """
    What is put in front of the rest of each datagram, and behind the last.

    :param heads: what is masked of each, of equal length.
    """
    count, shown = len(heads), len(before)
    width, head = len(stream) // count, shown + 1 + len(heads[0])
    masks = int.from_bytes(stream, "little")
    if shown:
        masks &= _kept(shown, width, count)
    gap = bytes(width - head)
    between = b"".join((gap, before, bytes((padding,))))
    bare = b"".join((between[len(gap) :], between.join(heads), gap))
    rows = (int.from_bytes(bare, "little") ^ masks).to_bytes(len(bare), "little")
    # The padding of one and the head of the next are neighbours: one piece.
    step = width - padding
    pieces = _cutter(0, padding + head, step - head, count - 1).unpack_from(rows, step) if count > 1 else ()
    return [rows[:head], *pieces], rows[len(rows) - padding :]


def undress(
    data: View, size: int, at: int, stream: bytes, layout: tuple[int, int], known: Container[bytes]
) -> Undressed | None:
    """
    The datagrams as they were: all from the one at `at` on that have as much padding as that one.

    :param at: offset of the first.
    :param stream: for all of `data`.
    :param layout: bytes that are masked, the one that tells of the padding too; and before them, beginning with 01.
    :param known: what the first may start with, SHOWN_ID bytes. If the last starts so as it came, it is none of them.
    :returns: the datagrams, bytes from one to the next, the offset behind what they came in, and how many bytes at the
        end of each but the last are no part of it; None when the first cannot be what was dressed.
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
    return _undress(data, (at, size), stream, (front, before, width), known)


def take(
    data: View, size: int, cipher: Stream, layout: tuple[int, int, int], known: Container[bytes]
) -> Undressed | None:
    """
    The first of what came, and those that were dressed with it: samples, stream and `undress` in one.

    :param layout: as there, and the least bytes that a datagram has; a shorter one at the end is none.
    :raises ValueError: lengths that do not fit together.
    """
    front, before, least = layout
    if not 0 <= before <= MOST_BEFORE or not SHOWN_ID < front <= MOST_FRONT:
        raise ValueError("front and what is before it do not fit")
    if least < before + front + BLOCK or size > MOST_DATAGRAM:
        raise ValueError("front and what is before it do not fit")
    total = len(data)
    over = total % size if size >= least else 0
    if 0 < over < least:
        total -= over
        data = data[:total]
    if size < least or not least <= total <= size * MAX_SEGMENTS:
        return None
    masked = before + front
    count, blocks = _count(data, size, masked), -(-masked // BLOCK)
    cut = _pairs(masked, BLOCK, size - masked - BLOCK, count).unpack_from(data)
    heads = cut[::2]
    stream = cipher(spread(cut[1::2], blocks))
    if len(stream) != count * blocks * BLOCK:
        raise ValueError("a stream of another length")
    return _undress(data, (0, size), stream, (front, before, blocks * BLOCK), known, heads)


def _undress(
    data: View,
    where: tuple[int, int],
    stream: bytes,
    layout: tuple[int, int, int],
    known: Container[bytes],
    heads: Sequence[bytes] = (),
) -> Undressed | None:
    """
    :param where: offset of the first, and bytes of each but the last.
    :param layout: bytes that are masked, those before them, and of the stream for each.
    :param heads: of each from that offset on what is masked and before it, where somebody has cut that out.
    """
    (at, size), (front, before, width) = where, layout
    part, mask, begins = data[at:] if at else data, at // size * width, before + 1
    id_ends = begins + SHOWN_ID
    if _xor((heads[0] if heads else part)[begins:id_ends], stream[mask + begins : mask + id_ends]) not in known:
        return None
    count, gap = -(-len(part) // size), bytes(width - before - front)
    heads = heads or _column(part, size, (0, before + front), count)
    rows = gap.join(heads) + gap
    if before and (others := rows[width::width].lstrip(_SHORTS)):
        count -= len(others)
        part, rows = part[: count * size], rows[: count * width]
    rows = _xor(rows, stream[mask : mask + count * width])
    padding, count = _alike(rows[before::width], len(part), size, before + front + BLOCK)
    if not count:
        return None
    end = at + min(count * size, len(part))
    last = at + (count - 1) * size
    if count > 1 and heads[count - 1][:SHOWN_ID] in known:  # its sender has just taken the mask off
        count, end = count - 1, last
    pieces = _cutter(begins, front - 1, len(gap), count).unpack_from(rows)
    if isinstance(part, memoryview) and not part.readonly:  # nothing moves
        deque(map(part.__setitem__, _places(begins, front - 1, size, count), pieces), maxlen=0)
        found = part[begins : end - at - padding]
        return (found, size, end, begins + padding) if count > 1 else (found, len(found), end, 0)
    parts = _cut(part[: end - at], size, count, (before + front, padding))
    parts[::2] = pieces
    return memoryview(b"".join(parts)), size - begins - padding, end, 0


def _alike(said: bytes, total: int, size: int, least: int) -> tuple[int, int]:
    """
    How much padding the first one has, and how many have as much, with room for it.

    :param said: for each how much it has.
    :param least: bytes of the least besides.
    """
    padding, count = said[0], len(said)
    if total - (count - 1) * size - padding < least:
        count -= 1  # the last is too short
    if not count or size - padding < least:
        return padding, 0
    if said.count(padding, 0, count) < count:
        count = next(step for step, other in enumerate(said) if other != padding)
    return padding, count


@lru_cache(maxsize=128)
def _places(first: int, length: int, step: int, count: int) -> list[slice]:
    """So many pieces of that length."""
    return [slice(at, at + length) for at in range(first, first + count * step, step)]


def _column(data: View, size: int, where: tuple[int, int], count: int) -> tuple[bytes, ...]:
    """The same bytes of each datagram, from an offset on so many."""
    at, length = where
    return _cutter(at, length, size - at - length, count).unpack_from(data)


def _cut(data: View, size: int, count: int, widths: tuple[int, int]) -> list[bytes]:
    """Of each datagram so many bytes, and the rest but for so many at its end, all in one row."""
    first, left = widths
    with memoryview(data) as view:
        parts = list(_pairs(first, size - first - left, left, count - 1).unpack_from(view)) if count > 1 else []
        last = (count - 1) * size
        parts.append(bytes(view[last : last + first]))
        parts.append(bytes(view[last + first : len(data) - left]))
    return parts


@lru_cache(maxsize=512)
def _cutter(before: int, length: int, behind: int, count: int) -> Struct:
    """Cuts out of each so many bytes, between others; what is behind the last does not matter."""
    return Struct(f"{before}x{length}s{behind}x" * (count - 1) + f"{before}x{length}s")


@lru_cache(maxsize=512)
def _pairs(one: int, other: int, behind: int, count: int) -> Struct:
    """Cuts each into two parts, and leaves what is behind them; the same of the last."""
    return Struct(f"{one}s{other}s{behind}x" * (count - 1) + f"{one}s{other}s")


@lru_cache(maxsize=512)
def _kept(shown: int, width: int, count: int) -> int:
    """What of the stream lies on something: not on what is shown as it is."""
    return int.from_bytes((bytes((DRAWN, *bytes(shown - 1))) + b"\xff" * (width - shown)) * count, "little")


def _xor(one: View, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(len(one), "little")
