"""
Where a peer may be reached: addresses with the way each was learned.

Source: docs/protocol section 12; RFC 8445 section 5.1.1 for the idea.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from morphnet.errors import MalformedFrame

HOST, MAPPED, SERVER_REFLEXIVE, STREAM = "local", "mapped", "observed", "stream"
PEER_REFLEXIVE, LINE, SYMMETRIC = "witnessed", "line", "varying"
KINDS = (
    HOST,  # of one of its own devices
    MAPPED,  # its router gave it that one, asked by PCP or NAT-PMP
    SERVER_REFLEXIVE,  # what a relay saw its UDP socket as
    STREAM,  # it listens there for TCP
    PEER_REFLEXIVE,  # a peer saw a probe come from there
    LINE,  # its TCP connection to a relay comes from there: the port is of no use
    SYMMETRIC,  # its router has that address, and gives another port for each destination: the port is of no use
)
NOT_FOR_UDP = frozenset((STREAM, LINE, SYMMETRIC))  # nobody answers probes there
MOST_CANDIDATES = 24  # of one peer
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
_PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)


class Candidate(NamedTuple):
    """One address of a peer."""

    kind: str  # one of KINDS
    host: str  # numeric
    port: int  # UDP, or TCP for STREAM

    def __str__(self) -> str:
        return f"{self.kind} {self.host} {self.port}"


def read_candidate(text: str) -> Candidate:
    """
    One candidate from its text.

    :raises MalformedFrame: it is none, or one where nobody can be: multicast, unspecified, port 0.
    """
    kind, _, rest = text.partition(" ")
    host, _, port = rest.partition(" ")
    try:
        address, number = ipaddress.ip_address(host), int(port)
    except ValueError:
        raise MalformedFrame("candidate without an address") from None
    if kind not in KINDS or not 0 < number < 65536 or not is_reachable(address):
        raise MalformedFrame("candidate where nobody can be")
    return Candidate(kind, str(address), number)


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


def seen_by_relay(texts: Iterable[str], relay: str) -> tuple[Candidate, ...]:
    """
    Those of the candidates told by a relay that it can have seen itself.

    :param relay: its address, or ""; one that is in no private network sees nobody in one.
    """
    inside = bool(relay) and is_private(relay)
    seen = (candidate for candidate in read_candidates(texts) if candidate.kind in (SERVER_REFLEXIVE, LINE))
    return tuple(candidate for candidate in seen if inside or not is_private(candidate.host))


def read_candidates(texts: Iterable[str]) -> tuple[Candidate, ...]:
    """Those of `texts` that are candidates, without repetition, in order; at most MOST_CANDIDATES."""
    found: dict[Candidate, None] = {}
    for text in texts:
        try:
            found[read_candidate(text)] = None
        except MalformedFrame:
            continue  # of a newer kind, or of no use: the others are
        if len(found) >= MOST_CANDIDATES:
            break
    return tuple(found)
