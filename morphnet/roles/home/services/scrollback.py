"""What a terminal has said: the last of it, by position since its beginning."""

from __future__ import annotations

KEPT = 4 << 20  # bytes; 5000 lines of 800
_SLACK = 1 << 20  # bytes that are cut off at once


class Scrollback:
    """
    Keeps the last KEPT bytes, and up to _SLACK more.

    `start` and `end` are positions: how many bytes were said before.
    """

    def __init__(self) -> None:
        self._said = bytearray()
        self.start = 0

    @property
    def end(self) -> int:
        """Position behind the last byte."""
        return self.start + len(self._said)

    def add(self, data: bytes) -> None:
        """The terminal says more."""
        self._said += data
        if len(self._said) > KEPT + _SLACK:
            cut = len(self._said) - KEPT
            line = self._said.find(b"\n", cut)
            cut = line + 1 if 0 <= line < cut + 65536 else cut  # not in the middle of an escape sequence
            del self._said[:cut]
            self.start += cut

    def read(self, position: int, most: int) -> bytes:
        """At most so many bytes from there on, which is not before `start`."""
        at = position - self.start
        return bytes(self._said[at : at + most])
