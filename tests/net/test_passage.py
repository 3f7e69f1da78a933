"""A connection through a relay, as its two ends see it."""

from __future__ import annotations

from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.dial import Destination, Net
from morphnet.net.passage import MOST_UNSENT, PIECE, NoPassage, PassageDial, PassageTransport
from morphnet.net.tls import ClientTls
from morphnet.net.websocket import Socket
from morphnet.rendezvous.relay.passages import NOBODY_COMES
from morphnet.wire.messages.relay import Asked, Meet, Reach, Register, encode
from tests.fakes_control import SERVER_HOST
from tests.fakes_relay import RelayTestCase
from tests.fakes_tls import CLIENT, SERVER


class FakeSocket:
    """The relay's side reads when a test says so."""

    host, port, local, local_port = "203.0.113.1", 443, "192.0.2.1", 50000

    def __init__(self) -> None:
        self.reads, self.sent, self.ended, self.stopped = True, list[bytes](), "", False
        self.drained = lambda: None

    def send_binary(self, content: bytes) -> bool:
        self.sent.append(content)
        return True

    def stop_reading(self) -> None:
        self.stopped = True

    def read_on(self) -> None:
        self.stopped = False

    def end(self, reason: str) -> None:
        self.ended = "end"

    def drop(self, reason: str) -> None:
        self.ended = "drop"

    def read(self) -> None:
        """It does."""
        self.reads = True
        self.drained()


class FakeProducer:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")


class TransportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.socket, self.producer = FakeSocket(), FakeProducer()
        self.transport = PassageTransport(cast(Socket, self.socket))
        self.transport.registerProducer(self.producer, True)

    def test_addresses(self) -> None:
        """Those of the connection to the relay."""
        self.assertEqual((self.transport.getPeer().host, self.transport.getHost().port), ("203.0.113.1", 50000))

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 3 * PIECE), st.booleans()), max_size=12))
    def test_whole(self, steps: list[tuple[int, bool]]) -> None:
        """Whatever is written arrives, whole and in order and in pieces, whenever the relay reads."""
        self.setUp()
        said = b""
        for number, (size, reads) in enumerate(steps):
            self.transport.write(bytes((number,)) * size)
            said += bytes((number,)) * size
            if reads:
                self.socket.read()
            else:
                self.socket.reads = False
        self.transport.loseConnection()
        self.socket.read()
        self.assertEqual(b"".join(self.socket.sent), said)
        self.assertLessEqual(max(map(len, self.socket.sent), default=0), PIECE)
        self.assertEqual(self.socket.ended, "end")

    def test_waits(self) -> None:
        """Who writes is asked to wait, once, and to go on when all is sent."""
        self.socket.reads = False
        self.transport.write(b"a")
        self.transport.write(b"b")
        self.assertEqual((self.producer.told, self.socket.sent), (["pause"], []))
        self.socket.read()
        self.assertEqual((self.producer.told, self.socket.sent), (["pause", "resume"], [b"a", b"b"]))

    def test_too_much(self) -> None:
        """Who does not wait is hung up on; nothing is left out."""
        self.socket.reads = False
        self.transport.write(bytes(MOST_UNSENT))
        self.assertEqual(self.socket.ended, "")
        self.transport.write(b"x")
        self.assertEqual(self.socket.ended, "drop")

    def test_reading(self) -> None:
        """A protocol that wants no more is given no more."""
        self.transport.pauseProducing()
        self.assertTrue(self.socket.stopped)
        self.transport.resumeProducing()
        self.assertFalse(self.socket.stopped)


class Talker(Protocol):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.heard, self.gone = b"", False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        self.gone = True


class DialTests(RelayTestCase):
    """By a relay."""

    def setUp(self) -> None:
        super().setUp()
        self.gateway = self.ca.identity("gateway", SERVER)
        self.line = self.raw(self.gateway)
        self.line.say(encode(Register("gateway", "0" * 16, passages=True)))
        self.net.settle()

    def call(self, first: Reach | Meet, factory: IProtocolFactory | None = None) -> Deferred[IProtocol]:
        """One end calls."""
        identity = self.ca.identity("laptop", CLIENT) if isinstance(first, Reach) else self.gateway
        to = Destination(SERVER_HOST, 443)
        dial = PassageDial(cast(Net, self.net), ClientTls(identity, "relay"), to, first)
        calling = dial.connect(factory or cast(IProtocolFactory, Factory.forProtocol(Talker)))
        self.net.settle()
        return calling

    def meet(self, factory: IProtocolFactory | None = None) -> Deferred[IProtocol]:
        """The server goes where it was asked to."""
        asked = self.line.messages()[-1]
        assert isinstance(asked, Asked)
        return self.call(Meet(asked.token), factory)

    def test_through(self) -> None:
        """Megabytes arrive; when one end hangs up the other is told."""
        calling = self.call(Reach("gateway"))
        there = cast(Talker, self.successResultOf(self.meet()))
        here = cast(Talker, self.successResultOf(calling))
        assert here.transport is not None and there.transport is not None
        here.transport.write(b"abcd" * 100_000)
        there.transport.write(b"hello")
        self.net.pass_by(1.0, 0.1)
        self.assertEqual((there.heard, here.heard), (b"abcd" * 100_000, b"hello"))
        there.transport.loseConnection()
        self.net.settle()
        self.assertEqual((here.gone, there.gone), (True, True))

    def test_nobody_comes(self) -> None:
        """It fails in the end, with a sentence."""
        calling = self.call(Reach("gateway"))
        self.assertNoResult(calling)
        self.net.pass_by(6.0)
        self.assertEqual(str(self.failureResultOf(calling, NoPassage).value), NOBODY_COMES)

    def test_given_up(self) -> None:
        """A call that is cancelled leaves nothing behind, in either part of it."""
        calling = self.call(Reach("gateway"))
        calling.cancel()
        self.failureResultOf(calling).trap(CancelledError, NoPassage)
        self.net.settle()
        self.assertEqual(self.relay.counters()["passages"], 0)

    def test_full(self) -> None:
        """A server that has no room hangs up, on both."""
        calling = self.call(Reach("gateway"))

        class Full(Factory):
            def buildProtocol(self, addr: object) -> None:
                return None

        self.failureResultOf(self.meet(cast(IProtocolFactory, Full())), NoPassage)
        found: list[object] = []
        calling.addBoth(found.append)
        self.net.settle()
        (here,) = found
        self.assertTrue(isinstance(here, Failure) or cast(Talker, here).gone)
