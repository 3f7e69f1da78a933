"""Several upload servers with one Redis and one directory: the word that one goes on with an upload of another."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from morphnet.net.redis_exchange import RedisAway, RedisExchange
from morphnet.store.base import StoreAway

CHANNEL = "morphnet:upload:taken"


class Sharing:
    """
    What Redis is called for.

    :param ended: another server goes on with the upload of this path.
    :param is_there: "" when Redis is there, else why it is not.
    """

    _log = Logger()

    def __init__(self, ended: Callable[[str], None], is_there: Callable[[str], None]) -> None:
        self._ended, self._is_there = ended, is_there
        self._me = secrets.token_hex(8).encode()
        self._exchange: RedisExchange | None = None
        self.catch_up: Callable[[], Coroutine[Any, Any, None]] | None = None  # to be done when Redis is there again
        self.restore: Callable[[], Coroutine[Any, Any, None]] | None = None  # and then: what it may have lost

    def opened(self, exchange: RedisExchange) -> None:
        """It is there."""
        self._exchange = exchange
        joining = Deferred.fromCoroutine(self._join(exchange))
        joining.addErrback(lambda failure: exchange.close(str(failure.value) or "it does not answer"))

    async def _join(self, exchange: RedisExchange) -> None:
        await exchange.subscribe((CHANNEL,))
        if self.catch_up is not None:
            await self.catch_up()
        if self._exchange is exchange:
            self._is_there("")
        if self.restore is not None:
            await self.restore()

    def closed(self, reason: str) -> None:
        """It is gone."""
        self._exchange = None
        self._is_there(reason or "it does not answer")

    def heard(self, message: bytes) -> None:
        """One of us has said which upload it goes on with."""
        who, _, path = message.partition(b" ")
        if who != self._me:
            self._ended(path.decode("utf-8", "replace"))

    async def ask(self, *words: object) -> Any:
        """
        One command.

        :raises StoreAway: there is no answer.
        """
        if self._exchange is None:
            raise StoreAway("Redis cannot be reached")
        try:
            return await self._exchange.ask(*words)
        except RedisAway as away:
            raise StoreAway(str(away)) from None

    def taken(self, path: str) -> None:
        """We go on with it. Nobody relies on the word: who does not hear it is ended by its next write."""
        if self._exchange is not None:
            self._exchange.hand(CHANNEL, self._me + b" " + path.encode("utf-8", "replace"))
