"""
Where a peer may be reached: addresses with the way each was learned.

Source: docs/protocol section 12; RFC 8445 section 5.1.1 for the idea.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from morphnet.errors import MalformedFrame

LOCAL, MAPPED, OBSERVED, STREAM = "local", "mapped", "observed", "stream"
WITNESSED, LINE, VARYING = "witnessed", "line", "varying"
KINDS = (
    LOCAL,  # of one of its own devices
    MAPPED,  # its router gave it that one, asked by PCP or NAT-PMP
    OBSERVED,  # what a relay saw its UDP socket as
    STREAM,  # it listens there for TCP
    WITNESSED,  # a peer saw a probe come from there
    LINE,  # its TCP connection to a relay comes from there: the port is of no use
    VARYING,  # its router has that address, and gives another port for each destination: the port is of no use
)
NOT_FOR_UDP = frozenset((STREAM, LINE, VARYING))  # nobody answers probes there
MOST_PLACES = 24  # of one peer
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
_PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)


class Place(NamedTuple):
    """One address of a peer."""

    kind: str  # one of KINDS
    host: str  # numeric
    port: int  # UDP, or TCP for STREAM

    def __str__(self) -> str:
        return f"{self.kind} {self.host} {self.port}"


def read_place(text: str) -> Place:
    """
    One place from its text.

    :raises MalformedFrame: it is none, or one where nobody can be: multicast, unspecified, port 0.
    """
    kind, _, rest = text.partition(" ")
    host, _, port = rest.partition(" ")
    try:
        address, number = ipaddress.ip_address(host), int(port)
    except ValueError:
        raise MalformedFrame("place without an address") from None
    if kind not in KINDS or not 0 < number < 65536 or not is_reachable(address):
        raise MalformedFrame("place where nobody can be")
    return Place(kind, str(address), number)


def is_reachable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether a single other machine may be there, by that very address: not by one that means an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped is not None or address.scope_id):
        return False
    return not (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or (address.version == 4 and (address.is_reserved or address in _THIS_NETWORK))
    )


def is_private(host: str) -> bool:
    """Whether that numeric address means another machine in another network. Source: RFC 1918, 6598, 4193."""
    address = ipaddress.ip_address(host)
    return any(address.version == network.version and address in network for network in _PRIVATE)


def seen_by_relay(texts: Iterable[str], relay: str) -> tuple[Place, ...]:
    """
    Those of the places told by a relay that it can have seen itself.

    :param relay: its address, or ""; one that is in no private network sees nobody in one.
    """
    inside = bool(relay) and is_private(relay)
    seen = (place for place in read_places(texts) if place.kind in (OBSERVED, LINE))
    return tuple(place for place in seen if inside or not is_private(place.host))


def read_places(texts: Iterable[str]) -> tuple[Place, ...]:
    """Those of `texts` that are places, without repetition, in order; at most MOST_PLACES."""
    found: dict[Place, None] = {}
    for text in texts:
        try:
            found[read_place(text)] = None
        except MalformedFrame:
            continue  # of a newer kind, or of no use: the others are
        if len(found) >= MOST_PLACES:
            break
    return tuple(found)
