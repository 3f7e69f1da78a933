"""The door to a webhook: one POST at a time, whose answer is a number."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, RequestTransmissionFailed, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from morphnet.errors import HostError

WITHIN = 20.0  # seconds for all of it
MOST = 1 << 16  # bytes of an answer's body that are read, and thrown away

_TROUBLES = (
    TimeoutError,
    CancelledError,
    ConnectError,
    ConnectionClosed,
    DNSLookupError,
    RequestTransmissionFailed,
    ResponseFailed,
    OSError,
)


@implementer(IBodyProducer)
class _Body:
    """A few hundred bytes, given at once."""

    def __init__(self, body: bytes) -> None:
        self._body, self.length = body, len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class _Away(Protocol):
    """Reads to the end, or as far as it goes."""

    def __init__(self, done: Deferred[None]) -> None:
        self._done, self._room = done, MOST

    def dataReceived(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0 and self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._done.called:
            self._done.callback(None)


class _Line(HTTPConnectionPool):
    """The connection of one request, which can be cut: twisted's own answers cannot do that."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, persistent=False)
        self._made: list[Protocol] = []

    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:
        return super().getConnection(key, endpoint).addCallback(self._note)

    def _note(self, made: Protocol) -> Protocol:
        self._made.append(made)
        return made

    def cut(self) -> None:
        """Nothing is left of it, also when the other end says no more."""
        for each in self._made:
            transport: Any = each.transport
            transport.abortConnection()


class Webhook:
    """
    :param url: what paths are put behind.
    :param token: goes out as Authorization; "" for none.
    """

    def __init__(self, reactor: Any, url: str, token: str = "") -> None:
        self._reactor, self._url = reactor, url.rstrip("/")
        self._token = token

    async def post(self, path: str, body: bytes, key: str) -> int:
        """
        :param path: behind the URL, from its / on.
        :param body: JSON.
        :param key: under which the other end knows it again.
        :returns: the status of the answer.
        :raises HostError: there was none; whether it has arrived is not known then.
        """
        headers = Headers({"Content-Type": ["application/json"], "Idempotency-Key": [key], "User-Agent": ["morphnet"]})
        if self._token:
            headers.setRawHeaders("Authorization", [self._token])
        url = f"{self._url}{path}".encode("ascii")
        line = _Line(self._reactor)
        try:
            asked = Agent(self._reactor, connectTimeout=WITHIN, pool=line).request(b"POST", url, headers, _Body(body))
            response = await asked.addTimeout(WITHIN, self._reactor)
            read: Deferred[None] = Deferred()
            response.deliverBody(_Away(read))
            with suppress(TimeoutError):  # the status is what was asked for, and it is here
                await read.addTimeout(WITHIN, self._reactor)
        except _TROUBLES as trouble:
            raise HostError(_phrase(trouble)) from None
        finally:
            line.cut()
        return int(response.code)


def _phrase(trouble: BaseException) -> str:
    """What is wrong, for a person; nothing that the other end has written."""
    if isinstance(trouble, RequestTransmissionFailed | ResponseFailed) and trouble.reasons:
        return _phrase(trouble.reasons[0].value)
    if isinstance(trouble, TimeoutError | CancelledError):
        return f"no answer within {WITHIN:g} s"
    doc = (type(trouble).__doc__ or type(trouble).__name__).strip().splitlines()[0]
    return doc.rstrip(".").lower()[:100]
