"""
Which of many networks have addresses in common with one.

Of two networks that have, one holds the other: so those that hold it are found by their prefix, and those within it
stand together when all are sorted. What is asked costs no more with thousands of them.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_KEPT = 32768  # networks whose numbers are kept

Span = tuple[int, int, int]  # 4 or 6, the first address, the number of bits that vary


@lru_cache(_KEPT)
def span_of(network: str) -> Span:
    """
    :param network: in CIDR notation; bits behind the prefix do not count.
    :raises ValueError: it is none.
    """
    parsed = ipaddress.ip_network(network, strict=False)
    return parsed.version, int(parsed.network_address), parsed.max_prefixlen - parsed.prefixlen


@dataclass(frozen=True, slots=True)
class Own:
    """A network that is not a client's to offer."""

    network: str
    what: str  # how it is the gateway's, to be read after the network


class Owned:
    """Such networks."""

    def __init__(self, own: Iterable[Own] = ()) -> None:
        self._by_span: dict[Span, Own] = {}
        for each in own:
            self._by_span.setdefault(span_of(each.network), each)
        self._spans = sorted(self._by_span)
        self._bits = {(version, bits) for version, _, bits in self._spans}

    def add(self, own: Own) -> None:
        """One more."""
        version, _, bits = span = span_of(own.network)
        if span not in self._by_span:
            self._by_span[span] = own
            self._bits.add((version, bits))
            insort(self._spans, span)

    def overlapping(self, network: str) -> Iterator[Own]:
        """Those that have some of its addresses: those that hold it, then those within it."""
        version, first, bits = span_of(network)
        for more in sorted(wide for of, wide in self._bits if of == version and wide >= bits):
            if found := self._by_span.get((version, first >> more << more, more)):
                yield found
        for at in range(bisect_left(self._spans, (version, first, 0)), len(self._spans)):
            span = self._spans[at]
            if span[:2] >= (version, first + (1 << bits)):
                return
            if span[2] < bits:
                yield self._by_span[span]

    def overlap(self, network: str) -> Own | None:
        """One of them that has some of its addresses."""
        return next(self.overlapping(network), None)
