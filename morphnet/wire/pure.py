"""
The loops over the datagrams of a run, in Python: the work that `wire/c` does where it could be built.

Both give the same bytes for the same arguments. What an argument means is the same everywhere:

- `fields`: which parts of a header count up from one datagram to the next: (offset, width, step), one byte each, one
  behind the other, in order. Fields are big-endian and wrap at their width.
- `first`, `ending`: the header of the first datagram, and the one that the last has instead before it is counted up.
- `aad`: how many bytes of the header are additional data.
- `nonce`: 12 bytes, of the first; the last 8 count up by one.
- `size`, `gap`: bytes from one datagram to the next, and how many at the end of each but the last are no part of it.

Source: docs/protocol section 2. On CPython 3.11 one encryption of 1400 bytes takes 0.8 microseconds, 0.6 of them to get
into the library and out; all else together takes 0.4 a datagram.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import chain, repeat
from operator import itemgetter
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from morphnet.errors import Forged, MalformedFrame
from morphnet.wire.batch import MAX_SEGMENTS, VNET_HDR
from morphnet.wire.header import SEGMENT
from morphnet.wire.ip import View, peek
from morphnet.wire.offload import finish, headers_of_slice, single
from morphnet.wire.rows import RowLayout, Unit, count_row, units
from morphnet.wire.shapes.masking import BLOCK, MOST_BEFORE, MOST_PADDING, clothes, spread
from morphnet.wire.shapes.shape import Coat

TAG, NONCE = 16, 12  # bytes
MOST_HEADER, MOST_PLAINTEXT = 64, 65535  # bytes
NUMBER = bytes((4, 8, 1))  # what counts up in a nonce

_SAMPLE: Callable[[bytes], bytes] = itemgetter(slice(BLOCK))
_BIG: Literal["big"] = "big"

Front = tuple[bytes, bytes, bytes, int]  # fields, first, ending, aad
Form = tuple[int, int]  # bytes of a header, and how many of them are additional data
Layout = tuple[bytes, int, int, int, int, int]
"""fields, bytes of a header, the offsets of its flags and of its length (u16; -1: it has none), aad, the last's flag"""


def counted(header: bytes, fields: bytes, count: int) -> list[bytes]:
    """`header`, and the `count` - 1 that follow it."""
    size, bits = len(header), 8 * len(header)
    value, step, wraps = int.from_bytes(header, "big"), 0, False
    for at in range(0, len(fields), 3):
        offset, width, each = fields[at], fields[at + 1], fields[at + 2]
        step += each << (bits - 8 * (offset + width))
        wraps = wraps or int.from_bytes(header[offset : offset + width], "big") + each * count >> 8 * width > 0
    if wraps:
        return [counted_one(header, fields, steps) for steps in range(count)]
    if not step:
        return [header] * count
    return list(map(int.to_bytes, range(value, value + step * count, step), repeat(size), repeat(_BIG)))


def counted_one(header: bytes, fields: bytes, steps: int) -> bytes:
    """`header`, counted up by `steps`."""
    out = bytearray(header)
    for at in range(0, len(fields), 3):
        offset, width, each = fields[at], fields[at + 1], fields[at + 2]
        place = slice(offset, offset + width)
        out[place] = ((int.from_bytes(out[place], "big") + each * steps) % (1 << 8 * width)).to_bytes(width, "big")
    return bytes(out)


def _fitting(fields: bytes, header: int) -> bool:
    if len(fields) % 3 or not 1 <= header <= MOST_HEADER:
        return False
    end = 0
    for offset, width in zip(fields[::3], fields[1::3], strict=True):
        if offset < end or not 1 <= width <= 8:
            return False
        end = offset + width
    return end <= header


