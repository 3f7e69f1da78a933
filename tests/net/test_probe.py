"""What is asked by one uplink, at doors that exist in memory."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.error import CannotListenError, ConnectionDone, ConnectionRefusedError
from twisted.internet.protocol import ClientFactory, DatagramProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.names import dns
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.probe import DNS_PORT, PAGE_PATIENCE, WEB_PORT, Pings, Prober
from morphnet.rendezvous.balance import PORTAL, Check, Question, Verdict
from tests.wire.test_uplink_checks import answer_to

TARGET = "192.0.2.53"


class _Stream(StringTransport):
    def abortConnection(self) -> None:
        self.loseConnection()


class Net:
    """By one uplink: what is called, and what is sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, ClientFactory]] = []
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.names: Any = None
        self.closed = self.unreachable = self.shut = False

    def connectTCP(self, host: str, port: int, factory: ClientFactory, timeout: float = 30) -> None:
        self.calls.append((host, port, factory))

    def listenUDP(self, port: int, protocol: DatagramProtocol, interface: str = "") -> Net:
        if self.shut:
            raise CannotListenError(interface, port, OSError())
        self.names = protocol
        self.names.transport = self
        return self

    def write(self, datagram: bytes, to: tuple[str, int]) -> None:
        if self.unreachable:
            raise OSError
        self.sent.append((datagram, to))

    def stopListening(self) -> None:
        self.closed = True


class FakeSocket:
    """Brings back what it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.coming: list[tuple[bytes, tuple[str, int]]] = []
        self.closed = False

    def fileno(self) -> int:
        return 7

    def sendto(self, data: bytes, to: tuple[str, int]) -> None:
        if to[0] == "192.0.2.99":
            raise OSError
        self.sent.append((data, to))

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.coming:
            raise BlockingIOError
        return self.coming.pop(0)

    def getsockopt(self, level: int, option: int) -> int:
        return errno.ENETDOWN

    def close(self) -> None:
        self.closed = True


class Readers:
    """A reactor that has readers."""

    def __init__(self) -> None:
        self.readers: set[object] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard


class Heard:
    """The numbers of what was answered and refused; nothing else comes from pings."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def answered(self, number: int) -> None:
        self.heard.append(("answered", number))

    def refused(self, number: int) -> None:
        self.heard.append(("refused", number))

    def nobody(self, number: int, verdict: Verdict) -> None:
        raise AssertionError

    def seen_at(self, address: str) -> None:
        raise AssertionError


class PingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.socket, self.reactor, self.listener = FakeSocket(), Readers(), Heard()
        made: Any = self.socket
        self.pings = Pings(self.reactor, 4, self.listener, lambda: made)

    def test_echo(self) -> None:
        """An echo is answered by who was asked, with its token, once."""
        self.assertTrue(self.pings.open())
        self.pings.ask(TARGET, 3)
        ((asked, to),) = self.socket.sent
        reply = b"\x45" + bytes(19) + b"\0" + asked[1:]
        other = ("192.0.2.98", 0)
        self.socket.coming = [(reply, other), (asked, to), (b"", to), (reply[:-1], to), (reply, to), (reply, to)]
        self.pings.doRead()
        self.assertEqual(self.listener.heard, [("answered", 3)])

    def test_refused(self) -> None:
        """What cannot be sent is refused, and so is all after the end."""
        self.pings.open()
        self.pings.ask("192.0.2.99", 1)
        self.pings.close()
        self.pings.ask(TARGET, 2)
        self.pings.doRead()
        self.assertEqual(self.listener.heard, [("refused", 1), ("refused", 2)])
        self.assertEqual((self.socket.closed, self.reactor.readers, self.pings.fileno()), (True, set(), -1))

    def test_given_up(self) -> None:
        """An error that waits on the socket is not the end of it; after the end nothing is read."""
        self.pings.open()
        self.reactor.readers.clear()
        self.pings.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.reactor.readers, self.socket.closed), ({self.pings}, False))
        self.pings.close()
        self.pings.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.readers, set())

    def test_not_allowed(self) -> None:
        """Who may have no such socket is told so."""

        def refuse() -> Any:
            raise PermissionError

        self.assertFalse(Pings(self.reactor, 4, self.listener, refuse).open())


