"""
Redis as what carries messages between machines of one kind, relays or coordinators: one connection that says, one that
hears, both made again for ever.

Nothing waits without bound: what Redis does not read in time is dropped if it is an envelope, and ends the connections
if it is news, which are told anew on the next ones.

Source: docs/scale; https://redis.io/docs/latest/develop/interact/pubsub/ for SUBSCRIBE and PUBLISH.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.logger import Logger
from twisted.python.failure import Failure
from txredisapi import RedisError, RedisProtocol, SubscriberProtocol
from zope.interface import implementer

from morphnet.config.redis_url import RedisUrl
from morphnet.errors import Away
from morphnet.text import printable

BACKLOG = 1 << 20  # bytes that may wait for Redis when an envelope comes
MOST_BACKLOG = 16 << 20  # the same for news
MOST_UNANSWERED = 16384  # commands
ANSWER_WITHIN = 5.0  # seconds for a connection, and for a command
WAITS = (0.2, 0.5, 1.0, 2.0)  # seconds before each try; the last for ever


class Hearer(Protocol):
    """For whom Redis is called."""

    def opened(self, exchange: RedisExchange) -> None:
        """It is there."""
        ...

    def closed(self, reason: str) -> None:
        """It is gone, or was not there to be had."""
        ...

    def heard(self, message: bytes) -> None:
        """Something came on a channel that was subscribed to."""
        ...


class RedisAway(Away):
    """There is no Redis, or it does not want us; the text says why."""


@implementer(IPushProducer)
class _Gauge:
    """How many bytes the transport has not sent on, roughly."""

    def __init__(self) -> None:
        self.unsent, self._paused = 0, False

    def add(self, size: int) -> None:
        """So many were written."""
        if self._paused:
            self.unsent += size

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self.unsent, self._paused = 0, False

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost tells."""


class _Connection:
    """What both are; mixed into txredisapi's protocols. Hashable by identity."""

    transport: Any
    factory: _Connections
    _ready: bool

    def settle(self) -> None:
        """Before the connection is made."""
        self.gauge, self.settled = _Gauge(), Deferred[None]()

    def connectionMade(self) -> None:
        self.transport.registerProducer(self.gauge, True)
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        logging_in = super().connectionMade()  # type: ignore[misc]
        logging_in.addCallback(lambda _: self.settled.callback(None) if self._ready else None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)  # type: ignore[misc]
        why = self.factory.complaint or reason.getErrorMessage()
        if not self.settled.called:
            self.settled.errback(RedisAway(why))
        self.factory.link.lost(self, why)


class _Mouth(_Connection, RedisProtocol):  # type: ignore[misc]
    """Says commands."""


class _Ear(_Connection, SubscriberProtocol):  # type: ignore[misc]
    """Hears channels."""

    def messageReceived(self, pattern: object, channel: bytes, message: bytes) -> None:
        self.factory.link.cluster.heard(message)


class _Connections(Factory):
    """Builds one of them. txredisapi calls the methods in camelCase, and reads `isLazy`."""

    noisy = isLazy = False
    complaint = ""  # why Redis does not want us

    def __init__(self, link: RedisLink, kind: type[_Mouth] | type[_Ear]) -> None:
        self.link, self._kind = link, kind

    def buildProtocol(self, addr: object) -> Any:
        place = self.link.place
        # As it comes: by default it makes texts and numbers of what looks like such.
        made = self._kind(
            charset=None, convertNumbers=False, username=place.user or None, password=place.password or None
        )
        made.settle()
        made.factory = self
        return made

    def stopTrying(self) -> None:
        """It is the link that tries."""

    def connectionError(self, why: str) -> None:
        self.complaint = why


