"""
A DNS server for those who are known by their address, by UDP and TCP; a stranger gets silence.

Each caller has a share: of questions a second, of questions that wait, of connections. What is no question is dropped
and counted. An answer is never much longer than what was asked, unless by TCP or as the caller has said that it takes.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IConsumer, IProducer, IPushProducer, ITCPTransport
from twisted.internet.protocol import DatagramProtocol, ServerFactory
from twisted.names import dns
from twisted.protocols.basic import Int16StringReceiver
from zope.interface import implementer

from morphnet.errors import HostError
from morphnet.net.dnsmessage import PORT, Answer, Asked, answer_bytes, asked_in, own_answer
from morphnet.net.limits import SourceLimiter
from morphnet.net.upstream import Upstream
from morphnet.rendezvous.naming import Ask, Naming

RATE, BURST, SOURCES = 100.0, 400, 4096  # questions a second of one caller, at once; callers that are remembered
MOST_STREAMS, MOST_STREAMS_OF_ONE = 128, 4
IDLE = 10.0  # seconds that a connection may say nothing
MOST_AT_ONCE = 16  # questions of one connection that wait
LONGEST_QUESTION = 1024  # bytes

Reply = Callable[[bytes], None]


class NameServer:
    """
    At one or several addresses.

    :param net: the reactor.
    :param naming: where each name goes.
    :param known: whether an address is of somebody who gets answers.
    :param rate: questions of one caller, a second and at once.
    """

    def __init__(
        self,
        net: Any,
        naming: Naming,
        upstream: Upstream,
        known: Callable[[str], bool],
        rate: tuple[float, int] = (RATE, BURST),
    ) -> None:
        self._net, self.naming, self._upstream, self._known = net, naming, upstream, known
        self._limiter = SourceLimiter(*rate, SOURCES)
        self._listening: list[Any] = []
        self.streams: Counter[str] = Counter()  # connections by caller
        self.open: set[_Stream] = set()
        self._counts: Counter[str] = Counter()

    def listen(self, host: str, port: int = PORT) -> None:
        """
        Answer there.

        :raises HostError: the machine refuses the address or the port.
        """
        made: list[Any] = []
        try:
            made.append(self._net.listenUDP(port, _Datagrams(self), interface=host, maxPacketSize=4096))
            made.append(self._net.listenTCP(port, _Streams(self), interface=host))
        except CannotListenError as problem:
            for each in made:
                each.stopListening()
            why = problem.socketError
            number = getattr(why, "errno", None)
            hint = "; ports below 1024 need root, or CAP_NET_BIND_SERVICE" if number == errno.EACCES else ""
            reason = os.strerror(number) if number else str(why)
            raise HostError(f"cannot answer questions for names at {host} port {port}: {reason}{hint}") from None
        self._listening += made

    def counters(self) -> dict[str, int]:
        """What was answered, asked and dropped."""
        return dict(self._counts + self._upstream.counts)

    def close(self) -> Deferred[Any]:
        """Answer nobody any more; fires when the ports are free."""
        self._upstream.close()
        for stream in list(self.open):
            stream.abort()
        ended = [maybeDeferred(each.stopListening) for each in self._listening]
        self._listening = []
        return DeferredList(ended)

    def later(self, seconds: float, what: Callable[[], None]) -> Any:
        """Do that then."""
        return self._net.callLater(seconds, what)

    def admits(self, host: str) -> bool:
        """Whether that one may ask one more now."""
        if not self._known(host):
            self._counts["names_strangers"] += 1
        elif not self._limiter.admit(host, now=self._net.seconds()):
            self._counts["names_too_many"] += 1
        else:
            return True
        return False

    def asked(self, host: str, data: bytes, reply: Reply, *, stream: bool = False) -> bool:
        """
        Somebody who was admitted asks; False when that is no question.

        :param reply: gets the answer, when there is one.
        :param stream: the answer may be long.
        """
        asked = asked_in(data) if len(data) <= LONGEST_QUESTION else None
        if asked is None:
            self._counts["names_malformed"] += 1
            return False
        most = None if stream else asked.size
        question = asked.question
        if asked.is_refused:
            self._answer(asked, most, reply, Answer(dns.EREFUSED))
            return True
        found = self.naming.where(question.text, of_zone=question.of_zone)
        if isinstance(found, Ask):
            self._upstream.ask(host, question, found).addCallback(partial(self._answer, asked, most, reply))
        else:
            self._answer(asked, most, reply, own_answer(question, found))
        return True

    def _answer(self, asked: Asked, most: int | None, reply: Reply, answer: Answer) -> None:
        self._counts["names_answered"] += 1
        reply(answer_bytes(asked, answer, most))


class _Datagrams(DatagramProtocol):
    """Questions by UDP."""

    noisy = False

    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        if self._server.admits(addr[0]):
            self._server.asked(addr[0], datagram, partial(self._reply, addr))

    def _reply(self, addr: tuple[str, int], data: bytes) -> None:
        if self.transport is not None:
            try:
                self.transport.write(data, addr)
            except OSError:  # a full buffer, or nobody there any more: UDP promises nothing
                pass


class _Streams(ServerFactory):
    """Who may connect."""

    noisy = False

    def __init__(self, server: NameServer) -> None:
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> _Stream | None:
        host: str = getattr(addr, "host", "")
        streams = self._server.streams
        if not self._server.admits(host) or streams[host] >= MOST_STREAMS_OF_ONE or streams.total() >= MOST_STREAMS:
            return None
        return _Stream(self._server, host)


@implementer(IPushProducer)
class _Stream(Int16StringReceiver):
    """Questions by TCP, each with its length in front. Who asks on without reading the answers is hung up on."""

    MAX_LENGTH = LONGEST_QUESTION

    def __init__(self, server: NameServer, host: str) -> None:
        self._server, self._host = server, host
        self._timer: Any = None
        self._waiting = 0  # questions without an answer
        self._unread = False  # many of the answers are

    def connectionMade(self) -> None:
        cast(IConsumer, self.transport).registerProducer(cast(IProducer, self), True)
        self._server.streams[self._host] += 1
        self._server.open.add(self)
        self._heard()

    def _heard(self) -> None:
        self._rest()
        self._timer = self._server.later(IDLE, self.abort)

    def _rest(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def stringReceived(self, string: bytes) -> None:
        self._heard()
        self._waiting += 1
        admitted = not self._unread and self._waiting <= MOST_AT_ONCE and self._server.admits(self._host)
        if not admitted or not self._server.asked(self._host, string, self._reply, stream=True):
            self.abort()

    def abort(self) -> None:
        """End it at once."""
        cast(ITCPTransport, self.transport).abortConnection()

    def _reply(self, data: bytes) -> None:
        self._waiting -= 1
        if self in self._server.open:
            self.sendString(data)

    def pauseProducing(self) -> None:
        """What was sent is not read."""
        self._unread = True

    def resumeProducing(self) -> None:
        """It is."""
        self._unread = False

    def stopProducing(self) -> None:
        """Nobody is there any more."""

    def lengthLimitExceeded(self, length: int) -> None:
        self.abort()

    def connectionLost(self, reason: Any = None) -> None:
        self._rest()
        self._server.open.discard(self)
        self._server.streams[self._host] -= 1
        if not self._server.streams[self._host]:
            del self._server.streams[self._host]
