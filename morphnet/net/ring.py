"""Buffers that doors read into, over and over."""

from __future__ import annotations

import mmap


def ring(count: int, size: int) -> list[memoryview]:
    """
    So many buffers of `size` bytes, which take memory only when they are first written to.

    Most wake-ups fill one or two of them; as bytearrays, which are zeroed, 64 of 64 KB would be 4 MB from the start.
    """
    whole = memoryview(mmap.mmap(-1, count * size))
    return [whole[at : at + size] for at in range(0, count * size, size)]
