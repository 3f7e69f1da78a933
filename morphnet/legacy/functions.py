"""
The eleven functions of the original's obfuscation, each over a whole run of equally long texts at once.

A function works with tables, slices and one long XOR, never byte by byte. A run is `bytes` whose length is a multiple
of `size`, the length of each text in it.

Source: docs/legacy section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import permutations

COUNT = 11
LAYERS = range(1, 5)
DIVIDE = 3  # the number of the one that the original cannot undo when the size is odd
COMBINATIONS = {1: 11, 2: 110, 3: 990, 4: 7920}  # ordered selections without repetition, by layers
_STEP = 37  # from one byte of the key stream to the next

Pass = Callable[[bytes, int], bytes]  # a run, the size of its texts: the run after it


def combination(layers: int, index: int) -> tuple[int, ...]:
    """
    The functions of one combination, in the order in which they are applied.

    :param index: 0 .. COMBINATIONS[layers] - 1, in lexicographic order.
    """
    return _combinations(layers)[index]


@lru_cache(maxsize=4)
def _combinations(layers: int) -> tuple[tuple[int, ...], ...]:
    return tuple(permutations(range(COUNT), layers))


def _table(change: Callable[[int], int]) -> bytes:
    return bytes(change(value) & 255 for value in range(256))


def _left(bits: int) -> bytes:
    """Rotates each byte left by so many bits."""
    return _table(lambda value: value << bits | value >> (8 - bits)) if bits % 8 else bytes(range(256))


def inverse(table: bytes) -> bytes:
    """The table that undoes a permutation of the byte values."""
    back = bytearray(256)
    for value, to in enumerate(table):
        back[to] = value
    return bytes(back)


_LEFT = tuple(_left(bits) for bits in range(9))
_NOT = _table(lambda value: ~value)
_MIRROR = _table(lambda value: int(f"{value:08b}"[::-1], 2))


def _texts(run: bytes, size: int) -> Iterator[bytes]:
    return (run[at : at + size] for at in range(0, len(run), size))


def _swap(run: bytes, size: int) -> bytes:
    """Neighbours change places; of an odd text the last byte stays."""
    if size % 2:
        return b"".join(_swap(text[:-1], size - 1) + text[-1:] for text in _texts(run, size)) if size > 1 else run
    swapped = bytearray(len(run))
    swapped[::2], swapped[1::2] = run[1::2], run[::2]
    return bytes(swapped)


def _reverse(run: bytes, size: int) -> bytes:
    return b"".join(text[::-1] for text in _texts(run, size))


def _divide(run: bytes, size: int) -> bytes:
    """The second half first; of an odd text it is the longer one."""
    half = size // 2
    return b"".join(text[half:] + text[:half] for text in _texts(run, size))


def _unite(run: bytes, size: int) -> bytes:
    """Undo `_divide`, for odd texts too."""
    half = size - size // 2
    return b"".join(text[half:] + text[:half] for text in _texts(run, size))


def _rotate(run: bytes, size: int, tables: tuple[bytes, ...]) -> bytes:
    """Byte i of each text by table i mod 8."""
    if size % 8 and len(run) > size:
        return b"".join(_rotate(text, size, tables) for text in _texts(run, size))
    rotated = bytearray(run)
    for at, table in enumerate(tables):
        rotated[at::8] = run[at::8].translate(table)
    return bytes(rotated)


_ROTATE = _LEFT[1:9]
_ROTATE_BACK = tuple(_LEFT[8 - bits] for bits in range(1, 9))


@lru_cache(maxsize=512)
def _stream(key: int, size: int, turned: bool) -> bytes:
    """K[i] = key + 37 i, or K[i - 1] with the last one first, for one text."""
    whole = bytes((key + _STEP * at) & 255 for at in range(256))
    plain = (whole * (size // 256 + 1))[:size]
    return plain[-1:] + plain[:-1] if turned else plain


def _mask(run: bytes, size: int, key: int, turned: bool) -> bytes:
    stream = _stream(key, size, turned) * (len(run) // size)
    return (int.from_bytes(run, "little") ^ int.from_bytes(stream, "little")).to_bytes(len(run), "little")


class Functions:
    """
    The functions of one session.

    :param key: 0 .. 255.
    :param table: a permutation of the byte values.
    :param added: 0 .. 255.
    """

    def __init__(self, key: int, table: bytes, added: int) -> None:
        back = inverse(table)
        add, subtract = _table(lambda value: value + added), _table(lambda value: value - added)

        def by(table: bytes) -> Pass:
            return lambda run, size: run.translate(table)

        self.forward: tuple[Pass, ...] = (
            lambda run, size: _mask(_rotate(run, size, _ROTATE), size, key, True),
            _swap,
            _reverse,
            _divide,
            by(_LEFT[1]),
            lambda run, size: _mask(run, size, key, False),
            by(_NOT),
            by(_MIRROR),
            by(_LEFT[2]),
            by(table),
            by(add),
        )
        self.backward: tuple[Pass, ...] = (
            lambda run, size: _rotate(_mask(run, size, key, True), size, _ROTATE_BACK),
            _swap,
            _reverse,
            _unite,
            by(_LEFT[7]),
            self.forward[5],
            by(_NOT),
            by(_MIRROR),
            by(_LEFT[6]),
            by(back),
            by(subtract),
        )

    def apply(self, functions: tuple[int, ...], run: bytes, size: int) -> bytes:
        """A run after these functions; an empty one stays empty."""
        if run:
            for number in functions:
                run = self.forward[number](run, size)
        return run

    def undo(self, functions: tuple[int, ...], run: bytes, size: int) -> bytes:
        """What `apply` was given."""
        if run:
            for number in reversed(functions):
                run = self.backward[number](run, size)
        return run
