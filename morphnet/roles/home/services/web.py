"""
Web pages of machines at home: one request a stream, to a host and port of the settings and to no other.

Source: docs/home, Services; RFC 9110.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from morphnet.errors import PeerError, Refused
from morphnet.rendezvous.home.streams import WINDOW, Stream
from morphnet.roles.home.services.files import text
from morphnet.roles.home.services.tcp import why_not
from morphnet.wire.messages.home import frames

MOST = 24  # requests at once
WITHIN = 30.0  # seconds for an answer to begin
LONGEST = WINDOW  # bytes of what is sent
MOST_COOKIES = 50  # of one answer
LONGEST_LOCATION = 4096  # characters
LONGEST_FIELD = 1024  # characters of another field
_PATH = re.compile(r"/[\x21-\x7e]{0,4095}")
_TOLD = re.compile(r"[\x20-\x7e]{0,4096}")
_SENT = {"type": "Content-Type", "cookie": "Cookie", "authorization": "Authorization"}  # by what the page calls them


def _origin(url: str) -> tuple[str, str, int]:
    found = urlsplit(url)
    return found.scheme, found.hostname or "", found.port or (443 if found.scheme == "https" else 80)


class Body(Protocol):
    """The body of an answer, for a browser that reads as it likes."""

    def __init__(self, stream: Stream, over: Callable[[], None]) -> None:
        self._stream, self._over = stream, over
        self._waiting: deque[bytes] = deque()
        self._done: str | None = None  # "" when all has come, else why not

    def dataReceived(self, data: bytes) -> None:
        self._waiting.append(data)
        self.room()
        if self._waiting and self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008  # as Twisted has it
        # PotentialDataLoss: an answer without a length ends with its connection, as those of HTTP/1.0 do.
        self._done = "" if reason.check(ResponseDone, PotentialDataLoss) else "the answer was cut"
        self.room()

    def room(self) -> None:
        """The browser has read."""
        stream = self._stream
        while self._waiting and stream.window and stream.open:
            data = self._waiting.popleft()
            if len(data) > stream.window:
                self._waiting.appendleft(data[stream.window :])
                data = data[: stream.window]
            stream.write(data)
        if self._waiting:
            return
        if self._done is None:
            if self.transport is not None:
                self.transport.resumeProducing()  # type: ignore[attr-defined]
        else:
            if self._done:
                stream.refuse(self._done)
            stream.end()
            self._over()

    def stop(self) -> None:
        """Nobody wants it any more."""
        self._waiting.clear()
        if self.transport is not None:
            self.transport.stopProducing()  # type: ignore[attr-defined]


class Request:
    """One request of a browser: an outlet. What is sent with it comes first, as bytes, then the end."""

    _log = Logger()

    def __init__(
        self, stream: Stream, ask: Callable[[bytes], Deferred[Any]], url: str, over: Callable[[], None]
    ) -> None:
        self._stream, self._ask, self._url, self._over = stream, ask, url, over
        self._sent = b""
        self._asking: Deferred[Any] | None = None
        self._body: Body | None = None

    def received(self, data: bytes) -> None:
        """A part of what is sent."""
        self._sent += data
        if len(self._sent) > LONGEST:
            self._stream.refuse("that is more than may be sent at once")
            self.gone()

    def said(self, what: dict[str, Any]) -> None:
        """Nothing more is said."""

    def room(self) -> None:
        """The browser has read."""
        if self._body is not None:
            self._body.room()

    def ended(self) -> None:
        """All is here: ask."""
        if self._asking is None and self._stream.open:
            self._asking = self._ask(self._sent)
            self._asking.addCallbacks(self._answered, self._failed)

    def gone(self) -> None:
        """Nobody waits for it any more."""
        if self._body is not None:
            self._body.stop()
        elif self._asking is not None:
            self._asking.cancel()
        self._over()

    def _answered(self, response: IResponse) -> None:
        self._body = Body(self._stream, self._over)
        try:
            self._stream.say(_told(response, self._url))
        except (PeerError, ValueError):
            self._log.failure("an answer cannot be told")
            self._stream.refuse("its answer cannot be read")
            response.deliverBody(self._body)  # else its connection stays
            self._body.stop()
            self._over()
            return
        response.deliverBody(self._body)

    def _failed(self, failure: Failure) -> None:
        self._over()
        if not failure.check(CancelledError) or self._stream.open:
            self._stream.refuse(f"it cannot be reached: {why_not(failure)}")


class Web:
    """
    The service of that name.

    :param pages: URLs by their names.
    """

    name = "web"

    def __init__(self, pages: Mapping[str, str], agent: IAgent, clock: IReactorTime) -> None:
        self._pages, self._agent, self._clock = pages, agent, clock
        self._requests: dict[int, Request] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._requests)

    def opened(self, stream: Stream, asked: dict[str, Any]) -> str:
        """
        Tell which pages there are, or ask one of them; what was done, in words.

        :raises Refused: there is none of that name, or it is asked for what we do not ask for.
        """
        if asked.get("do") == "list":
            stream.say({"pages": dict(self._pages)})
            stream.end()
            return "asks which pages there are"
        name, method, path = text(asked, "name"), asked.get("method", "GET"), text(asked, "path")
        base = self._pages.get(name)
        if base is None:
            raise Refused("there is none of that name")
        if method not in ("GET", "POST") or not _PATH.fullmatch(path):
            raise Refused("no such thing is asked of a page")
        found = urlsplit(base)
        url = f"{found.scheme}://{found.netloc}{path}"
        if _origin(url) != _origin(base):
            raise Refused("no such thing is asked of a page")
        if len(self._requests) >= MOST:
            raise Refused("there are as many requests as there may be")
        self._open(stream, method, url, _headers(asked))
        return f"web {name}: {method} {path.partition('?')[0]}"

    def _open(self, stream: Stream, method: str, url: str, headers: Headers) -> None:
        self._number += 1
        number = self._number

        def ask(sent: bytes) -> Deferred[Any]:
            body = None if method == "GET" else Sent(sent)
            asking = self._agent.request(method.encode(), url.encode(), headers, body)
            asking.addTimeout(WITHIN, self._clock)
            return asking

        stream.outlet = self._requests[number] = Request(stream, ask, url, lambda: self._over(number))

    def _over(self, number: int) -> None:
        self._requests.pop(number, None)

    def close(self) -> None:
        """End every request."""
        for request in list(self._requests.values()):
            request.gone()


@implementer(IBodyProducer)
class Sent:
    """What goes with a request: it is all here."""

    def __init__(self, sent: bytes) -> None:
        self._sent, self.length = sent, len(sent)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._sent)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is given in one go."""

    resumeProducing = stopProducing = pauseProducing


