"""What is sent by one uplink to see whether it leads out, and who answers; see `rendezvous/balance`, which decides."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReadDescriptor
from twisted.internet.protocol import ClientFactory, DatagramProtocol
from twisted.internet.protocol import Protocol as Stream
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.net.ondevice import bind_to_device
from morphnet.rendezvous.balance import MOST_PATIENCE, PORTAL, Question, Verdict
from morphnet.wire import uplink_checks as checks

DNS_PORT, WEB_PORT = 53, 80
PAGE_PATIENCE = 1.0  # seconds for an address that nobody has to answer
_MOST = 64  # questions for names that are remembered
_READS = 16  # packets of one wake-up
_SOL_RAW, _ICMP_FILTER = 255, 1  # linux/icmp.h; the latter is ICMP6_FILTER as well


class Listener(Protocol):
    """Who is told of answers."""

    def answered(self, number: int) -> None:
        """The target has answered that question."""
        ...

    def refused(self, number: int) -> None:
        """Nobody will."""
        ...

    def nobody(self, number: int, verdict: Verdict) -> None:
        """What the address says that nobody has."""
        ...

    def seen_at(self, address: str) -> None:
        """The address at which the world sees this uplink."""
        ...


class Names(DatagramProtocol):
    """Questions to name servers: for a name that nobody has, and for the address that we are seen at."""

    noisy = False

    def __init__(self, listener: Listener, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._listener, self._entropy = listener, entropy
        self._asked: dict[int, tuple[str, int, bytes]] = {}  # number on the wire -> target, question, token

    def ask(self, target: str, question: int) -> None:
        """For a name that nobody has."""
        number, token = int.from_bytes(self._entropy(2), "big"), self._entropy(checks.TOKEN)
        if not self._send(checks.name_question(number, token), target):
            self._listener.refused(question)
            return
        self._remember(number, (target, question, token))

    def ask_who(self, target: str) -> None:
        """For the address that we are seen at."""
        number = int.from_bytes(self._entropy(2), "big")
        if self._send(checks.who_question(number), target):
            self._remember(number, (target, 0, b""))

    def _remember(self, number: int, asked: tuple[str, int, bytes]) -> None:
        self._asked[number] = asked
        if len(self._asked) > _MOST:
            del self._asked[next(iter(self._asked))]

    def _send(self, datagram: bytes, target: str) -> bool:
        try:
            self.transport.write(datagram, (target, DNS_PORT))  # type: ignore[union-attr]
        except OSError:
            return False
        return True

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        number = int.from_bytes(datagram[:2], "big")
        target, question, token = self._asked.get(number, ("", 0, b""))
        if (addr[0], addr[1]) != (target, DNS_PORT):
            return
        if not token:
            if seen := checks.who_answer(datagram, number):
                self._listener.seen_at(seen)
            return
        del self._asked[number]
        if checks.denied(datagram, number, token):
            self._listener.answered(question)


class _Call(Stream):
    """A connection to a target: that it stands is enough."""

    def __init__(self, answered: Callable[[], None]) -> None:
        self._answered = answered

    def connectionMade(self) -> None:
        self._answered()
        self.transport.abortConnection()  # type: ignore[union-attr]


class PageCall(Stream):
    """A connection to an address that nobody has."""

    def __init__(self, reactor: Any, verdict: Callable[[Verdict], None]) -> None:
        self._reactor, self._verdict = reactor, verdict
        self._head = b""
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self.transport.write(checks.PAGE_REQUEST)  # type: ignore[union-attr]
        self._timer = self._reactor.callLater(PAGE_PATIENCE, self._end)

    def dataReceived(self, data: bytes) -> None:
        self._head += data[: checks.PAGE_BYTES]
        if len(self._head) >= checks.PAGE_BYTES:
            self._end()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._end()

    def _end(self) -> None:
        timer, self._timer = self._timer, None
        if timer is None:
            return
        if timer.active():
            timer.cancel()
        self._verdict(Verdict.PAGE if checks.is_page(self._head) else Verdict.ACCEPTS)
        self.transport.abortConnection()  # type: ignore[union-attr]


class _Calls(ClientFactory):
    noisy = False

    def __init__(self, make: Callable[[], Stream], failed: Callable[[], None]) -> None:
        self._make, self._failed = make, failed

    def buildProtocol(self, addr: Any) -> Stream:
        return self._make()

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._failed()


def ping_socket(device: str, family: int) -> socket.socket:
    """
    One for echoes by that device.

    :raises OSError: we may have none (without CAP_NET_RAW), or the device is not there.
    """
    kind, protocol = (socket.AF_INET, socket.IPPROTO_ICMP) if family == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    try:
        opened = socket.socket(kind, socket.SOCK_RAW, protocol)
    except PermissionError:
        opened = socket.socket(kind, socket.SOCK_DGRAM, protocol)  # where net.ipv4.ping_group_range allows it
    try:
        opened.setblocking(False)
        bind_to_device(opened, device)
        with suppress(OSError):  # answers to echoes alone; a ping socket gets no others anyway
            if family == 4:
                opened.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~1 & 0xFFFFFFFF))
            else:
                passing = [0xFFFFFFFF] * 8
                passing[129 >> 5] &= ~(1 << (129 & 31))
                opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP_FILTER, struct.pack("=8I", *passing))
    except OSError:
        opened.close()
        raise
    return opened


@implementer(IReadDescriptor)
class Pings:
    """
    Echoes by one uplink.

    :param make: opens the socket, see `ping_socket`.
    """

    def __init__(self, reactor: Any, family: int, listener: Listener, make: Callable[[], socket.socket]) -> None:
        self._reactor, self._family, self._listener, self._make = reactor, family, listener, make
        self._socket: socket.socket | None = None
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._asked: dict[bytes, tuple[str, int]] = {}  # token -> target and question

    def open(self) -> bool:
        """Whether we may."""
        try:
            self._socket = self._make()
        except OSError:
            return False
        self._reactor.addReader(self)
        return True

    def ask(self, target: str, question: int) -> None:
        """Send one."""
        token = os.urandom(checks.TOKEN)
        try:
            if self._socket is None:
                raise PermissionError
            self._socket.sendto(checks.echo_request(self._family, self._identifier, token), (target, 0))
        except OSError:
            self._listener.refused(question)
            return
        self._asked[token] = target, question
        if len(self._asked) > _MOST:
            del self._asked[next(iter(self._asked))]

    def doRead(self) -> None:
        for _ in range(_READS):
            if self._socket is None:
                return
            try:
                packet, source = self._socket.recvfrom(256)
            except OSError:  # nothing more; or an error of an earlier packet
                return
            token = checks.echoed(self._family, packet)
            target, question = self._asked.get(token or b"", ("", 0))
            if token is not None and source[0] == target:
                del self._asked[token]
                self._listener.answered(question)

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        return "pings"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gave us up, for an error that waited on the socket: clear it, and go on."""
        if self._socket is not None:
            self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._reactor.addReader(self)

    def close(self) -> None:
        """No answer is heard after this."""
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._socket.close()
            self._socket = None