class Key:
    """One AES-256-GCM key."""

    __slots__ = ("_aes",)

    def __init__(self, secret: bytes) -> None:
        """:param secret: 32 bytes."""
        if len(secret) != 32:
            raise ValueError("a key has 32 bytes")
        self._aes = AESGCM(secret)

    def seal(self, front: Front, nonce: bytes, head: View, body: View, size: int) -> bytes | bytearray:
        """
        `body` in slices of `size` bytes, each behind `head`, sealed one behind the other; an empty body is one slice.

        :raises ValueError: lengths that do not fit together, or more than 64 slices.
        """
        headers, sealed = self._sealed(front, nonce, head, body, size)
        return b"".join(chain.from_iterable(zip(headers, sealed, strict=True)))

    def seal_masked(
        self, front: Front, nonce: bytes, head: View, body: View, size: int, coat: Coat
    ) -> bytes | bytearray:
        """
        The same, and masked: what `masking.dress` makes of it, each header and no more of a datagram below the mask.

        :raises ValueError: as `seal`, or a coat that does not fit.
        """
        before, padding, cipher = coat
        if not 0 <= padding <= MOST_PADDING or len(before) > MOST_BEFORE:
            raise ValueError("more padding, or more before it, than there may be")
        headers, sealed = self._sealed(front, nonce, head, body, size)
        blocks = -(-(coat.longer + len(headers[0])) // BLOCK)
        stream = cipher(spread(list(map(_SAMPLE, sealed)), blocks))
        if len(stream) != len(sealed) * blocks * BLOCK:
            raise ValueError("a stream of another length")
        parts = sealed + sealed
        parts[1::2] = sealed
        parts[::2], ending = clothes(headers, stream, padding, before)
        parts.append(ending)
        return b"".join(parts)

    def _sealed(self, front: Front, nonce: bytes, head: View, body: View, size: int) -> tuple[list[bytes], list[bytes]]:
        """
        Each header, and the ciphertext with its tag.

        :raises ValueError: as `seal`.
        """
        fields, first, ending, aad = front
        header, total = len(first), len(body)
        if not _fitting(fields, header) or len(ending) != header or not 0 <= aad <= header or len(nonce) != NONCE:
            raise ValueError("header, additional data, fields and nonce do not fit together")
        if not 1 <= size <= MOST_PLAINTEXT or len(head) > MOST_PLAINTEXT or total > 2 * MOST_PLAINTEXT:
            raise ValueError("more than a run holds")
        count = max(1, -(-total // size))
        if count > MAX_SEGMENTS:
            raise ValueError("more datagrams than a run holds")
        if count == 1:
            text = bytes(head) + body if head else bytes(body)
            return [ending], [self._aes.encrypt(nonce, text, ending[:aad])]
        headers, head = counted(first, fields, count), bytes(head)
        headers[-1] = counted_one(ending, fields, count - 1)
        known = headers if aad == header else [each[:aad] for each in headers]
        texts = [head + body[low : low + size] for low in range(0, total, size)]
        return headers, list(map(self._aes.encrypt, counted(nonce, NUMBER, count), texts, known))

    def open(self, form: Form, nonce: bytes, data: View) -> bytes:
        """
        The plaintext of one datagram.

        :raises Forged: its tag does not match.
        :raises ValueError: lengths that do not fit together.
        """
        header, aad = form
        _count_sound(form, nonce, data, len(data), 0, 1)
        try:
            return self._aes.decrypt(nonce, data[header:], data[:aad])
        except InvalidTag:
            raise Forged("tag") from None

    def open_all(self, form: Form, nonce: bytes, data: View, size: int, gap: int) -> list[bytes]:
        """
        The plaintexts of datagrams whose numbers count up.

        :raises Forged: one of the tags does not match.
        :raises ValueError: lengths that do not fit together.
        """
        count, each = _count_sound(form, nonce, data, size, gap, 1), size - gap
        with memoryview(data) as sealed:
            nonces, places = counted(nonce, NUMBER, count), range(0, len(data), size)
            return [self.open(form, nonce, sealed[at : at + each]) for nonce, at in zip(nonces, places, strict=True)]

    def open_run(self, form: Form, nonce: bytes, data: View, size: int, gap: int) -> tuple[bytearray, int] | None:
        """
        Slices of one super packet, joined behind room for a virtio_net_hdr, and the bytes of their headers.

        The payloads are opened straight to their places, from the last to the first: the headers of each lie on the end
        of the one before, which is written afterwards.

        :param data: two datagrams or more of `size` bytes, the last may be shorter.
        :returns: None when the first is true but no slice, or the sizes are not those of slices.
        :raises Forged: one of the tags does not match.
        :raises ValueError: lengths that do not fit together.
        """
        header, aad = form
        count = _count_sound(form, nonce, data, size, gap, 2)
        each = size - gap
        total, plain = len(data), each - header - TAG
        last = min(total - (count - 1) * size, each) - header - TAG
        decrypt = self._aes.decrypt_into
        with memoryview(data) as sealed:
            first = self.open(form, nonce, sealed[:each])
            heads = headers_of_slice(first)
            if not heads or last < heads:
                return None
            step = plain - heads
            out = bytearray(VNET_HDR + (count - 1) * step + last)
            with memoryview(out) as room:
                places = range((count - 1) * size, 0, -size)
                texts = [sealed[at + header : at + each] for at in places]
                known = [sealed[at : at + aad] for at in places]
                top = VNET_HDR + (count - 1) * step
                rooms = [room[top - back : top - back + plain] for back in range(0, (count - 1) * step, step)]
                rooms[0] = room[top : top + last]
                nonces = counted(nonce, NUMBER, count)
                try:
                    deque(map(decrypt, reversed(nonces[1:]), texts, known, rooms), maxlen=0)
                except InvalidTag:
                    raise Forged("tag") from None
                room[VNET_HDR : VNET_HDR + plain] = first  # the second one's headers lay on its end
        return out, heads

    def open_whole(
        self, form: Form, nonce: bytes, data: View, size: int, gap: int, flags: int
    ) -> list[tuple[bytearray, bytes] | None]:
        """
        Whole packets, each as `offload.single` makes it.

        :param data: datagrams of `size` bytes, the last may be shorter, whose numbers count up.
        :param flags: of each.
        :raises Forged: one of the tags does not match.
        :raises ValueError: lengths that do not fit together.
        """
        return [single(packet, flags) for packet in self.open_all(form, nonce, data, size, gap)]

    def open_row(self, row: RowLayout, nonce: bytes, data: View, size: int, gap: int) -> list[Unit]:
        """
        Packets of any flows, each whole or all slices of one super packet: see wire/rows.

        :param data: datagrams of `size` bytes, the last may be shorter, that `count_row` counts.
        :raises Forged: one of the tags does not match.
        :raises ValueError: lengths that do not fit together, or it counts fewer.
        """
        count = -(-len(data) // size) if size > 0 else 0
        if len(nonce) != NONCE or count_row(row, data, size, gap, count) != count:
            raise ValueError("datagrams that make no row")
        form, made = row[:2], list[Unit]()
        with memoryview(data) as sealed:
            places, nonces = range(0, len(data), size), counted(nonce, NUMBER, count)
            each = size - gap
            texts = [self.open(form, nonce, sealed[at : at + each]) for nonce, at in zip(nonces, places, strict=True)]
        for start, many, lane, sequence, flags in units(row, data, size, count):
            packet = (
                _whole_super_packet(texts[start : start + many]) if flags & SEGMENT else single(texts[start], flags)
            )
            made.append((packet, lane, sequence, many))
        return made


def _whole_super_packet(slices: list[bytes]) -> tuple[bytearray, bytes] | None:
    """Of all its slices, as `offload.finish` makes it, with its source; None when they do not fit together."""
    try:
        heads = peek(slices[0]).headers
    except MalformedFrame:
        return None
    if heads > min(map(len, slices)):
        return None
    out = bytearray(VNET_HDR) + slices[0] + b"".join([each[heads:] for each in slices[1:]])
    source = finish(out, 0, True, len(slices))
    return None if source is None else (out, source)


def _count_sound(form: Form, nonce: bytes, data: View, size: int, gap: int, least: int) -> int:
    """
    How many datagrams `data` is.

    :raises ValueError: lengths that do not fit together, fewer than `least`, or more than a run holds.
    """
    header, aad = form
    around, total = header + TAG, len(data)
    if not 1 <= header <= MOST_HEADER or not 0 <= aad <= header or len(nonce) != NONCE:
        raise ValueError("header, additional data and nonce do not fit together")
    if not 0 <= gap <= size - around or size > MOST_PLAINTEXT or not around <= total <= 2 * MOST_PLAINTEXT:
        raise ValueError("no datagrams")
    count = -(-total // size)
    if not least <= count <= MAX_SEGMENTS or total - (count - 1) * size < around:
        raise ValueError("datagrams that make no train")
    return count


def count_following(layout: Layout, data: View, size: int, gap: int, most: int) -> int:
    """
    How many datagrams of `data`, of `size` bytes but the last, have the header of the first, counted up: at least 1.

    The row ends behind one that is the last slice, or shorter.

    :param most: at which it ends in any case.
    :raises ValueError: lengths that do not fit together.
    """
    fields, header, flags_at, length_at, aad, last = layout
    if not (
        _fitting(fields, header)
        and 0 <= gap <= size - header - TAG
        and len(data) >= header
        and 0 <= flags_at < header
        and length_at < header - 1
        and 0 <= aad <= header
    ):
        raise ValueError("layout and size do not fit together")
    total, each = len(data), size - gap
    most = max(1, min(most, -(-(total - header - TAG + 1) // size)))
    whole = min(most, (total + gap) // size)
    there = [bytes(data[at : at + header]) for at in range(0, most * size, size)]
    expected = counted(there[0], fields, most)
    if there[1:whole] == expected[1:whole]:
        count = max(1, whole)
    else:
        count = next(step for step in range(1, whole) if there[step] != expected[step])
    if count < most:
        ending = bytearray(there[0])
        ending[flags_at] |= last
        if length_at >= 0:
            length = min(each, total - count * size) - aad
            ending[length_at : length_at + 2] = (length & 0xFFFF).to_bytes(2, "big")
        count += there[count] == counted_one(bytes(ending), fields, count)
    return count


def unmask(payload: View, mask: bytes) -> bytes:
    """
    Put the mask of a WebSocket frame on, or take it off.

    :param mask: 4 bytes.

    Source: RFC 6455 section 5.3.
    """
    size = len(payload)
    whole = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ whole).to_bytes(size, "little")
