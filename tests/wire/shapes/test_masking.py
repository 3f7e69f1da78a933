"""The loops of the mask, in Python and in C: the same bytes, the same refusals; and one vector by hand."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import shake_256

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.core import PURE, Core, cores
from morphnet.wire.shapes import masking
from morphnet.wire.shapes.shape import Undressed

CORES = list(cores())


def outcome(call: Callable[[], object]) -> object:
    """What it returned, or the type of what it raised."""
    try:
        return call()
    except ValueError as error:
        return type(error)


def joined(found: Undressed | None) -> tuple[bytes, int, int]:
    """The datagrams without what is between them, bytes of each but the last, the offset behind what they came in."""
    assert found is not None
    data, size, end, gap = found
    return b"".join(data[at : at + size - gap] for at in range(0, len(data), size)), size - gap, end


def cipher_of(samples: bytes) -> bytes:
    """As good as any: what it makes of a block depends on that alone."""
    blocks = (samples[at : at + 16] for at in range(0, len(samples), 16))
    return b"".join(shake_256(block).digest(16) for block in blocks)


class Known:
    """Ids of a session: one of so many."""

    def __init__(self, share: int) -> None:
        self._share = share

    def __contains__(self, shown: object) -> bool:
        return isinstance(shown, bytes) and not sum(shown) % self._share


@st.composite
def runs(draw: st.DrawFn) -> tuple[bytes, int]:
    """Datagrams of 40 bytes or more, and bytes of each but the last."""
    size, count = draw(st.integers(40, 90)), draw(st.integers(1, 64))
    last = draw(st.integers(40, size))
    return bytes(i * 31 & 0xFF for i in range((count - 1) * size + last)), size


class MaskingTests(SynchronousTestCase):
    @given(runs(), st.integers(0, 255), st.binary(max_size=12), st.data())
    def test_round_trip(self, run: tuple[bytes, int], padding: int, before: bytes, chance: st.DataObject) -> None:
        """Every core dresses a run to the same bytes, each datagram longer by the same; every core gets it back."""
        data, size = run
        count, shown = -(-len(data) // size), len(before)
        blocks = -(-(shown + 25 + padding) // 16)
        asked = [core.mask_samples(data, size, 24, blocks) for core in CORES]
        self.assertEqual(asked, [asked[-1]] * len(CORES))
        stream = chance.draw(st.binary(min_size=len(asked[0]), max_size=len(asked[0])))
        dressed = [core.mask_dress(data, size, 24, stream, padding, before) for core in CORES]
        self.assertEqual(dressed, [dressed[-1]] * len(CORES))
        self.assertEqual(len(dressed[0]), len(data) + count * (shown + 1 + padding))
        width = 16 * blocks
        step, least = size + shown + 1 + padding, 16 * -(-(shown + 25) // 16)
        short = b"".join(stream[at : at + least] for at in range(0, len(stream), width))
        known, layout = {data[at : at + 8] for at in range(0, len(data), size)}, (25, shown)
        whole = bytes(dressed[0])
        if not shown or whole[0] >> 6 == 1:
            for core in CORES:
                asked_for = whole, step, 0, short, layout, known
                self.assertEqual(core.mask_undress(*asked_for), (data, size, len(whole), 0))
                written = bytearray(whole)
                here = core.mask_undress(memoryview(written), *asked_for[1:])
                self.assertEqual(joined(here), (data, size if count > 1 else len(data), len(whole)))
                assert here is not None
                self.assertIs(here[0].obj, written)
                self.assertIsNone(core.mask_undress(whole, step, 0, short, layout, ()))
        for at in range(0, len(dressed[0]) if shown else 0, step):
            self.assertEqual(dressed[0][at] >> 5, before[0] >> 5)
            self.assertEqual(dressed[0][at + 1 : at + shown], before[1:])

    @given(runs(), st.integers(0, 255), st.binary(max_size=12), st.integers(0, 40), st.integers(1, 3))
    def test_take(self, run: tuple[bytes, int], padding: int, before: bytes, more: int, share: int) -> None:
        """Samples, stream and mask at once give what they give one after the other, in every core."""
        data, size = run
        before = bytes((0x40, *before[1:])) if before else b""
        front, begins = 25 + len(before), 1 + len(before)
        asked = PURE.mask_samples(data, size, 24, -(-(24 + begins + padding) // 16))
        dressed = bytes(PURE.mask_dress(data, size, 24, cipher_of(asked), padding, before)) + bytes(more)
        step, known = size + begins + padding, Known(share)
        known_to_be = {data[:8]} if share < 3 else known
        layout, least = (25, len(before)), front + 16
        over = len(dressed) % step
        row = dressed[: len(dressed) - over] if over < least else dressed
        expected: object = None
        if least <= len(row) <= 64 * step:
            stream = cipher_of(PURE.mask_samples(row, step, front, -(-front // 16)))
            expected = outcome(lambda: PURE.mask_undress(row, step, 0, stream, layout, known_to_be))
        for core in CORES:
            for came in (dressed, memoryview(bytearray(dressed))):
                found = core.mask_take(came, step, cipher_of, (*layout, least), known_to_be)
                if expected is None:
                    self.assertIsNone(found)
                else:
                    self.assertEqual(joined(found)[::2], joined(expected)[::2])  # type: ignore[arg-type]

    def test_by_hand(self) -> None:
        """Each block is asked for under its number; the mask lies over the length of the padding and the header."""
        header, rest = bytes(range(24)), b"S" * 16 + b"rest"
        self.assertEqual(PURE.mask_samples(header + rest, 44, 24, 2), b"S" * 16 + b"S" * 15 + bytes((ord("S") ^ 1,)))
        stream = bytes(range(100, 132))
        expected = bytes(x ^ y for x, y in zip(b"\x03" + header, stream, strict=False)) + rest + stream[-3:]
        self.assertEqual(PURE.mask_dress(header + rest, 44, 24, stream, 3, b""), expected)
        shown = bytes((0x40 ^ stream[0] & 0x1F,)) + b"cid"
        masked = bytes(x ^ y for x, y in zip(b"\x01" + header, stream[4:], strict=False))
        self.assertEqual(
            PURE.mask_dress(header + rest, 44, 24, stream, 1, b"@cid"), shown + masked + rest + stream[-1:]
        )

    @given(runs(), st.binary(min_size=2048, max_size=2048), st.integers(0, 7), st.data())
    def test_garbage(self, run: tuple[bytes, int], stream: bytes, before: int, chance: st.DataObject) -> None:
        """Whatever came, every core takes as many datagrams of it, from the first on, and they are shorter."""
        data, size = run[0] + b"12345678", run[1] + 8
        data = data[: len(data) - (len(data) % size if 0 < len(data) % size < 41 + before else 0)]
        count = -(-len(data) // size)
        at = chance.draw(st.integers(0, count - 1)) * size
        asked = data, size, at, stream[: 32 * count], (25, before), Known(chance.draw(st.integers(1, 7)))
        found = [outcome(lambda c=core: c.mask_undress(*asked)) for core in CORES]  # type: ignore[misc]
        self.assertEqual(found, [found[-1]] * len(CORES))
        here = [
            outcome(lambda c=core: c.mask_undress(memoryview(bytearray(data)), *asked[1:]))  # type: ignore[misc]
            for core in CORES
        ]
        self.assertEqual(here, [here[-1]] * len(CORES))
        if isinstance(found[0], tuple):
            self.assertLess(found[0][1], size)
            self.assertEqual(joined(here[0])[::2], joined(found[0])[::2])  # type: ignore[arg-type]

    def test_other_padding(self) -> None:
        """What is dressed with more or less padding ends the run, whatever its size."""
        one, two = bytes(50), bytes(49)
        stream = bytes(32) * 2
        each = PURE.mask_dress(one, 50, 24, stream[:32], 3, b""), PURE.mask_dress(two, 49, 24, stream[32:], 4, b"")
        dressed = b"".join(each)
        for core in CORES:
            self.assertEqual(core.mask_undress(dressed, 54, 0, stream, (25, 0), {bytes(8)}), (one, 50, 54, 0))

    def test_taken_off(self) -> None:
        """A plain one at the end is none of them, though its sender drew the same padding by chance."""
        plain = b"\x05knowns" + bytes(60)
        stream = bytes(64) + b"\x05" + bytes(31)
        data = b"".join([*(PURE.mask_dress(bytes(50), 50, 24, bytes(32), 0, b"") for _ in range(2)), plain[:51]])
        for core in CORES:
            found = core.mask_undress(data, 51, 0, stream, (25, 0), {bytes(8), plain[:8]})
            self.assertEqual(found, (bytes(100), 50, 102, 0))

    def test_memory_again(self) -> None:
        """What is dressed into memory that is used again stays as it is for as long as anybody has it."""
        runs = [bytes((number,)) * 60000 for number in range(20)]
        for core in CORES:
            held = [core.mask_dress(run, 1200, 24, bytes(32) * 50, 0, b"") for run in runs]
            self.assertEqual([bytes(each[1:1201]) for each in held], [run[:1200] for run in runs])
            for run in runs:
                self.assertEqual(bytes(core.mask_dress(run, 1200, 24, bytes(32) * 50, 0, b"")[1:1201]), run[:1200])

    @given(st.data())
    def test_bad_arguments(self, chance: st.DataObject) -> None:
        """Whatever the arguments, every core answers the same, or raises the same ValueError."""
        some = st.one_of(st.integers(-3, 90), st.sampled_from([-(2**62), 2**62, 65535, 65536]))
        texts = st.one_of(st.binary(max_size=100), st.sampled_from([bytes(64), bytes(1200), bytes(140000)]))
        data, stream, before = chance.draw(texts), chance.draw(texts), chance.draw(st.binary(max_size=40))
        size, front, number = (chance.draw(some) for _ in range(3))
        calls: list[Callable[[Core], object]] = [
            lambda core: core.mask_samples(data, size, front, number),
            lambda core: core.mask_dress(data, size, front, stream, number, before),
            lambda core: core.mask_undress(data, size, number, stream, (front, len(before)), Known(2)),
            lambda core: core.mask_take(data, size, cipher_of, (front, len(before), number), Known(2)),
            lambda core: core.mask_take(data, size, lambda asked: asked[:-1], (25, 0, 41), Known(2)),
        ]
        for call in calls:
            answers = [outcome(lambda c=call, w=core: c(w)) for core in CORES]  # type: ignore[misc]
            self.assertEqual(answers, [answers[-1]] * len(CORES))

    def test_too_much_in_front(self) -> None:
        """More in front, with what is before it, than a mask is for is refused by every core."""
        for size in (200, 65535):
            for core in CORES:
                with self.assertRaises(ValueError):
                    core.mask_take(bytes(2 * size), size, cipher_of, (64, 5, 100), Known(2))

    def test_twin(self) -> None:
        """The pure core is the module of Python."""
        self.assertIs(PURE.mask_dress, masking.dress)
