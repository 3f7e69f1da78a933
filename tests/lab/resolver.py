"""
A DNS server that knows a few names, for test_dns: `python -m tests.lab.resolver ADDRESS NAME=ADDRESS ...`.

Each name that it is asked for is a line of its output; what it does not know is nowhere.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.protocol import DatagramProtocol
from twisted.names import dns

reactor = cast(Any, _reactor)


class Resolver(DatagramProtocol):
    """By UDP."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        asked = dns.Message()
        asked.fromStr(datagram)
        query = asked.queries[0]
        name = query.name.name.decode().lower()
        print(name, flush=True)
        answer = dns.Message(asked.id, answer=1, recAv=1, rCode=dns.OK if name in self._known else dns.ENAME)
        answer.queries = asked.queries
        if name in self._known and query.type == dns.A:
            record = dns.Record_A(self._known[name])
            answer.answers.append(dns.RRHeader(query.name.name, dns.A, dns.IN, 60, record))
        self.transport.write(answer.toStr(), addr)  # type: ignore[union-attr]


def main() -> None:
    address, *known = sys.argv[1:]
    names = dict(each.split("=") for each in known)
    reactor.listenUDP(53, Resolver(names), interface=address)
    print("ready", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
