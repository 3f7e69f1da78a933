"""
Datagrams of many flows, one behind the other, that are opened in one call: where hardly two packets in a row are of one
flow, what is paid for a run is paid for all of them.

A row is datagrams of one path and key whose numbers count up. Each is a whole packet, or one of the slices of a super
packet that is in the row with all of them. Here is how a row is seen; the work that `wire/c` does where it could be
built, with the same answers.

Source: docs/protocol section 2; docs/performance, "Small packets of many flows".
"""

from __future__ import annotations

from collections.abc import Iterator

from morphnet.wire.batch import MAX_SEGMENTS
from morphnet.wire.header import FRAGMENT, LAST, PARTIAL, SEGMENT, TAG
from morphnet.wire.ip import View

RowLayout = tuple[int, int, int, int, int, int, int]
"""
Bytes of a header, and how many of them are additional data; the offsets of the number (u32), of the flags, of the
sequence (u24), of the lane (u8) and of the place (six bits above two of compression).
"""

Unit = tuple[tuple[bytearray, bytes] | None, int, int, int]
"""
A packet as a TUN takes it with its source address (None: it is none), the lane, the sequence of the first datagram, and
how many datagrams it was.
"""

_OWN = SEGMENT | LAST | PARTIAL  # flags that each may have of its own
_PLACE, _COMPRESSED = 2, 3
_MOST = 2 * 65535  # bytes


def count_row(row: RowLayout, data: View, size: int, gap: int, most: int) -> int:
    """
    How many datagrams of `data`, of `size` bytes but the last, are a row, 0 or more.

    :param gap: bytes at the end of each but the last that are no part of it.
    :param most: of them.
    :raises ValueError: lengths that do not fit together.
    """
    header, _, number, flags_at, sequence, lane, place = row
    total = len(data)
    if not 0 <= gap <= size - header - TAG or size > 65535 or not header + TAG <= total <= _MOST:
        raise ValueError("layout and size do not fit together")
    first = bytes(data[:header])
    begins = int.from_bytes(first[number : number + 4], "big")
    count = 0
    while count < min(most, MAX_SEGMENTS) and total - count * size >= header + TAG:
        expected, here = bytearray(first), bytes(data[count * size : count * size + header])
        expected[number : number + 4] = (begins + count & 0xFFFFFFFF).to_bytes(4, "big")
        expected[sequence : sequence + 3] = here[sequence : sequence + 3]
        expected[lane], expected[place] = here[lane], here[place]
        expected[flags_at] = expected[flags_at] & ~_OWN | here[flags_at] & _OWN
        if expected != here or here[flags_at] & FRAGMENT or here[place] & _COMPRESSED:
            break
        count += 1
    return sum(many for _, many, _, _, _ in units(row, data, size, count))


def units(row: RowLayout, data: View, size: int, count: int) -> Iterator[tuple[int, int, int, int, int]]:
    """
    The packets among the first `count` datagrams, as far as each is all there: the first datagram of each, how many
    they are, lane, sequence and flags.
    """
    header, _, _, flags_at, sequence_at, lane_at, place_at = row
    heads = [bytes(data[at : at + header]) for at in range(0, count * size, size)]
    sequences = [int.from_bytes(each[sequence_at : sequence_at + 3], "big") for each in heads]
    start = 0
    while start < count:
        many, first = 1, heads[start]
        if first[flags_at] & SEGMENT:
            many = 0
            for step, each in enumerate(heads[start:]):
                goes_on = each[flags_at] & SEGMENT and each[lane_at] == first[lane_at]
                follows = sequences[start + step] == (sequences[start] + step) & 0xFFFFFF
                if not goes_on or not follows or each[place_at] >> _PLACE != step:
                    break
                if each[flags_at] & LAST:
                    many = step + 1
                    break
        if not many:
            return
        yield start, many, first[lane_at], sequences[start], first[flags_at]
        start += many
