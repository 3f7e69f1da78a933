"""
Bodies of the original: [h0][h1][p][what the functions made of the text][p random bytes].

h0 * h1 says which combination of functions it was, so that each datagram may have another one.

Source: docs/legacy section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from morphnet.errors import MalformedFrame
from morphnet.legacy.functions import COMBINATIONS, DIVIDE, LAYERS, Functions, combination

HEAD = 3
LEAST = HEAD + 1  # bytes of a body: there is always some padding
PADDINGS = range(1, 9)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a client draws for its session, and sends in its handshake."""

    key: int  # 0 .. 255
    layers: int  # 1 .. 4
    padding: int  # most random bytes behind a text, 1 .. 8
    table: bytes  # a permutation of the byte values
    added: int  # 0 .. 255

    def __post_init__(self) -> None:
        """:raises MalformedFrame: out of range."""
        if not (0 <= self.key <= 255 and 0 <= self.added <= 255):
            raise MalformedFrame("key out of range")
        if self.layers not in LAYERS or self.padding not in PADDINGS:
            raise MalformedFrame("layers or padding out of range")
        if len(self.table) != 256 or len(set(self.table)) != 256:
            raise MalformedFrame("the table is no permutation")


@lru_cache(maxsize=4)
def _pairs(layers: int) -> dict[int, bytes]:
    """All (h0, h1) of each combination that there are any of, two bytes each."""
    found: dict[int, bytearray] = {}
    for first in range(256):
        for second in range(256):
            found.setdefault(first * second % COMBINATIONS[layers], bytearray()).extend((first, second))
    return {index: bytes(pairs) for index, pairs in found.items()}


@lru_cache(maxsize=8)
def _choices(layers: int, odd: bool) -> tuple[int, ...]:
    """The combinations to draw from; the original cannot undo `DIVIDE` where the size is odd."""
    return tuple(index for index in _pairs(layers) if not (odd and DIVIDE in combination(layers, index)))


class Obfuscator:
    """
    Turns texts into bodies and back.

    :param entropy: gives so many random bytes.
    """

    def __init__(self, parameters: Parameters, entropy: Callable[[int], bytes]) -> None:
        self._layers, self._padding, self._entropy = parameters.layers, parameters.padding, entropy
        self._functions = Functions(parameters.key, parameters.table, parameters.added)

    @staticmethod
    def is_body(body: bytes) -> bool:
        """Whether it has the form of one, which is all that can be asked of it."""
        return len(body) >= LEAST and body[2] in PADDINGS and len(body) >= HEAD + body[2]

    def hide(self, run: bytes, size: int) -> list[bytes]:
        """
        The bodies of equally long texts: one combination, one pass and as much padding for all, a head for each.

        So they are equally long too, and leave in one system call.

        :param run: the texts, one behind the other.
        :param size: bytes of each, at least 1.
        """
        count = len(run) // size
        chance = self._entropy(4 + (3 + self._padding) * count)
        choices = _choices(self._layers, bool(size % 2))
        index = choices[int.from_bytes(chance[:3], "big") % len(choices)]
        length = chance[3] % self._padding + 1
        hidden = self._functions.apply(combination(self._layers, index), run, size)
        pairs, bodies = _pairs(self._layers)[index], []
        for number in range(count):
            at = 4 + (3 + length) * number
            pair = int.from_bytes(chance[at : at + 3], "big") % (len(pairs) // 2) * 2
            text = hidden[size * number : size * (number + 1)]
            bodies.append(b"%b%c%b%b" % (pairs[pair : pair + 2], length, text, chance[at + 3 : at + 3 + length]))
        return bodies

    def show(self, bodies: Sequence[bytes]) -> list[bytes | None]:
        """
        The texts of bodies, in their order; None for what is no body.

        Those of one combination and size take one pass.
        """
        shown: list[bytes | None] = [None] * len(bodies)
        alike: dict[tuple[int, int], list[int]] = {}
        for number, body in enumerate(bodies):
            if not self.is_body(body):
                continue
            index = body[0] * body[1] % COMBINATIONS[self._layers]
            alike.setdefault((index, len(body) - HEAD - body[2]), []).append(number)
        for (index, size), numbers in alike.items():
            run = b"".join([bodies[number][HEAD : HEAD + size] for number in numbers])
            texts = self._functions.undo(combination(self._layers, index), run, size)
            for place, number in enumerate(numbers):
                shown[number] = texts[size * place : size * (place + 1)]
        return shown
