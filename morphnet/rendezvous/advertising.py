"""
Networks behind clients: which are in use, which wait or stand by, and why.

A network is in use when its client offers it, the operator has approved it for that very client, and nobody else has
any of its addresses: neither the gateway nor another client. Of two clients the one that has it keeps it while it is
there; the other is told, and takes over when the first has gone. When that one comes back, it is the one that stands
by.

Pure, so that the same offers give the same answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from morphnet.config.networks import unfit, written
from morphnet.rendezvous.owned import Own, Owned, Span, span_of

USED, STANDBY, ASKED, REFUSED, IDLE = "used", "standby", "asked", "refused", "idle"


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one network of one client."""

    client: str
    network: str  # in CIDR notation
    state: str  # USED; STANDBY: another has it; ASKED: not approved; REFUSED; IDLE: approved, and not offered
    why: str = ""  # one sentence, to be read after the network; "" while it is in use


class Advertised:
    """What clients offer, what is approved, and who has what."""

    def __init__(self) -> None:
        self.approved: frozenset[tuple[str, str]] = frozenset()  # client, network
        self.families: frozenset[int] = frozenset((4, 6))  # that the gateway has inside
        self._offers: dict[str, tuple[str, ...]] = {}  # by client, in the order in which they came
        self._used: list[tuple[str, str]] = []  # those that were in use the last time

    def offers(self, client: str, networks: Sequence[str]) -> None:
        """That client offers these and no others; nothing when it has gone."""
        if networks:
            self._offers[client] = tuple(dict.fromkeys(map(written, networks)))
        else:
            self._offers.pop(client, None)

    @property
    def clients(self) -> tuple[str, ...]:
        """Those that offer something."""
        return tuple(self._offers)

    @property
    def offered(self) -> frozenset[str]:
        """The networks that anybody offers."""
        return frozenset(network for networks in self._offers.values() for network in networks)

    def standings(self, own: Sequence[Owned], away: Collection[str] = ()) -> list[Standing]:
        """
        How it stands with each, by client.

        :param own: what is the gateway's.
        :param away: clients that were not heard of for a while: others may take their place.
        """
        offered = [(client, network) for client, networks in self._offers.items() for network in networks]
        still = set(offered)
        before = [each for each in self._used if each in still]
        in_turn = sorted(dict.fromkeys([*before, *offered]), key=lambda each: each[0] in away)
        found: dict[tuple[str, str], Standing] = {}
        taken = Owned()
        for client, network in in_turn:
            standing = found[client, network] = self._standing(client, network, own, taken)
            if standing.state == USED:
                taken.add(Own(network, client))
        self._used = [each for each in in_turn if found[each].state == USED]
        idle = [
            Standing(client, network, IDLE, "is approved, and its client does not offer it now")
            for client, network in self.approved
            if (client, network) not in found
        ]
        return sorted([*found.values(), *idle], key=lambda each: (each.client, _order(each.network)))

    def _standing(self, client: str, network: str, own: Sequence[Owned], taken: Owned) -> Standing:
        if why := unfit(network):
            return Standing(client, network, REFUSED, why)
        if (family := span_of(network)[0]) not in self.families:
            return Standing(client, network, REFUSED, f"is IPv{family}, which the gateway does not have inside")
        if other := next((found for each in own if (found := each.overlap(network))), None):
            return Standing(client, network, REFUSED, f"overlaps {other.network}, {other.what}")
        if (client, network) not in self.approved:
            return Standing(client, network, ASKED, "is not approved")
        others = sorted(taken.overlapping(network), key=lambda each: each.what != client)
        if others and others[0].what == client:
            return Standing(client, network, REFUSED, f"overlaps {others[0].network}, which the same client offers")
        for other in others:
            return Standing(client, network, STANDBY, f"stands by while {other.what} has {other.network} behind it")
        return Standing(client, network, USED)


def reached_by(client: str, standings: Iterable[Standing]) -> tuple[str, ...]:
    """The networks behind others."""
    return tuple(each.network for each in standings if each.state == USED and each.client != client)


def used_of(standings: Iterable[Standing]) -> Mapping[str, tuple[str, ...]]:
    """The networks in use, by client."""
    found: dict[str, tuple[str, ...]] = {}
    for each in standings:
        if each.state == USED:
            found[each.client] = (*found.get(each.client, ()), each.network)
    return found


def _order(network: str) -> Span:
    version, first, bits = span_of(network)
    return version, first, -bits
