"""Datagrams of equal size, one behind the other, as the kernel hands them to us and takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from morphnet.wire.batch import MAX_BATCH, MAX_SEGMENTS


def equal_runs(data: bytes, size: int) -> Iterator[tuple[bytes, int]]:
    """Of data that is cut into portions of `size`, the last may be shorter: (run, size) of those that are whole."""
    whole = len(data) - len(data) % size
    if whole:
        yield data[:whole], size
    if whole < len(data):
        yield data[whole:], len(data) - whole


def cut(data: bytes, size: int) -> list[bytes]:
    """The portions one by one."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def join(datagrams: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    """(run, size) of datagrams that follow one another and are equally long, none longer than a system call takes."""
    at = 0
    while at < len(datagrams):
        size, end = len(datagrams[at]), at + 1
        most = min(MAX_SEGMENTS, max(1, MAX_BATCH // max(1, size)))
        while end < len(datagrams) and end - at < most and len(datagrams[end]) == size:
            end += 1
        yield b"".join(datagrams[at:end]), size
        at = end
