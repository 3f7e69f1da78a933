"""Bodies that are looked at as a whole before a byte of them is written: in memory, which holds so many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from morphnet.net.http import Exchange, Piece
from morphnet.wire.messages.upload.slots import SlotRefused

MOST_KEPT = 1 << 27  # bytes of bodies in memory, of all requests together
PUT_OFF = 10  # seconds after which who finds no room comes again
Body = Callable[[Callable[[Piece], None]], Coroutine[Any, Any, None]]
Fits = Callable[[bytes], bool]


class Unfit(Exception):
    """A body is not what was said of it; nothing of it is kept."""


class Checking:
    """The memory for them."""

    def __init__(self, counts: Counter[str]) -> None:
        self.kept = 0  # bytes of bodies that are there, or for which it is kept free
        self._counts = counts

    @contextmanager
    def in_memory(self, exchange: Exchange) -> Iterator[None]:
        """:raises SlotRefused: so many bodies are in memory that there is no room for this one."""
        length = exchange.length or 0
        if self.kept + length > MOST_KEPT:
            self._counts["uploads_put_off"] += 1
            exchange.tell("Retry-After", str(PUT_OFF))
            raise SlotRefused(503, "too many bodies are being looked at: come again")
        self.kept += length
        try:
            yield
        finally:
            self.kept -= length

    @staticmethod
    async def looked_at(exchange: Exchange, fits: Fits) -> Body:
        """
        Its body, once all of it is there, to be written.

        :raises Unfit: it is not what it should be.
        """
        whole = await exchange.short_body()
        if not fits(whole):
            raise Unfit

        async def given(take: Callable[[bytes], None]) -> None:
            take(whole)

        return given
