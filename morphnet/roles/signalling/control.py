"""
The control link, what both ends have in common: TLS first, then signals, each within its time and size.

The ends themselves are in control_server and control_client. Source: docs/protocol sections 5 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import MalformedFrame, PeerError, Refused
from morphnet.net.limits import TokenBucket
from morphnet.net.sockaddr import host_of
from morphnet.net.tls import Peer, established, exporter, handshake_trouble
from morphnet.wire.messages.codec import phrase
from morphnet.wire.messages.control import Goodbye, Ping, Pong, Signal, SignalReader, encode
from morphnet.wire.messages.revocations import Listing


@dataclass(frozen=True, slots=True)
class Pace:
    """The times and amounts of a link."""

    handshake_s: float = 10.0  # from TCP to TLS
    hello_s: float = 10.0  # from TLS to Welcome
    ping_s: float = 15.0  # from what was heard last to a ping
    silence_s: float = 40.0  # without a byte from the peer: the link is dead
    goodbye_s: float = 2.0  # for the last words to arrive
    rate: float = 20.0  # signals a second that the peer may send
    burst: int = 100  # of them at once
    backlog: int = 256 << 10  # bytes that the peer may leave unread


PACE = Pace()


@implementer(IHandshakeListener, IPushProducer)
class ControlLink(Protocol):
    """
    One end of one link; its transport is a TLSMemoryBIOProtocol.

    An end says what happens by overriding `introduced`, `turned_away`, `received` and `ended`.

    :param pq: "require" or "allow", see tls.established.
    """

    patience = 1.0  # times ping_s: one end lets the other one ping first, which is enough for both

    def __init__(self, clock: IReactorTime, pace: Pace, pq: str) -> None:
        self._clock, self._pace, self._pq = clock, pace, pq
        self._reader = SignalReader()
        self._allowance = TokenBucket(pace.rate, pace.burst, now=clock.seconds())
        self._timer: IDelayedCall | None = None
        self._paused, self._unread = False, 0
        self._ending = False
        self._why = ""  # the first reason that we know for the end
        self._heard_at = self._pinged_at = clock.seconds()
        self._prove_by: float | None = None
        self._pings = 0
        self.peer: Peer | None = None  # once the handshake is complete
        self.group = ""  # the same
        self.host = self.local = ""  # numeric addresses, the peer's and ours

    # for the ends

    def introduced(self) -> None:
        """The handshake is complete and `peer` known; `settled` must be called within hello_s."""
        raise NotImplementedError

    def turned_away(self, reason: str) -> None:
        """The handshake is complete and the peer not to be talked to; the link is dropped after this."""

    def received(self, signal: Signal) -> None:
        """
        Anything but Ping and Pong.

        :raises PeerError: it has no place here; the link is dropped.
        """
        raise NotImplementedError

    def ended(self, reason: str, failure: Failure) -> None:
        """The connection is gone."""
        raise NotImplementedError

    def settled(self) -> None:
        """From now on the link lives until it falls silent."""
        self._heard_at = self._pinged_at = self._clock.seconds()
        self._next_look()

    # for everybody

    def export(self, context: bytes) -> bytes:
        """64 bytes of key material, see tls.exporter; only while the link is up."""
        return exporter(self._connection(), context)

    def send(self, signal: Signal) -> None:
        """
        Send it, or nothing once the link is ending.

        :raises BugError: a field is out of its range.
        """
        if self._ending:
            return
        data = encode(signal)
        if self._paused:
            self._unread += len(data)
            if self._unread > self._pace.backlog:
                self.drop("peer does not read")
                return
        self._tls().write(data)

    def tell(self, message: Listing) -> None:
        """Send what is to be said of revoked certificates."""
        self.send(message)

    def close(self, reason: str = "") -> None:
        """Say Goodbye and end the link."""
        self.finish(Goodbye(phrase(reason)), reason)

    def finish(self, last: Signal, reason: str) -> None:
        """Say `last` and end the link; the peer has goodbye_s to take note."""
        if self._ending:
            return
        self.send(last)
        if self._ending:  # nobody reads
            return
        self._why = self._why or reason
        self._ending = True
        self._tls().unregisterProducer()  # or TLS waits for it
        self._at(self._pace.goodbye_s, lambda: self._tls().abortConnection())
        self._tls().loseConnection()

    def drop(self, reason: str) -> None:
        """End the link at once."""
        self._why = self._why or reason
        self._ending = True
        self._tls().abortConnection()

    def prove(self, within: float) -> None:
        """Ask the peer for a sign of life; the link is dropped when none comes within so many seconds."""
        if self._ending or self.peer is None:
            return
        if self._prove_by is None:
            self._prove_by = self._clock.seconds() + within
        self._ping()
        self._next_look()

    # what Twisted calls

    def connectionMade(self) -> None:
        transport = self._tls()
        self.host, self.local = host_of(transport.getPeer()), host_of(transport.getHost())
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        self._at(self._pace.handshake_s, lambda: self.drop("handshake took too long"))

    def handshakeCompleted(self) -> None:
        self._tls().registerProducer(self, True)
        self._at(self._pace.hello_s, lambda: self.drop("hello took too long"))
        try:
            self.peer, self.group = established(self._connection(), self._pq)
        except Refused as refused:
            self.turned_away(refused.reason)
            self.drop_unless_ending(refused.reason)
        else:
            self.introduced()

    def dataReceived(self, data: bytes) -> None:
        self._heard_at, self._prove_by = self._clock.seconds(), None
        try:
            while not self._ending and (signals := self._reader.feed(data)):
                data = b""  # until the reader has nothing more to say
                for signal in signals:
                    self._dispatch(signal)
        except PeerError as trouble:
            self.drop(str(trouble))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._ending = True
        self.ended(self._why or handshake_trouble(self._tls().getHandle(), reason), reason)

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused, self._unread = False, 0

    def stopProducing(self) -> None:
        """The transport is gone; connectionLost tells."""

    def give_up(self) -> None:
        """The connection is somebody else's from now on: nothing of it is heard any more."""
        self._ending = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # within

    def _tls(self) -> TLSMemoryBIOProtocol:
        return cast(TLSMemoryBIOProtocol, self.transport)

    def _connection(self) -> SSL.Connection:
        return cast(SSL.Connection, self._tls().getHandle())

    def drop_unless_ending(self, reason: str) -> None:
        """End the link at once if nothing has ended it in good manners."""
        if not self._ending:
            self.drop(reason)

    def _dispatch(self, signal: Signal) -> None:
        if self._ending:
            return
        if not self._allowance.take(now=self._clock.seconds()):
            raise MalformedFrame("too many messages")
        if isinstance(signal, Ping):
            self.send(Pong(signal.nonce))
        elif not isinstance(signal, Pong):
            self.received(signal)

    def _ping(self) -> None:
        self._pings = (self._pings + 1) & 0xFFFFFFFF
        self._pinged_at = self._clock.seconds()
        self.send(Ping(self._pings))

    def _look(self) -> None:
        """Is the peer still there?"""
        now = self._clock.seconds()
        if now >= self._dead_at():
            self.drop(f"silent for {now - self._heard_at:.0f} s")
            return
        if self._ping_at() <= now:
            self._ping()
        self._next_look()

    def _ping_at(self) -> float:
        return max(self._pinged_at, self._heard_at) + self.patience * self._pace.ping_s

    def _dead_at(self) -> float:
        dead_at = self._heard_at + self._pace.silence_s
        return dead_at if self._prove_by is None else min(dead_at, self._prove_by)

    def _next_look(self) -> None:
        if not self._ending:
            next_at = min(self._ping_at(), self._dead_at())
            self._at(max(0.0, next_at - self._clock.seconds()), self._look)

    def _at(self, seconds: float, what: Callable[[], None]) -> None:
        """The one timer of a link: a new one replaces the old."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, what)
