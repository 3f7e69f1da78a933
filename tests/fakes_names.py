"""A reactor for questions of the DNS: sockets in memory, servers that answer by UDP and TCP as a test wants."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.names import dns

Server = Callable[[dns.Message], bytes | None]  # what it says of a question; None: nothing


def question(
    name: str | bytes, kind: int = dns.A, number: int = 7, size: int = 0, cls: int = dns.IN, *, signed: bool = False
) -> bytes:
    """:param size: bytes that an answer may have, by EDNS; 0 for no EDNS."""
    message = dns.Message(number, recDes=1)
    message.queries = [dns.Query(name, kind, cls)]
    if size:
        flags = 0x8000 if signed else 0
        message.additional = [cast(Any, dns.RRHeader(b"", 41, size, flags, dns.UnknownRecord(b"")))]
    return bytes(message.toStr())


def read(data: bytes) -> dns.Message:
    """A message that is one."""
    message = dns.Message()
    message.fromStr(data)
    return message


def said(data: bytes) -> tuple[int, list[str]]:
    """Code, and addresses or names, of an answer."""
    message = read(data)
    found = []
    for record in message.answers:
        payload: Any = record.payload
        match payload:
            case dns.Record_A():
                found.append(payload.dottedQuad())
            case dns.Record_AAAA():
                found.append(payload._address)
            case dns.Record_PTR() | dns.Record_NS() | dns.Record_CNAME():
                found.append(cast(Any, payload.name).name.decode())
    return message.rCode, found


def answering(*hosts: str, ttl: int = 60, code: int = dns.OK, cut: bool = False, minimum: int = 0) -> Server:
    """
    One that says so of every question.

    :param minimum: of an SOA beside it, for an absence; 0 for none.
    """

    def answer(asked: dns.Message) -> bytes:
        query = asked.queries[0]
        reply = dns.Message(asked.id, answer=1, recAv=1, rCode=code, trunc=int(cut), maxSize=0)
        reply.queries = [query]
        for host in hosts:
            record: Any = dns.Record_AAAA(host, ttl) if ":" in host else dns.Record_A(host, ttl)
            if query.type == record.TYPE:
                reply.answers.append(cast(Any, dns.RRHeader(query.name.name, query.type, dns.IN, ttl, record)))
        if minimum:
            soa = dns.Record_SOA(b"ns.example", b"x.example", minimum=minimum)
            reply.authority.append(cast(Any, dns.RRHeader(b"example", dns.SOA, dns.IN, ttl, soa)))
        return bytes(reply.toStr())

    return answer


def starting(soa: dns.Record_SOA) -> Server:
    """One that has a zone: it says where that starts."""

    def answer(asked: dns.Message) -> bytes:
        query = asked.queries[0]
        reply = dns.Message(asked.id, answer=1, maxSize=0)
        reply.queries = [query]
        reply.answers = [cast(Any, dns.RRHeader(query.name.name, dns.SOA, dns.IN, 30, soa))]
        return bytes(reply.toStr())

    return answer


class MemoryUdp:
    """A socket, connected or not."""

    def __init__(self, net: MemoryNet, port: int, protocol: Any, interface: str) -> None:
        self.net, self.port, self.protocol, self.interface = net, port, protocol, interface
        self.to: tuple[str, int] | None = None
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.open = True
        protocol.makeConnection(self)

    def connect(self, host: str, port: int) -> None:
        self.to = host, port

    def write(self, data: bytes, addr: tuple[str, int] | None = None) -> None:
        to = addr or self.to
        assert to is not None
        self.sent.append((data, to))
        if self.to is not None:
            self.net.asked.append((self.to[0], read(data)))
            server = self.net.servers.get(self.to[0])
            reply = server(read(data)) if server is not None else None
            if reply is not None:
                self.net.callLater(0.01, self._hand, reply)

    def _hand(self, data: bytes) -> None:
        if self.open:
            self.protocol.datagramReceived(data, self.to)

    def stopListening(self) -> Deferred[None]:
        if self.open:
            self.open = False
            self.protocol.doStop()
        return succeed(None)


class MemoryTcp:
    """A port where somebody listens, or a call."""

    def __init__(self, net: MemoryNet, port: int, factory: Any, interface: str) -> None:
        self.port, self.factory, self.interface, self.open = port, factory, interface, True
        self._net = net
        self.protocol: Any = None  # of a call

    def stopListening(self) -> Deferred[None]:
        self.open = False
        return succeed(None)

    def disconnect(self) -> None:
        """Of a call."""
        self.open = False

    def called(self, host: str) -> tuple[Any, StringTransport]:
        """Somebody calls; None for the protocol: it is not talked to."""
        protocol, transport = self.factory.buildProtocol(IPv4Address("TCP", host, 5000)), StringTransport()
        if protocol is not None:
            protocol.makeConnection(transport)
        return protocol, transport


class MemoryNet(Clock):
    """The reactor."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[str, Server] = {}  # by address, by UDP
        self.by_tcp: dict[str, Server] = {}
        self.asked: list[tuple[str, dns.Message]] = []
        self.udp: list[MemoryUdp] = []
        self.tcp: list[MemoryTcp] = []
        self.taken: set[str] = set()  # addresses where nobody can listen

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> MemoryUdp:
        if interface in self.taken:
            raise CannotListenError(interface, port, OSError(98, "taken"))
        self.udp.append(MemoryUdp(self, port, protocol, interface))
        return self.udp[-1]

    def listenTCP(self, port: int, factory: Any, interface: str = "") -> MemoryTcp:
        self.tcp.append(MemoryTcp(self, port, factory, interface))
        return self.tcp[-1]

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30) -> MemoryTcp:
        call = MemoryTcp(self, port, factory, host)
        server = self.by_tcp.get(host)
        if server is None:
            self.callLater(0.01, factory.clientConnectionFailed, call, None)
            return call
        protocol, transport = factory.buildProtocol(None), StringTransport()
        protocol.makeConnection(transport)
        call.protocol = protocol
        asked = read(transport.value()[2:])
        self.asked.append((f"tcp {host}", asked))
        reply = server(asked)
        if reply is not None:
            self.callLater(0.01, protocol.dataReceived, struct.pack("!H", len(reply)) + reply)
        self.tcp.append(call)
        return call

    def open_sockets(self) -> Sequence[MemoryUdp]:
        """Those of questions that are under way."""
        return [each for each in self.udp if each.open and each.to is not None]

    def open_ports(self) -> Sequence[MemoryUdp]:
        """Those where questions are heard."""
        return [each for each in self.udp if each.open and each.to is None]
