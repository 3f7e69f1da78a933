"""Bodies that are looked at as a whole before a byte of them is written: in memory, which holds so many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from morphnet.net.http import BodySlow, Exchange, Piece
from morphnet.wire.messages.upload.slots import SlotRefused

MOST_KEPT = 1 << 27  # bytes of bodies in memory, of all requests together
PATIENCE = 30.0  # seconds in which a body is whole, or makes room when another finds none
PUT_OFF = 10  # seconds after which who finds no room comes again
Body = Callable[[Callable[[Piece], None]], Coroutine[Any, Any, None]]
Fits = Callable[[bytes], bool]


class Unfit(Exception):
    """A body is not what was said of it; nothing of it is kept."""


class Kept:
    """
    The memory for one body.

    :param since: seconds, of any clock.
    """

    def __init__(self, exchange: Exchange, since: float) -> None:
        self._exchange, self.since = exchange, since
        self.length = exchange.length or 0  # bytes for which memory is kept free
        self.came = 0  # bytes that are there

    async def looked_at(self, fits: Fits) -> Body:
        """
        The body, once all of it is there, to be written.

        :raises Unfit: it is not what it should be.
        :raises BodySlow: others needed the memory.
        """
        pieces: list[bytes] = []

        def came(data: bytes) -> None:
            pieces.append(data)
            self.came += len(data)

        await self._exchange.body(came)
        whole = b"".join(pieces)
        if not fits(whole):
            raise Unfit

        async def given(take: Callable[[bytes], None]) -> None:
            take(whole)

        return given

    def give_up(self) -> None:
        """If it is not whole it is gone when this returns."""
        self._exchange.give_up()


class Checking:
    """
    The memory for all of them.

    :param now: seconds; of a clock that nobody sets.
    """

    def __init__(self, counts: Counter[str], now: Callable[[], float]) -> None:
        self._counts, self._now = counts, now
        self._all: list[Kept] = []

    @property
    def kept(self) -> int:
        """Bytes of bodies that are there, or for which memory is kept free."""
        return sum(each.length for each in self._all)

    @contextmanager
    def in_memory(self, exchange: Exchange) -> Iterator[Kept]:
        """:raises SlotRefused: so many bodies are in memory that there is no room for this one, or no more."""
        mine = Kept(exchange, self._now())
        self._make_room(mine.length)
        if self.kept + mine.length > MOST_KEPT:
            raise self._put_off(exchange)
        self._all.append(mine)
        try:
            yield mine
        except BodySlow:
            raise self._put_off(exchange) from None
        finally:
            self._all.remove(mine)

    def _put_off(self, exchange: Exchange) -> SlotRefused:
        self._counts["uploads_put_off"] += 1
        exchange.tell("Retry-After", str(PUT_OFF))
        return SlotRefused(503, "too many bodies are being looked at: come again")

    def _make_room(self, length: int) -> None:
        """Whoever announces much and sends it for hours would keep all others out: the slowest go first."""
        now = self._now()
        slow = [each for each in self._all if each.came < each.length and now - each.since > PATIENCE]
        if self.kept - sum(each.length for each in slow) + length > MOST_KEPT:
            return  # it would help nobody
        for each in sorted(slow, key=lambda one: one.came / (now - one.since)):
            if self.kept + length <= MOST_KEPT:
                return
            each.give_up()