class ProberTests(SynchronousTestCase):
    """The test is who listens."""

    def setUp(self) -> None:
        self.net, self.clock, self.heard = Net(), Clock(), list[tuple[object, ...]]()
        self.prober = Prober(self.clock, self.net, None, 4, self)
        self.prober.open()

    def answered(self, number: int) -> None:
        self.heard.append(("answered", number))

    def refused(self, number: int) -> None:
        self.heard.append(("refused", number))

    def nobody(self, number: int, verdict: Verdict) -> None:
        self.heard.append((verdict, number))

    def seen_at(self, address: str) -> None:
        self.heard.append(("seen", address))

    def called(self) -> tuple[Any, _Stream]:
        """The last call was taken."""
        protocol: Any = self.net.calls[-1][2].buildProtocol(None)
        transport = _Stream()
        protocol.makeConnection(transport)
        return protocol, transport

    def test_names(self) -> None:
        """A name is denied by who was asked, once; what others say is not heard."""
        self.prober.ask(Question(7, Check(TARGET, "dns")))
        ((question, to),) = self.net.sent
        self.assertEqual(to, (TARGET, DNS_PORT))
        answer = answer_to(question, dns.ENAME)
        self.net.names.datagramReceived(answer, ("192.0.2.99", DNS_PORT))
        self.net.names.datagramReceived(b"x", to)
        self.assertEqual(self.heard, [])
        self.net.names.datagramReceived(answer, to)
        self.net.names.datagramReceived(answer, to)
        self.assertEqual(self.heard, [("answered", 7)])

    def test_lie(self) -> None:
        """An address for it is no answer."""
        self.prober.ask(Question(7, Check(TARGET, "dns")))
        ((question, to),) = self.net.sent
        lie = dns.RRHeader(b"x", dns.A, payload=dns.Record_A("192.0.2.1"))
        self.net.names.datagramReceived(answer_to(question, dns.OK, lie), to)
        self.assertEqual(self.heard, [])

    def test_who(self) -> None:
        """The address that we are seen at."""
        self.prober.ask_who(TARGET)
        ((question, to),) = self.net.sent
        record = dns.RRHeader(b"whoami.cloudflare", dns.TXT, 3, payload=dns.Record_TXT(b"198.51.100.2"))
        self.net.names.datagramReceived(answer_to(question, dns.OK, record), to)
        self.assertEqual(self.heard, [("seen", "198.51.100.2")])

    def test_unreachable(self) -> None:
        """What cannot be sent is refused; so is what there is no door for."""
        self.net.unreachable = True
        self.prober.ask(Question(1, Check(TARGET, "dns")))
        self.prober.ask(Question(2, Check(TARGET, "ping")))
        self.assertEqual(self.heard, [("refused", 1), ("refused", 2)])
        self.net.shut = True
        other = Prober(self.clock, self.net, None, 6, self)
        other.open()
        other.ask(Question(3, Check(TARGET, "dns")))
        self.assertEqual(self.heard[2:], [("refused", 3)])

    def test_tcp(self) -> None:
        """A connection that stands is an answer, and is ended at once; one that does not is none."""
        self.prober.ask(Question(1, Check(TARGET, "tcp")))
        self.assertEqual(self.net.calls[0][:2], (TARGET, 443))
        _, transport = self.called()
        self.assertEqual((self.heard, transport.disconnecting), ([("answered", 1)], True))
        calls: Any = self.net.calls[0][2]
        calls.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assertEqual(self.heard[1:], [("refused", 1)])

    def test_portal(self) -> None:
        """An address that nobody has: silent, takes a connection, or hands out a page."""
        for number, said in enumerate((b"", b"HTTP/1.1 302 Found\r\n", b"SSH-2.0-x")):
            self.prober.ask(Question(number, Check("192.0.2.1", PORTAL)))
            protocol, transport = self.called()
            self.assertTrue(transport.value().startswith(b"GET / HTTP/1.1\r\n"))
            protocol.dataReceived(said) if said else None
            self.clock.advance(PAGE_PATIENCE)
            protocol.connectionLost(None)
        self.assertEqual(self.net.calls[0][1], WEB_PORT)
        self.assertEqual(self.heard, [(Verdict.ACCEPTS, 0), (Verdict.PAGE, 1), (Verdict.ACCEPTS, 2)])
        calls: Any = self.net.calls[0][2]
        calls.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assertEqual(self.heard[3:], [(Verdict.SILENT, 0)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """The door is closed."""
        self.prober.close()
        self.prober.close()
        self.assertTrue(self.net.closed)