class Prober:
    """
    One uplink in one family.

    :param net: connectTCP and listenUDP by that uplink, see `OnDevice`.
    :param pings: of that uplink; None where there shall be none.
    """

    def __init__(self, reactor: Any, net: Any, pings: Pings | None, family: int, listener: Listener) -> None:
        self._reactor, self._net, self._pings, self._family, self._listener = reactor, net, pings, family, listener
        self._names = Names(listener)
        self._port: IListeningPort | None = None
        self.tcp_port = 443

    def open(self) -> None:
        """What cannot be opened refuses each question."""
        with suppress(CannotListenError):
            self._port = self._net.listenUDP(0, self._names, interface="::" if self._family == 6 else "")
        if self._pings is not None and not self._pings.open():
            self._pings = None

    def ask(self, question: Question) -> None:
        """Ask one target, by one method."""
        number, (target, method) = question
        if method == PORTAL:
            self._call_nobody(number, target)
        elif method == "tcp":
            calls = _Calls(
                lambda: _Call(lambda: self._listener.answered(number)), lambda: self._listener.refused(number)
            )
            self._net.connectTCP(target, self.tcp_port, calls, timeout=MOST_PATIENCE)
        elif method == "ping" and self._pings is not None:
            self._pings.ask(target, number)
        elif method == "dns" and self._port is not None:
            self._names.ask(target, number)
        else:
            self._listener.refused(number)

    def _call_nobody(self, number: int, target: str) -> None:
        def verdict(found: Verdict) -> None:
            self._listener.nobody(number, found)

        calls = _Calls(lambda: PageCall(self._reactor, verdict), lambda: verdict(Verdict.SILENT))
        self._net.connectTCP(target, WEB_PORT, calls, timeout=PAGE_PATIENCE)

    def ask_who(self, target: str) -> None:
        """Ask which address we are seen at."""
        if self._port is not None:
            self._names.ask_who(target)

    def close(self) -> None:
        """No answer is told after this, but of connections that are under way."""
        if self._pings is not None:
            self._pings.close()
        if self._port is not None:
            self._port.stopListening()
            self._port = None
