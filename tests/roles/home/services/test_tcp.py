"""Streams joined to sockets; real ones are in the lab."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError, DNSLookupError, TimeoutError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.home.streams import WINDOW
from morphnet.roles.home.services.tcp import MOST, Tcp, dial_of
from morphnet.wire.messages.home.frames import Kind
from tests.rendezvous.home.browser import Browser, Opened

PLACES = {"": "127.0.0.1:5900", "console": "/run/console"}


class Socket(StringTransport):
    """In the place of a TCP connection."""

    def __init__(self) -> None:
        super().__init__()
        self.shut = False

    def loseWriteConnection(self) -> None:
        self.shut = True


class Endpoint:
    """In the place of an endpoint: connects when it is told to."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.cancelled = False
        self.done: Deferred[Any] = Deferred(lambda done: setattr(self, "cancelled", True))

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        self._factory = factory
        return self.done

    def answer(self) -> Socket:
        """There is a connection."""
        factory: Any = self._factory
        self.protocol: Any = factory.buildProtocol(None)
        socket = Socket()
        self.protocol.makeConnection(socket)
        self.done.callback(self.protocol)
        return socket


class TcpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dialled: list[Endpoint] = []
        self.tcp = Tcp("tcp", PLACES, self.dial)
        self.told: list[str] = []
        self.browser = Browser(Clock(), lambda stream, asked: self.told.append(self.tcp.opened(stream, asked)))

    def dial(self, place: str) -> Any:
        self.dialled.append(Endpoint(place))
        return self.dialled[-1]

    def join(self, **asked: object) -> tuple[Opened, Socket]:
        opened = self.browser.open(**asked)
        return opened, self.dialled[-1].answer()

    def test_both_ways(self) -> None:
        """Bytes go both ways, those too that come before there is a connection; and where it goes is logged."""
        opened = self.browser.open(name="console")
        self.browser.write(b"early ")
        socket = self.dialled[0].answer()
        self.browser.write(b"late")
        self.dialled[0].protocol.dataReceived(b"hello")
        self.assertEqual((socket.value(), opened.data, opened.said), (b"early late", b"hello", [{"open": True}]))
        self.assertEqual(self.told, ["opens tcp console at /run/console"])

    def test_only_what_is_allowed(self) -> None:
        """A browser says a name and nothing else: no address of its own is ever called."""
        for asked in ({"name": "127.0.0.1:22"}, {"name": None}, {"name": ["console"]}, {"name": "x", "place": "h:1"}):
            self.assertEqual(self.browser.open(**asked).over, "there is none of that name")
        self.browser.open(place="169.254.169.254:80", host="h", port=1)
        self.assertEqual([each.place for each in self.dialled], ["127.0.0.1:5900"])
        self.assertEqual(self.browser.open(do="list").said, [{"names": ["", "console"]}])

    def test_slow_browser(self) -> None:
        """Who does not read gets one window, and the socket waits."""
        self.browser.reads = False
        opened, socket = self.join()
        self.dialled[0].protocol.dataReceived(bytes(WINDOW + 5))
        self.assertEqual((len(opened.data), socket.producerState), (WINDOW, "paused"))
        self.browser.reads = True
        self.browser.item(self.browser.last, Kind.CREDIT, (100).to_bytes(4, "big"))
        self.assertEqual((len(opened.data), socket.producerState), (WINDOW + 5, "producing"))

    def test_slow_socket(self) -> None:
        """A socket that takes nothing makes the browser wait."""
        _, socket = self.join()
        producer: Any = socket.producer
        producer.pauseProducing()
        self.browser.write(bytes(WINDOW))
        self.assertEqual(self.browser.granted, 0)
        producer.resumeProducing()
        self.assertEqual(self.browser.granted, WINDOW)

    def test_ends(self) -> None:
        """Each side ends by itself; what the socket has said before comes all the same."""
        self.browser.reads = False
        opened, socket = self.join()
        self.browser.item(self.browser.last, Kind.END)
        self.assertTrue(socket.shut)
        protocol = self.dialled[0].protocol
        protocol.dataReceived(bytes(WINDOW + 5))
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((opened.over, len(self.tcp)), (None, 0))
        self.browser.item(self.browser.last, Kind.CREDIT, (100).to_bytes(4, "big"))
        self.assertEqual((opened.over, len(opened.data)), ("", WINDOW + 5))

    def test_service_ends(self) -> None:
        """A service that says no more is hung up on once the browser has all: nothing of it is kept."""
        self.browser.reads = False
        opened, socket = self.join()
        protocol = self.dialled[0].protocol
        protocol.dataReceived(bytes(WINDOW + 5))
        protocol.readConnectionLost()
        self.assertEqual((opened.over, socket.disconnecting), (None, False))
        self.browser.item(self.browser.last, Kind.CREDIT, (100).to_bytes(4, "big"))
        self.assertEqual((opened.over, len(opened.data), socket.disconnecting), ("", WINDOW + 5, True))
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.tcp), 0)

    def test_gone(self) -> None:
        """With the stream the connection goes, also one that is not made yet, or is made too late."""
        _, socket = self.join()
        self.browser.item(self.browser.last, Kind.RESET)
        self.assertTrue(socket.disconnecting or socket.disconnected or socket.aborting)  # type: ignore[attr-defined]
        self.browser.open()
        self.browser.item(self.browser.last, Kind.RESET)
        self.assertTrue(self.dialled[1].cancelled)
        self.assertEqual(len(self.tcp), 0)

    def test_no_answer(self) -> None:
        """Why there is no connection."""
        for trouble, words in (
            (ConnectionRefusedError(), "it refuses"),
            (DNSLookupError(), "its name has no address"),
            (TimeoutError(), "it does not answer"),
        ):
            opened = self.browser.open()
            self.dialled[-1].done.errback(Failure(trouble))
            self.assertEqual(opened.over, f"it cannot be reached: {words}")
        self.assertEqual(len(self.tcp), 0)

    def test_most(self) -> None:
        """There is an end to connections at once; all end with the service."""
        sockets = [self.join()[1] for _ in range(MOST)]
        self.assertIn("as many", str(self.browser.open().over))
        self.tcp.close()
        self.assertEqual((len(self.tcp), len(sockets)), (0, MOST))

    def test_dial(self) -> None:
        """A path is a socket's, all else a host's with its port."""
        dial: Any = dial_of(Clock())
        self.assertEqual(dial("/run/x")._path, "/run/x")
        self.assertEqual((dial("[fd00::9]:80")._hostText, dial("nas:80")._port), ("fd00::9", 80))
