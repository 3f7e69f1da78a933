"""
What a machine forwards besides packets of clients to the world, for `morphnet.host.firewall` to ask whether it passes:
connections to ports that lead to clients, and what goes to networks behind a client.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from morphnet.host.nft import REDIRECTED
from morphnet.host.verdicts import ESTABLISHED, NEW, Probe

WORLD = {4: "198.51.100.1", 6: "2001:db8::1"}  # any address outside: those for documentation, RFC 5737, RFC 3849
TO_CLIENTS = "what it forwards to clients for [[forward]]"
BEHIND = "what comes out of the tunnel for the networks behind it"


@dataclass(frozen=True, slots=True)
class Passing:
    """What shall pass from one device to another: a first packet, and its answer."""

    what: str  # for a person
    tun: str
    to: str  # an address
    inwards: bool  # into the tunnel; else out of it

    def probes(self, way_to: Callable[[str], str]) -> tuple[Probe, Probe]:
        """:param way_to: the device by which an address is reached."""
        world = WORLD[ipaddress.ip_address(self.to).version]
        if self.inwards:
            out, status = way_to(world), REDIRECTED
            return (
                Probe(out, self.tun, world, self.to, NEW, status),
                Probe(self.tun, out, self.to, world, ESTABLISHED, status),
            )
        there = way_to(self.to)
        return Probe(self.tun, there, world, self.to, NEW), Probe(there, self.tun, self.to, world, ESTABLISHED)


def passing_of_gateway(tun: str, forwards: Iterable[str]) -> tuple[Passing, ...]:
    """:param forwards: as in `morphnet.host.nat`."""
    return tuple(Passing(TO_CLIENTS, tun, to, True) for to in dict.fromkeys(each.split()[2] for each in forwards))


def passing_behind(tun: str, networks: Sequence[str]) -> tuple[Passing, ...]:
    """:param networks: behind a client, in CIDR notation."""
    firsts = (ipaddress.ip_network(each) for each in networks)
    return tuple(Passing(BEHIND, tun, str(each[min(1, each.num_addresses - 1)]), False) for each in firsts)
