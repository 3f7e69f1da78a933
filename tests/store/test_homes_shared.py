"""Which homes may register, in a real Redis."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from morphnet.config.redis_url import redis_url_of
from morphnet.errors import Away
from morphnet.net.redis_exchange import RedisExchange, RedisLink
from morphnet.store.homes import Homes, hidden
from morphnet.store.homes_shared import RedisHomes
from tests.redis_server import WITHOUT, RedisServer
from tests.store import homes_contract


class Asking:
    """A group of one, that only asks."""

    def __init__(self) -> None:
        self.exchange: Deferred[RedisExchange] = Deferred()
        self.closings: Deferred[None] = Deferred()

    def opened(self, exchange: RedisExchange) -> None:
        self.exchange.callback(exchange)

    def closed(self, reason: str) -> None:
        if not self.closings.called:
            self.closings.callback(None)

    def heard(self, message: bytes) -> None:
        """It hears no channel."""


class RedisHomesTests(homes_contract.HomesContract):
    skip = WITHOUT
    timeout = 30

    async def _connect(self) -> None:
        self.redis = RedisServer(keeps=False)
        self.addCleanup(self.redis.end)
        self.redis.start()
        self.asking = Asking()
        link = RedisLink(reactor, redis_url_of(self.redis.url), self.asking)
        self.addCleanup(self.over)
        self.link = link
        link.start()
        self.exchange = await self.asking.exchange
        self.homes = self.make_homes()

    def over(self) -> Deferred[None]:
        """The connections are closed when the reactor has turned."""
        self.link.stop()
        turned: Deferred[None] = Deferred()
        where: Any = reactor
        where.callLater(0.05, turned.callback, None)
        return turned

    def make_homes(self) -> Homes:
        return RedisHomes(self.exchange.ask)

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        return Deferred.fromCoroutine(self._connect())

    async def test_nobody_reads_it(self) -> None:
        """Redis holds no invitation that could be used."""
        await self.homes.invite(hidden("a token"), homes_contract.NOW)
        keys = await self.exchange.ask("KEYS", "*")
        self.assertEqual(keys, [f"morphnet:homes:invitation:{hidden('a token').hex()}".encode()])

    async def test_version_before(self) -> None:
        """An invitation that a coordinator of before has written is good, as one that is older than any forgetting."""
        await self.exchange.ask("SET", f"morphnet:homes:invitation:{hidden('token').hex()}", f"{homes_contract.NOW} 12")
        await self.homes.forget("gone", 1)
        took = [await self.homes.take(home, hidden("token"), homes_contract.NOW - 1) for home in ("gone", "home")]
        self.assertEqual(took, [False, True])

    async def test_away(self) -> None:
        """Without it there is no answer, and one sentence says so."""
        self.redis.stop()
        await self.asking.closings
        trouble = await self.assertFailure(self.homes.is_known("home"), Away)
        self.assertIn("away", str(trouble))
