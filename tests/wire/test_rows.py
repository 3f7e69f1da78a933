"""Packets of many flows in one call: as each on its own, on every core."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable
from itertools import product
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged
from morphnet.wire.core import PURE, cores
from morphnet.wire.formats import COMPACT, SEED, count_row
from morphnet.wire.header import FRAGMENT, IP, LAST, ORDERED, PARTIAL, SEGMENT, TO_SERVER, Header, nonce_of
from morphnet.wire.ip import TCP
from morphnet.wire.offload import finish, single
from morphnet.wire.rows import RowLayout, Unit
from morphnet.wire.seal import open_row, seal

CORES = list(cores())
SECRET = bytes(range(32))
KEYS = [core.key(SECRET) for core in CORES]
STRIDE = COMPACT.overhead
ROW = cast(RowLayout, COMPACT.row)
ISSUED = bytes(range(20))
NEARLY_OVER = (1 << 32) - 3  # of the number on the wire


def segment(port: int, payload: bytes, length: int) -> bytes:
    """A TCP segment whose IP header says that length."""
    tcp = struct.pack("!HHIIBBHHH", port, 5001, 7, 1, 5 << 4, 0x18, 500, 0, 0)
    addresses = bytes((10, 73, 0, 2, 10, 73, 0, 1))
    return struct.pack("!BBHHHBBH8s", 0x45, 0, length, 1, 0x4000, 64, TCP, 0, addresses) + tcp + payload


def header(number: int, **fields: Any) -> Header:
    """Of packet `number`."""
    usual = Header(ISSUED, IP, 0, 0, 3, 70, ORDERED | PARTIAL, 123456, 0, 0, TO_SERVER, number)
    return usual._replace(**fields)


Made = tuple[bytes, list[Unit]]


def row_of(shapes: list[int], size: int, first: int = 100) -> Made:
    """
    Datagrams of equal size, and what they hold.

    :param shapes: slices of each packet; 0: it is whole, -1: it is whole and no packet.
    """
    key, out, units, number = PURE.key(SECRET), b"", list[Unit](), first
    for place, slices in enumerate(shapes):
        port, lane, sequence = 1000 + place, place * 7 & 0xFF, (1 << 24) - 2 + place & 0xFFFFFF
        payload = random.Random(place).randbytes(size * max(1, slices))
        if slices <= 0:
            text = segment(port, payload, 40 + size) if not slices else bytes(40) + payload
            out += seal(COMPACT, key, header(number, lane=lane, sequence=sequence, place=place & 63), text)
            units.append((single(text, PARTIAL), lane, sequence, 1))
            number += 1
            continue
        for step in range(slices):
            flags = ORDERED | SEGMENT | (LAST if step == slices - 1 else 0)
            each = header(number, lane=lane, sequence=sequence + step & 0xFFFFFF, place=step, flags=flags)
            out += seal(COMPACT, key, each, segment(port, payload[step * size : (step + 1) * size], size))
            number += 1
        whole = bytearray(10) + segment(port, payload, size)
        source = finish(whole, 0, True, slices)
        units.append((None if source is None else (whole, source), lane, sequence, slices))
    return out, units


def outcome(call: Callable[[], object]) -> object:
    """What it returned, or the type of what it raised."""
    try:
        return call()
    except (ValueError, Forged) as error:
        return type(error)


def _packets() -> list[bytes]:
    """Of both families, with extensions and options."""
    ipv6 = struct.pack("!IHBB", 6 << 28, 40, TCP, 64) + bytes(range(32))
    tcp, udp = segment(1, b"", 40)[20:], struct.pack("!HHHH", 1, 2, 30, 0)
    hop = ipv6[:6] + bytes((0, 64)) + ipv6[8:] + bytes((TCP, 0)) + bytes(6)
    return [segment(1, b"y" * 50, 90), segment(1, b"z" * 50, 90)[:9] + b"\x11" + segment(1, b"", 90)[10:20] + udp,
            ipv6 + tcp + b"q" * 30, ipv6[:6] + b"\x11" + ipv6[7:] + udp + b"u" * 42, hop + tcp, bytes(60)]  # fmt: skip


PACKETS, ODD = _packets(), (0, 1, 4, 0x45, 0x46, 0x4F, 0x60, 6, 17, 44, 58, 60, 0x50, 0x60, 0xF0, 0xFF)
shapes = st.lists(st.sampled_from([0, 0, 0, 2, 3, 1, -1]), min_size=1, max_size=12)


class RowTests(SynchronousTestCase):
    @given(shapes, st.integers(1, 60), st.sampled_from([100, NEARLY_OVER]))
    def test_opened(self, shapes: list[int], size: int, first: int) -> None:
        """What is in a row is counted, and opened to what each is on its own."""
        data, units = row_of(shapes, size, first)
        stride, count = STRIDE + 40 + size, len(data) // (STRIDE + 40 + size)
        for core, key in zip(CORES, KEYS, strict=True):
            self.assertEqual(core.count_row(ROW, data, stride, 0, 64), count)
            self.assertEqual(key.open_row(ROW, nonce_of(header(first)), data, stride, 0), units)

    @given(shapes, st.integers(1, 20), st.data())
    def test_agreement(self, shapes: list[int], size: int, data: st.DataObject) -> None:
        """Whatever comes, every core counts the same, and opens it to the same or refuses it for the same reason."""
        sealed, stride = bytearray(row_of(shapes, size)[0]), STRIDE + 40 + size
        for _ in range(data.draw(st.integers(0, 3))):
            bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
            sealed[bit // 8] ^= 1 << bit % 8
        part = sealed[: len(sealed) - data.draw(st.integers(0, stride))]
        gap = data.draw(st.sampled_from([0, 0, 1]))
        counts = [outcome(lambda c=core: c.count_row(ROW, part, stride, gap, 64)) for core in CORES]  # type: ignore[misc]
        self.assertEqual(counts, [counts[-1]] * len(CORES))
        nonce = nonce_of(header(100))
        opened = [outcome(lambda k=key: k.open_row(ROW, nonce, part, stride, gap)) for key in KEYS]  # type: ignore[misc]
        self.assertEqual(opened, [opened[-1]] * len(KEYS))

    @given(st.data(), st.sampled_from([0, 1, 7, 8, 20, 27, 28, 40, 41, 60, 61, 68, 90]), st.integers(1, 8))
    def test_any_content(self, data: st.DataObject, size: int, count: int) -> None:
        """What a member has sealed, however it lies about slices and headers: every core makes the same of it."""
        draw, key, out, step = data.draw, PURE.key(SECRET), b"", 0
        for number in range(count):
            slices = draw(st.booleans()) if not step else draw(st.integers(0, 19)) > 0
            last = slices and draw(st.integers(0, 2)) == 0
            flags = ORDERED | (SEGMENT if slices else 0) | (LAST if last else 0) | draw(st.sampled_from([0, PARTIAL]))
            text = bytearray(draw(st.sampled_from(PACKETS))[:size].ljust(size, b"x"))
            for at, value in draw(st.lists(st.tuples(st.integers(0, 59), st.sampled_from(ODD)), max_size=2)):
                text[at : at + 1] = bytes((value,))[: len(text) - at]
            short = size - draw(st.integers(0, size)) if number == count - 1 else size
            each = header(100 + number, lane=9, sequence=70 + number, place=step, flags=flags)
            out += seal(COMPACT, key, each, bytes(text[:short]))
            step = step + 1 if slices and not last else 0
        counts = [core.count_row(ROW, out, STRIDE + size, 0, 64) for core in CORES]
        self.assertEqual(counts, [counts[-1]] * len(CORES))
        part = out[: counts[-1] * (STRIDE + size)]
        opened = [outcome(lambda k=key: k.open_row(ROW, nonce_of(header(100)), part, STRIDE + size, 0)) for key in KEYS]  # type: ignore[misc]
        self.assertEqual(opened, [opened[-1]] * len(KEYS))

    def test_layouts(self) -> None:
        """Offsets and sizes that lie beyond everything are refused, by each core."""
        data, _ = row_of([0, 0], 20)
        stride, big = STRIDE + 60, sys.maxsize
        for core, key in zip(CORES, KEYS, strict=True):
            for place, value in product(range(len(ROW)), (-1, -big - 1, big, big - 3)):
                row = cast(RowLayout, (*ROW[:place], value, *ROW[place + 1 :]))
                if core is not PURE:  # that one believes its caller
                    self.assertIs(outcome(lambda c=core, r=row: c.count_row(r, data, stride, 0, 64)), ValueError)  # type: ignore[misc]
                    opened = outcome(lambda k=key, r=row: k.open_row(r, bytes(12), data, stride, 0))  # type: ignore[misc]
                    self.assertIs(opened, ValueError)
            for size, gap in ((-1, 0), (0, 0), (big, 0), (-big - 1, 0), (stride, -1), (stride, big), (big, big)):
                self.assertIs(outcome(lambda c=core, s=size, g=gap: c.count_row(ROW, data, s, g, 64)), ValueError)  # type: ignore[misc]
            self.assertEqual(
                [core.count_row(ROW, data, stride, 0, most) for most in (-big - 1, -1, 0, 1)], [0, 0, 0, 1]
            )

    def test_bent(self) -> None:
        """One bit of one of them, and none is opened."""
        data, _ = row_of([0, 2, 0], 20)
        for at in range(24, len(data), 60):
            bent = bytearray(data)
            bent[-1 - at + 24] ^= 1
            for key in KEYS:
                told = outcome(lambda k=key, b=bent: k.open_row(ROW, nonce_of(header(100)), b, STRIDE + 60, 0))  # type: ignore[misc]
                self.assertIn(told, (Forged, ValueError))

    def test_incomplete(self) -> None:
        """A row ends before a super packet that is not all there, a fragment, another size, and a leap of numbers."""
        data, _ = row_of([0, 0, 3], 20)
        stride = STRIDE + 60
        others = {
            2: data[:-stride],
            1: data[: stride + COMPACT.flags_at]
            + bytes((data[stride + COMPACT.flags_at] | FRAGMENT,))
            + data[stride + COMPACT.flags_at + 1 :],
            3: row_of([0, 0, 0], 20)[0] + row_of([0, 0], 20, 104)[0],
        }
        for core in CORES:
            self.assertEqual(core.count_row(ROW, data, stride, 0, 64), 5)
            self.assertEqual(
                {each: core.count_row(ROW, others[each], stride, 0, 64) for each in others}, {1: 1, 2: 2, 3: 3}
            )

    def test_format(self) -> None:
        """A row is seen in the compact format, of packets; and opened by what its header says."""
        data, units = row_of([0, 2], 20)
        stride, view, first = STRIDE + 60, memoryview(data), header(100)
        self.assertEqual(count_row(COMPACT, view, 0, (stride, 0), first), 3)
        self.assertEqual(count_row(COMPACT, view, 0, (stride, 0), first._replace(type=5)), 0)
        self.assertEqual(count_row(COMPACT, view, 2 * stride, (stride, 0), first), 0)
        self.assertEqual(count_row(SEED, view, 0, (stride, 0), first), 0)
        self.assertEqual(open_row(COMPACT, KEYS[0], first, view, (stride, 0)).units, units)