def _headers(asked: dict[str, Any]) -> Headers:
    """
    What goes with a request, of what the page may say.

    :raises Refused: it would be more than that.
    """
    headers = Headers({"User-Agent": ["morphnet"], "Accept": ["*/*"]})
    for word, name in _SENT.items():
        if word in asked:
            value = text(asked, word)
            if not _TOLD.fullmatch(value):
                raise Refused(f"{word} is no text")
            headers.addRawHeader(name, value)
    return headers


def _told(response: IResponse, url: str) -> dict[str, Any]:
    """What the page is told of an answer: as much as goes into one item, whatever the machine says."""

    def first(name: str, longest: int) -> str:
        found = response.headers.getRawHeaders(name.encode()) or [b""]
        return bytes(found[0]).decode("latin-1")[:longest]

    cookies = list[str]()
    told: dict[str, Any] = {"status": response.code, "type": first("content-type", LONGEST_FIELD), "cookies": cookies}
    told["asks"] = first("www-authenticate", LONGEST_FIELD)
    with suppress(ValueError):  # it leads nowhere: then it is shown as it is
        if location := first("location", LONGEST_LOCATION):
            told["location"] = urljoin(url, location)
    left = frames.LONGEST - len(json.dumps(told))
    for each in (response.headers.getRawHeaders(b"set-cookie") or [])[:MOST_COOKIES]:
        cookie = each.decode("latin-1")
        left -= len(json.dumps(cookie)) + 1
        if left < 0:
            break
        cookies.append(cookie)
    return told
