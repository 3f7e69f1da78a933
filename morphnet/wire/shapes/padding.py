"""How much padding a run gets."""

from __future__ import annotations

from collections.abc import Callable

from morphnet.wire.shapes.masking import MOST_PADDING

_DRAWN = 512  # random bytes that are asked for at once


class Padding:
    """Draws it."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy, self._drawn = entropy, iter(b"")

    def draw(self, least: int, most: int) -> int:
        """`least` to `most` bytes, 255 at most, each as likely."""
        span = min(most, MOST_PADDING) - least
        while span > 0:
            drawn = next(self._drawn, None)
            if drawn is None:
                self._drawn = iter(self._entropy(_DRAWN))
            elif drawn < 256 - 256 % (span + 1):
                return least + drawn % (span + 1)
        return least
