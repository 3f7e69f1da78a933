"""
A captive portal, for test_portal: `python -m tests.lab.portal ADDRESS [PORT ...]`.

Whatever name is asked for is at ADDRESS, says its DNS server. At the ports it answers as `Portal` does, in whosever
place; each certificate that it is shown is a line of its output, and so is each thing that it is told.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from OpenSSL import crypto
from twisted.internet import reactor as _reactor
from twisted.internet.protocol import DatagramProtocol, Protocol
from twisted.names import dns

from tests.fakes_portal import Portal

reactor = cast(Any, _reactor)


class Liar(DatagramProtocol):
    """A DNS server that knows one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        asked = dns.Message()
        asked.fromStr(datagram)
        answer = dns.Message(asked.id, answer=True)
        answer.queries = asked.queries
        for query in asked.queries:
            if query.type == dns.A:
                record = dns.Record_A(self._address)
                answer.answers.append(dns.RRHeader(query.name.name, dns.A, payload=record))
        self.transport.write(answer.toStr(), addr)  # type: ignore[union-attr]


class Loud(Portal):
    """One that says what it learns."""

    def learned(self, certificate: crypto.X509) -> None:
        print("shown", certificate.get_subject().CN, flush=True)

    def hears(self, speaker: Protocol, data: bytes) -> None:
        print("told", data, flush=True)


def main() -> None:
    address, *ports = sys.argv[1:]
    reactor.listenUDP(53, Liar(address))
    for port in ports:
        reactor.listenTCP(int(port), Loud(reactor).factory)
    print("ready", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
