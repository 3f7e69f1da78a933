"""
The world that test_balance has its uplinks lead to: `python -m tests.lab.balance_world`.

A name server that knows no name and tells who asks; TCP at FLOWS and OTHERS, where each caller is told the address that
he is seen at, and then a letter every TICK until one of both ends; UDP at FLOWS, where each datagram is answered with
that address; TCP at BULK, where each caller is sent a lot as fast as it goes. With `portal` the name server lies, and a
page is handed out at port 80 instead.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.names import dns

FLOWS, OTHERS, BULK, TICK = 5000, 5001, 5002, 0.1
LOT = 1 << 24  # bytes
PAGE = b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n"
reactor = cast(Any, _reactor)


class Names(DatagramProtocol):
    """Answers questions; a liar says that every name is at 192.168.1.1."""

    def __init__(self, *, lies: bool) -> None:
        self._lies = lies

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        asked = dns.Message()
        asked.fromStr(datagram)
        answer = dns.Message(asked.id, answer=True)
        answer.queries = asked.queries
        name = asked.queries[0].name.name
        if name == b"whoami.cloudflare":
            text = dns.Record_TXT(addr[0].removeprefix("::ffff:").encode())
            answer.answers.append(dns.RRHeader(name, dns.TXT, 3, payload=text))
        elif self._lies:
            answer.answers.append(dns.RRHeader(name, dns.A, payload=dns.Record_A("192.168.1.1")))
        else:
            answer.rCode = dns.ENAME
        self.transport.write(answer.toStr(), addr)  # type: ignore[union-attr]


class Echo(DatagramProtocol):
    """Tells who asks."""

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self.transport.write(addr[0].removeprefix("::ffff:").encode(), addr)  # type: ignore[union-attr]


class Drip(Protocol):
    """A flow."""

    _next: IDelayedCall | None = None

    def connectionMade(self) -> None:
        peer = self.transport.getPeer().host.removeprefix("::ffff:")  # type: ignore[union-attr]
        self.transport.write(peer.encode() + b"\n")  # type: ignore[union-attr]
        self._drip()

    def _drip(self) -> None:
        self.transport.write(b".")  # type: ignore[union-attr]
        self._next = reactor.callLater(TICK, self._drip)

    def connectionLost(self, reason: object = None) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()


class Bulk(Protocol):
    """A lot."""

    def connectionMade(self) -> None:
        self.transport.write(bytes(LOT))  # type: ignore[union-attr]


class Page(Protocol):
    """What a portal says."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(PAGE)  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]


def main() -> None:
    portal = sys.argv[1:] == ["portal"]
    reactor.listenUDP(53, Names(lies=portal), interface="::")
    reactor.listenTCP(80, Factory.forProtocol(Page), interface="::")
    if not portal:
        for port, kind in ((FLOWS, Drip), (OTHERS, Drip), (BULK, Bulk)):
            reactor.listenTCP(port, Factory.forProtocol(kind), interface="::")
        reactor.listenUDP(FLOWS, Echo(), interface="::")
        reactor.listenTCP(443, Factory.forProtocol(Protocol), interface="::")
    print("ready", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
