"""What surrounds each peer: time and chance, who we are ourselves, where things are written down, and its relays."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from morphnet.config.roles import Tuning
from morphnet.net.tls import Identity
from morphnet.net.tls import Peer as Certificate
from morphnet.wire.candidates import Candidate


class History(Protocol):
    """Where is written down what happens."""

    def tell(self, kind: str, session: str, text: str) -> None:
        """One line, of the session with that peer, or of none: ""."""
        ...

    def count(self, what: str) -> None:
        """One more of what is not worth a line."""
        ...


@dataclass(frozen=True, slots=True)
class Ourselves:
    """Who we are among the peers."""

    name: str
    addresses: tuple[str, ...]  # ours inside, as in our certificate
    networks: tuple[str, ...]  # that peers are in, in CIDR notation
    wanted: tuple[str, ...]  # names of the peers that we want to meet, or EVERYBODY among them
    tuning: Tuning
    instance: str  # of this process
    identity: Callable[[], Identity]  # our certificate as it is now
    is_revoked: Callable[[Certificate], bool]  # asked at every handshake
    candidates: Callable[[], Sequence[Candidate]]  # where we may be reached directly, as far as we know

    def calls(self, peer: str) -> bool:
        """Whether it is we who begin with that peer: of two the one whose name is lower calls."""
        return self.name < peer

    def foreign(self, addresses: Iterable[str]) -> list[str]:
        """Those of a peer's inner addresses that are not ours, and in the networks that peers are in."""
        return [
            each
            for each in addresses
            if each not in self.addresses and any(_is_in(each, network) for network in self.networks)
        ]

    def inside(self) -> tuple[list[str], list[str]]:
        """Our inner addresses, and the networks of peers that each of them is in."""
        found = [(each, net) for each in self.addresses for net in self.networks if _is_in(each, net)]
        return [address for address, _ in found], [str(ipaddress.ip_network(network)) for _, network in found]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for all peers, and knows none of them."""

    clock: IReactorTime  # its seconds are those of the data plane
    wall: Callable[[], float]  # Unix seconds
    entropy: Callable[[int], bytes]
    ourselves: Ourselves
    history: History

    def now(self) -> float:
        """Seconds, as the data plane counts them."""
        return self.clock.seconds()


class Line(Protocol):
    """To one relay, as its `roles.signalling.relay_client.RelayClient`."""

    number: int  # among all doors
    host: str  # as it is configured
    address: str  # numeric; "" while the line is down

    def post(self, name: str, kind: int, content: bytes) -> bool:
        """One envelope for a peer; False when the peer is not there, or the line is full."""
        ...


class RelaysOfPeers(Protocol):
    """Where peers are met."""

    def having(self, name: str) -> Sequence[Line]:
        """The relays where a peer is, the nearest first; those that are going away last."""
        ...

    def may_meet(self, line: Line) -> bool:
        """Whether one more handshake may begin through that relay, with whomever: each costs us more than the relay."""
        ...


def _is_in(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)
