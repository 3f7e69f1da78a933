"""How much padding a run gets."""

from __future__ import annotations

from collections.abc import Callable

from morphnet.wire.shapes.masking import MOST_PADDING

_DRAWN = 512  # random bytes that are asked for at once


class Padding:
    """Draws it."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._span, self._drawn = 0, iter(list[int]())  # drawn already: 0 to so many bytes, each as likely

    def draw(self, least: int, most: int) -> int:
        """`least` to `most` bytes, 255 at most, each as likely."""
        span = (most if most < MOST_PADDING else MOST_PADDING) - least
        if span <= 0:
            return least
        if span == self._span:
            for drawn in self._drawn:
                return least + drawn
        return least + self._draw_many(span)

    def _draw_many(self, span: int) -> int:
        """One, and others of the same span for the next calls."""
        each, found = span + 1, list[int]()
        fair = 256 - 256 % each
        while not found:
            found = [drawn % each for drawn in self._entropy(_DRAWN) if drawn < fair]
        self._span, self._drawn = span, iter(found)
        return next(self._drawn)