class RedisExchange:
    """An Exchange over one pair of connections, both up."""

    def __init__(self, link: RedisLink, mouth: _Mouth, ear: _Ear) -> None:
        self._link, self._mouth, self._ear, self._open = link, mouth, ear, True

    def claim(self, block: int, token: str, seconds: int) -> Deferred[bool]:
        """Whether that block is ours for so long; it may be so already."""
        return Deferred.fromCoroutine(self._claim(f"morphnet:block:{block}", token, seconds))

    async def _claim(self, key: str, token: str, seconds: int) -> bool:
        if await self._ask("SET", key, token, "NX", "EX", seconds) is not None:
            return True
        if await self._ask("GET", key) != token.encode():
            return False
        return await self._ask("EXPIRE", key, seconds) == 1

    def subscribe(self, channels: Sequence[str]) -> Deferred[None]:
        """Hear those channels from now on."""
        subscribing: Deferred[Any] = self._ear.subscribe(list(channels))
        return subscribing.addTimeout(ANSWER_WITHIN, self._link.reactor).addCallback(lambda answer: None)

    def publish(self, channel: str, message: bytes) -> None:
        """Tell all who hear that channel. Never dropped: when too much waits, the exchange closes."""
        if self._open and not self._say(channel, message, MOST_BACKLOG):
            self.close("it reads too slowly")

    def hand(self, channel: str, message: bytes) -> bool:
        """The same; False when too much waits already, and it was dropped."""
        return self._open and self._say(channel, message, BACKLOG)

    def ask(self, *words: object) -> Deferred[object]:
        """What Redis answers to a command; Away when it does not, or too much waits for it already."""
        return Deferred.fromCoroutine(self._asked(words))

    async def _asked(self, words: tuple[object, ...]) -> object:
        gauge, size = self._mouth.gauge, sum(len(each) for each in words if isinstance(each, str | bytes))
        if not self._open:
            raise RedisAway("Redis is away")
        if gauge.unsent + size > MOST_BACKLOG or len(self._mouth.replyQueue.waiting) >= MOST_UNANSWERED:
            raise RedisAway("Redis has too much to do")
        gauge.add(size)
        try:
            return await self._ask(*words)
        except TimeoutError:
            self.close("it does not answer")
            raise RedisAway("Redis does not answer") from None
        except RedisError as trouble:
            raise RedisAway(str(trouble)) from trouble

    def has(self, connection: object) -> bool:
        """Whether it is one of the two."""
        return connection in (self._mouth, self._ear)

    def close(self, reason: str) -> None:
        """It is of no use: `closed` follows, and another one is opened."""
        if self._open:
            self._open = False
            self._link.renew(reason)

    def end(self) -> None:
        """Nothing more is said or heard."""
        self._open = False
        for connection in (self._mouth, self._ear):
            connection.transport.abortConnection()

    def finish(self) -> None:
        """The same, after what was said has been sent."""
        self._open = False
        self._mouth.transport.loseConnection()
        self._ear.transport.abortConnection()

    def _say(self, channel: str, message: bytes, most: int) -> bool:
        gauge = self._mouth.gauge
        if gauge.unsent + len(message) > most or len(self._mouth.replyQueue.waiting) >= MOST_UNANSWERED:
            return False
        gauge.add(len(message))
        saying: Deferred[object] = self._mouth.execute_command("PUBLISH", channel, message)
        saying.addErrback(self._failed)
        return True

    async def _ask(self, *words: object) -> object:
        asking: Deferred[object] = self._mouth.execute_command(*words)
        return await asking.addTimeout(ANSWER_WITHIN, self._link.reactor)

    def _failed(self, failure: Failure) -> None:
        """A command that nobody waits for has failed, or the connection while it was on its way."""
        failure.trap(RedisError)
        self.close(failure.getErrorMessage())


class RedisLink:
    """Calls Redis again for ever, and gives the cluster an exchange whenever it is there."""

    _log = Logger()

    def __init__(self, reactor: Any, place: RedisUrl, cluster: Hearer) -> None:
        self.reactor, self.place, self.cluster = reactor, place, cluster
        self._exchange: RedisExchange | None = None
        self._calling: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._tries = 0
        self._stopped = False

    def start(self) -> None:
        """Call."""
        self._timer = None
        self._calling = Deferred.fromCoroutine(self._call())
        self._calling.addErrback(lambda failure: self._log.failure("the call to Redis broke", failure))

    def stop(self) -> None:
        """Hang up; what was said is sent."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._calling is not None:
            self._calling.cancel()
        if self._exchange is not None:
            self._exchange.finish()

    def _endpoint(self) -> IStreamClientEndpoint:
        place = self.place
        if place.path:
            return UNIXClientEndpoint(self.reactor, place.path, timeout=ANSWER_WITHIN)
        plain = HostnameEndpoint(self.reactor, place.host, place.port, timeout=ANSWER_WITHIN)
        return wrapClientTLS(optionsForClientTLS(place.host), plain) if place.tls else plain

    async def _call(self) -> None:
        made: list[Any] = []
        try:
            for kind in (_Mouth, _Ear):
                connection: Any = await self._endpoint().connect(_Connections(self, kind))
                made.append(connection)
                await connection.settled.addTimeout(ANSWER_WITHIN, self.reactor)
        except CancelledError:
            self._abort(made)
            return
        except Exception as trouble:  # whatever the resolver, the kernel, TLS or Redis says
            self._abort(made)
            self._again(str(trouble) or type(trouble).__name__)
            return
        self._tries = 0
        self._exchange = RedisExchange(self, *made)
        if not all(connection.connected for connection in made):
            self.renew("the connection was lost")
            return
        self.cluster.opened(self._exchange)

    def _abort(self, made: list[Any]) -> None:
        for connection in made:
            connection.transport.abortConnection()

    def lost(self, connection: object, why: str) -> None:
        """One of the two is gone."""
        if self._exchange is not None and self._exchange.has(connection):
            self.renew(why)

    def renew(self, reason: str) -> None:
        """The exchange is of no use."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end()
            self._again(reason)

    def _again(self, reason: str) -> None:
        if self._stopped:
            return
        if not self._tries:
            why = printable(reason)  # it may be Redis's own words
            self._log.warn("Redis at {place} cannot be reached: {reason}", place=str(self.place), reason=why)
        self._timer = self.reactor.callLater(WAITS[min(self._tries, len(WAITS) - 1)], self.start)
        self._tries += 1
        self.cluster.closed(reason)
