"""The feed: a unix socket on which a running node answers in JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import ConfigError, HostError
from morphnet.ops.node import Node
from morphnet.ops.request import Request, parse_request
from morphnet.ops.sockets import listen_private
from morphnet.ops.verb import Answer
from morphnet.status import as_json

MAX_LINE = 4096  # bytes of one request
MAX_CLIENTS = 32
PATIENCE = 10.0  # seconds a client may leave its answers unread
POLL = 0.2  # seconds between looks at the history for a client that follows it


@implementer(IPushProducer)
class FeedProtocol(LineReceiver):
    """
    One client: a request a line, and one line or a stream of lines in answer.

    It is the producer of its own transport, so a client that does not read is not read from either, and what waits
    for it stays within one transport buffer and one answer.
    """

    delimiter = b"\n"
    MAX_LENGTH = MAX_LINE
    paused = False
    transport: Any  # ITCPTransport; Twisted's own annotation knows only ITransport
    _log = Logger()

    def __init__(self, factory: FeedFactory) -> None:
        self.factory: FeedFactory = factory
        self._stop_stream: Callable[[], None] | None = None
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        if len(self.factory.clients) >= MAX_CLIENTS:
            self._bye(f"{MAX_CLIENTS} clients are connected already")
            return
        self.factory.clients.add(self)
        self.transport.registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.clients.discard(self)
        self._end_stream()
        self._clear_deadline()

    # -- being slow ---------------------------------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        super().pauseProducing()
        if self._deadline is None:
            self._deadline = self.factory.clock.callLater(PATIENCE, self._drop)

    def resumeProducing(self) -> None:
        self._clear_deadline()
        super().resumeProducing()

    def stopProducing(self) -> None:
        self._end_stream()

    def _clear_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _drop(self) -> None:
        self.factory.dropped += 1
        self.transport.abortConnection()

    # -- asking -------------------------------------------------------------------------------------------------------

    def lineLengthExceeded(self, line: bytes) -> None:
        self._bye(f"a request is one line of at most {MAX_LINE} bytes")

    def lineReceived(self, line: bytes) -> None:
        try:
            node = self.factory.node
            request = parse_request(line, node.role, node.verbs())
            if request.streams and self._stop_stream is not None:
                raise ConfigError("this connection follows something already: open another")
            self._answer(request)
        except (ConfigError, HostError) as error:
            self._say({"error": str(error)})

    def _answer(self, request: Request) -> None:
        node, verb, said = self.factory.node, request.verb, request.said
        match verb.name:
            case "status":
                self._say(as_json(node.status()))
            case "watch":
                self._repeat(said["every"], lambda: self._say(as_json(node.status().brief())))
            case "happenings" if said["follow"]:
                self._follow(said["after"])
            case "happenings":
                self._say({"happenings": [as_json(each) for each in node.happenings(said["after"])]})
            case _ if verb.answer is Answer.LINES:
                self._lines(request)
            case _ if verb.answer is Answer.PICTURE:
                self._wait(verb.call(**said))
            case _:
                self._say({"done": verb.call(**said)})

    def _repeat(self, every: float, act: Callable[[], None]) -> None:
        """Do it now and again, but not while the client does not read."""
        loop = LoopingCall(lambda: None if self.paused else act())
        loop.clock = self.factory.clock
        self._stop_stream = loop.stop
        loop.start(every).addErrback(self._broken)

    def _wait(self, answer: Deferred[Any]) -> None:
        """Say in one line what comes of it, unless the client leaves first."""
        self._stop_stream = answer.cancel

        def came(picture: Any) -> None:
            self._stop_stream = None
            self._say(as_json(picture))

        answer.addCallback(came)
        answer.addErrback(lambda failure: failure.trap(CancelledError) and None)
        answer.addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        self._log.failure("a stream of the feed ended", failure=failure)
        self._stop_stream = None
        self.transport.abortConnection()

    def _follow(self, after: int) -> None:
        seen = after

        def news() -> None:
            nonlocal seen
            for happening in self.factory.node.happenings(seen):
                if self.paused:  # the rest is remembered until this client reads again
                    return
                seen = happening.number
                self._say(as_json(happening))

        self._repeat(POLL, news)

    def _lines(self, request: Request) -> None:
        """Those of a verb, each as what it is of, for as many seconds as were asked for."""
        verb, seconds, missed = request.verb, request.said["seconds"], 0

        def line(text: str) -> None:
            nonlocal missed
            if self.paused:
                missed += 1
            else:
                self._say({verb.name: text})

        stop = verb.call(**request.said, sink=line)

        def ended() -> None:
            self._end_stream()
            self._say({"done": f"{verb.name}: {seconds:g} s are over" + (f", {missed} lines missed" if missed else "")})

        timer = self.factory.clock.callLater(seconds, ended)

        def end() -> None:
            stop()
            if timer.active():
                timer.cancel()

        self._stop_stream = end

    def _end_stream(self) -> None:
        stop, self._stop_stream = self._stop_stream, None
        if stop is not None:
            stop()

    def _say(self, answer: dict[str, Any]) -> None:
        self.sendLine(json.dumps(answer, separators=(",", ":")).encode())

    def _bye(self, error: str) -> None:
        self._say({"error": error})
        self._end_stream()
        if self in self.factory.clients:
            self.transport.unregisterProducer()
        self.transport.loseConnection()


class FeedFactory(Factory[FeedProtocol]):
    """What the clients of the feed share."""

    noisy = False

    def __init__(self, clock: IReactorTime, node: Node) -> None:
        self.clock = clock
        self.node = node
        self.clients: set[FeedProtocol] = set()
        self.dropped = 0  # clients that did not read, since start

    def buildProtocol(self, addr: IAddress | None) -> FeedProtocol:
        return FeedProtocol(self)


class FeedService(Service):
    """
    Opens the feed at start (mode 0600) and removes it at stop.

    :param reactor: IReactorUNIX and IReactorTime.
    :param path: of the socket, `run_dir / rundir.FEED`.
    """

    def __init__(self, reactor: Any, path: Path, node: Node) -> None:
        self._reactor = reactor
        self._path = path
        self._port: IListeningPort | None = None
        self.factory = FeedFactory(reactor, node)

    def startService(self) -> None:
        """
        Listen.

        :raises HostError: the socket cannot be made there.
        """
        self._port = listen_private(self._reactor, self._path, self.factory)
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Fires when the socket is gone and every client was told goodbye."""
        super().stopService()
        for client in tuple(self.factory.clients):
            client.transport.abortConnection()
        port, self._port = self._port, None
        return (port and port.stopListening()) or succeed(None)
